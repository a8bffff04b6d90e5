"""Signatures: what a mail's DKIM-Signature fields claim, read and hashed, up to the one step that needs a key (RFC 6376).

Rules that are stricter than the RFC, because one forged mail is enough:
- a mail has exactly one From, it is signed, and it is the one that we read: two programs that find two authors in one mail are a hole;
- a body is signed whole: with `l=` anybody may write on below it (section 8.2);
- rsa-sha256 and ed25519-sha256 only (RFC 8301, RFC 8463), and of many signatures the first few.

Mails are hostile octets: every step here is linear in them. (The same step in dkimpy takes 20 s for 128 kB of blanks, and meanwhile
nothing else in the process goes on.) Nothing is ever raised: a signature that breaks a rule is not there.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Final, Literal

from mailgate.core.headers import SCANNED
from mailgate.core.instants import MINUTE, SECOND, Instant
from mailgate.core.lookups import is_name, is_within

MAX_SIGNATURES: Final = 5  # looked at in one mail
_MAX_NAMES: Final = 200  # in h=
_SLACK: Final = 5 * MINUTE  # between two clocks

_TAG_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_EMPTY_LINES: Final = b"\r\n" * 1_000
_FOLDS: Final = re.compile(rb"[ \t\r\n]+")
_VALUE_OF_B: Final = re.compile(rb"((?:\A|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")

Algorithm = Literal["rsa", "ed25519"]
_ALGORITHMS: Final[dict[str, Algorithm]] = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}
_CANONICAL: Final = {
    "simple": (False, False), "simple/simple": (False, False), "simple/relaxed": (False, True),
    "relaxed": (True, False), "relaxed/simple": (True, False), "relaxed/relaxed": (True, True),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature whose body hash is right: what is left is whether the domain's key made `value` for `signed`."""

    domain: str
    selector: str
    algorithm: Algorithm
    is_for_domain: bool  # it speaks for the domain itself and for none below it
    signed: bytes = field(repr=False)
    value: bytes = field(repr=False)

    @property
    def key_name(self) -> str:
        """Where its key is published."""
        return f"{self.selector}._domainkey.{self.domain}"


@dataclass(frozen=True, slots=True)
class _Mail:
    fields: tuple[tuple[bytes, bytes], ...]  # name in lower case, and the field as it came, without its last line end
    body: bytes


def signatures(content: bytes, *, from_value: str, organisation: str, now: Instant) -> tuple[Signature, ...]:
    """The signatures of domains of an organisation that could be good.

    `from_value` is the From field that the caller read; what a mail without it, or with another beside it, claims is nothing.
    """
    mail = _split(content)
    if mail is None:
        return ()
    authors = [raw for name, raw in mail.fields if name == b"from"]
    if len(authors) != 1 or _unfolded(authors[0].partition(b":")[2]) != from_value.encode("latin-1", "replace"):
        return ()

    @cache
    def body_hash(relaxed: bool) -> bytes:
        return sha256(_body(mail.body, relaxed=relaxed)).digest()

    places = [at for at, (name, _) in enumerate(mail.fields) if name == b"dkim-signature"][:MAX_SIGNATURES]
    found = (_read(at, mail, body_hash, organisation=organisation, now=now) for at in places)
    return tuple(signature for signature in found if signature is not None)


def key_in(record: str, signature: Signature) -> bytes | None:
    """The key in a TXT record (section 3.6.1), or None: there is none, it was withdrawn, or it is not for this."""
    tags = _tags(record)
    if tags is None or tags.get("v", "DKIM1") != "DKIM1" or tags.get("k", "rsa") != signature.algorithm:
        return None
    if "sha256" not in _split_list(tags.get("h", "sha256")) or not {"*", "email"} & _split_list(tags.get("s", "*")):
        return None
    if "s" in _split_list(tags.get("t", "")) and not signature.is_for_domain:
        return None
    return _base64(tags.get("p", "")) or None


def _split(content: bytes) -> _Mail | None:
    head, end, body = content.partition(b"\r\n\r\n")
    if not end or len(head) > SCANNED:
        return None
    fields: list[tuple[bytes, bytes]] = []
    for raw in re.split(rb"\r\n(?![ \t])", head):
        name, colon, _ = raw.partition(b":")
        if not colon:
            return None
        fields.append((name.rstrip(b" \t").lower(), raw))
    return _Mail(tuple(fields), body)


def _read(
    at: int, mail: _Mail, body_hash: Callable[[bool], bytes], *, organisation: str, now: Instant
) -> Signature | None:
    raw = mail.fields[at][1]
    tags = _tags(raw.partition(b":")[2].decode("latin-1"))
    if tags is None or not _is_acceptable(tags, organisation, now):
        return None
    relaxed_head, relaxed_body = _CANONICAL[tags.get("c", "simple")]
    names = [name.strip().lower().encode("latin-1") for name in tags["h"].split(":")]
    if b"from" not in names or len(names) > _MAX_NAMES:
        return None
    if body_hash(relaxed_body) != _base64(tags["bh"]):
        return None
    lines = [_line(mail.fields[each][1], relaxed=relaxed_head) + b"\r\n" for each in _chosen(names, mail)]
    own = _line(_VALUE_OF_B.sub(rb"\1", raw), relaxed=relaxed_head)
    domain = tags["d"].lower()
    return Signature(
        domain=domain,
        selector=tags["s"].lower(),
        algorithm=_ALGORITHMS[tags["a"]],
        is_for_domain=tags.get("i", f"@{domain}").rpartition("@")[2].lower() == domain,
        signed=b"".join((*lines, own)),
        value=_base64(tags["b"]),
    )


def _is_acceptable(tags: dict[str, str], organisation: str, now: Instant) -> bool:
    if not {"v", "a", "b", "bh", "d", "h", "s"} <= tags.keys() or "l" in tags:
        return False
    domain = tags["d"].lower()
    return (
        tags["v"] == "1"
        and tags["a"] in _ALGORITHMS
        and tags.get("c", "simple") in _CANONICAL
        and tags.get("q", "dns/txt") == "dns/txt"
        and is_within(domain, organisation)
        and is_within(tags.get("i", domain).rpartition("@")[2].lower(), domain)
        and is_name(f"{tags['s']}._domainkey.{domain}")
        and not _is_over(tags.get("x", "9" * 12), now)
    )


def _is_over(over: str, now: Instant) -> bool:
    """Whether its time is over (section 3.5). When it was made is its maker's word, by its maker's clock."""
    if not (over.isdecimal() and over.isascii() and len(over) <= 12):
        return True
    return int(over) * SECOND < now - _SLACK


def _chosen(names: list[bytes], mail: _Mail) -> Iterator[int]:
    """The signed fields: of several of one name the last first (section 5.4.2). What is named and not there counts as nothing."""
    places: dict[bytes, list[int]] = {}
    for at, (name, _) in enumerate(mail.fields):
        places.setdefault(name, []).append(at)
    for name in names:
        if places.get(name):
            yield places[name].pop()


def _line(raw: bytes, *, relaxed: bool) -> bytes:
    """A field as it is signed (section 3.4)."""
    if not relaxed:
        return raw
    name, _, value = raw.partition(b":")
    return name.strip().lower() + b":" + _spaced(value.replace(b"\r\n", b"")).strip(b" ")


def _body(body: bytes, *, relaxed: bool) -> bytes:
    if relaxed:
        body = _spaced(body).replace(b" \r\n", b"\r\n").removesuffix(b" ")
    end = len(body)
    for empty in (_EMPTY_LINES, b"\r\n"):
        while body.endswith(empty, 0, end):
            end -= len(empty)
    return b"" if relaxed and not end else body[:end] + b"\r\n"


def _spaced(octets: bytes) -> bytes:
    """One blank for each run of them. Twenty passes halve the longest run there can be, at the speed of memory."""
    octets = octets.replace(b"\t", b" ")
    while b"  " in octets:
        octets = octets.replace(b"  ", b" ")
    return octets


def _unfolded(value: bytes) -> bytes:
    return value.replace(b"\r\n", b"").strip(b" \t")


def _tags(text: str) -> dict[str, str] | None:
    """A list of tags (section 3.2); None if it is none."""
    found: dict[str, str] = {}
    parts = text.split(";")
    if not parts[-1].strip():
        parts.pop()
    for part in parts:
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or not _TAG_NAME.fullmatch(name) or name in found:
            return None
        found[name] = value.strip()
    return found


def _split_list(text: str) -> set[str]:
    return {part.strip() for part in text.split(":")}


def _base64(text: str) -> bytes:
    try:
        return b64decode(_FOLDS.sub(b"", text.encode("latin-1", "replace")), validate=True)
    except binascii.Error:
        return b""
