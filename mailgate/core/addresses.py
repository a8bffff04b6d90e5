"""Addresses: how a mailbox is read from the wire, and when two spellings are one mailbox.

Japanese phones have mailboxes that RFC 5321 does not allow: `a..b@`, `.a@` and `a.@` are real people, some since the
nineties, so dots may stand anywhere in a local part. What a strict relay writes instead, `"a..b"@`, is the same
mailbox: a local part is stored unquoted, and only what could stand there unquoted is accepted. Encoded-words are
never decoded in a path: a decoder between the wire and us is a way in for CR, LF and NUL, and nothing outside
0x21-0x7E passes. The local part keeps its case for sending; lookup ignores case, since phones capitalise on their
own. `+tag` and dots separate mailboxes (three guardians may share one mailbox by tags); only the rate rules fold the
tag. Every expression here is bounded or linear, and nothing but BadPath is ever raised.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

MAX_PATH = 512  # RFC 5321 section 4.5.3.1.4: a whole command line
MAX_SPEC = 254  # RFC 5321 section 4.5.3.1.3: a path of 256 octets less its brackets

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"@')
_PAIR = re.compile(r"\\(.)")
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_PLAIN = re.compile(rf"{_LOCAL.pattern}@{_DOMAIN.pattern}")


class BadPath(ValueError):
    """What stands there is no path. The text never holds what was read: it goes to logs and replies."""


class NullPath(Enum):
    """The type of the null path `<>`; its one value is NULL_PATH."""

    NULL = "<>"


NULL_PATH: Final = NullPath.NULL


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """One mailbox. Made by parse_path and parse_spec only, so it is known to be well formed; `key` is its identity."""

    local: str
    domain: str

    def __repr__(self) -> str:
        return "Address(***)"

    @property
    def spec(self) -> str:
        """What is written on the wire between the brackets."""
        return f"{self.local}@{self.domain}"

    @property
    def key(self) -> str:
        """What two spellings of one mailbox have in common."""
        return self.spec.lower()

    @property
    def rate_key(self) -> str:
        """The key without the tag, so that no mailbox asks again and again under new tags."""
        base = self.local.partition("+")[0] or self.local
        return f"{base}@{self.domain}".lower()


def parse_path(text: str) -> Address | NullPath:
    """Read an SMTP path with its brackets; raise BadPath for anything that is none.

    `<MAILER-DAEMON>` without a domain is what old carrier gateways write when they mean the null path, and is read
    as it: such a notice has to come in and is never answered.
    """
    if len(text) > MAX_PATH:
        raise BadPath("the path is too long")
    if not (text.startswith("<") and text.endswith(">")):
        raise BadPath("the path has no brackets")
    inner = text[1:-1]
    if not inner or inner.lower() == "mailer-daemon":
        return NULL_PATH
    return parse_spec(_without_route(inner))


def parse_recipient(text: str, *, domain: str) -> Address:
    """Read the path of RCPT TO: never null, and `<postmaster>` alone is ours (RFC 5321 section 4.5.1)."""
    if text.lower() == "<postmaster>":
        return Address("postmaster", domain.lower())
    path = parse_path(text)
    if path is NULL_PATH:
        raise BadPath("a recipient cannot be null")
    return path


def parse_spec(text: str) -> Address:
    """Read `local@domain`, the local part quoted or not; raise BadPath for anything else."""
    if len(text) > MAX_PATH:
        raise BadPath("the address is too long")
    if quoted := _QUOTED.match(text):
        local, domain = _PAIR.sub(r"\1", quoted[1]), text[quoted.end() :]
    else:
        local, _, domain = text.partition("@")
    if not _LOCAL.fullmatch(local):
        raise BadPath("the local part is not one we can write to")
    if not _DOMAIN.fullmatch(domain):
        raise BadPath("the domain is not a domain name")
    if len(local) + 1 + len(domain) > MAX_SPEC:
        raise BadPath("the address is too long")
    return Address(local, domain.lower())


def is_spec(text: str) -> bool:
    """Whether parse_spec reads it: for who sends thousands a second and needs no more than that."""
    if len(text) <= MAX_SPEC and _PLAIN.fullmatch(text):
        return True
    try:
        parse_spec(text)
    except BadPath:
        return False
    return True


def writings(spec: str) -> tuple[str, str] | None:
    """A mailbox whose dots RFC 5321 does not allow, plain and with its local part quoted; None: every server takes it as it is."""
    local, (_, _, domain) = parse_spec(spec).local, spec.rpartition("@")
    return (f"{local}@{domain}", f'"{local}"@{domain}') if "" in local.split(".") else None


def _without_route(inner: str) -> str:
    """Drop a source route `@a,@b:` (RFC 5321 section 4.1.1.3 says to accept it and to ignore it)."""
    if not inner.startswith("@"):
        return inner
    route, colon, spec = inner.partition(":")
    if not colon or not all(hop.startswith("@") and _DOMAIN.fullmatch(hop[1:]) for hop in route.split(",")):
        raise BadPath("the source route is malformed")
    return spec
