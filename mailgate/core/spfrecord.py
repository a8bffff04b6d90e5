"""SPF records: a domain's policy, read whole (RFC 7208 sections 4.6 and 12).

A fault anywhere in a record makes all of it worthless, whatever stands before: so it is read before anything is asked. Each expression
is linear in the record, and a record is short.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Final

_MAX_RECORD: Final = 4_096  # octets; what is longer than any reply over UDP is nobody's policy


class Result(StrEnum):
    """What SPF says (section 2.6)."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    NONE = "none"
    PERMERROR = "permerror"
    TEMPERROR = "temperror"


class BadRecord(ValueError):
    """The record cannot be followed: a permanent error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A mechanism with its qualifier."""

    result: Result  # if it matches
    name: str  # in lower case
    spec: str = ""  # a domain, with its macros
    prefixes: tuple[int, int] = (32, 128)
    network: IPv4Network | IPv6Network | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """A record that was read."""

    terms: tuple[Term, ...]
    redirect: str | None  # a domain, with its macros


_EXPAND: Final = r"%\{[slodiphv](?:[1-9][0-9]{0,2})?r?[.+,/_=-]*\}"
_MACROS: Final = rf"(?:{_EXPAND}|%%|%_|%-|[!-$&-~])"
# A domain's end: a dot and a label as top levels are, or a macro.
_SPEC: Final = re.compile(
    rf"{_MACROS}*?(?:\.(?![0-9]+\.?\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.?|{_EXPAND})", re.IGNORECASE
)
_TERM: Final = re.compile(
    r"([+?~-]?)([a-z][a-z0-9]*)(?::([^/%]*(?:(?:%\{[^}]*\}|%[%_-]|/(?![0-9/]))[^/%]*)*))?((?:/[0-9/]*)?)", re.IGNORECASE
)
_MODIFIER: Final = re.compile(
    rf"([a-z][a-z0-9_.-]*)=((?:{_MACROS}|%\{{[crt](?:[1-9][0-9]{{0,2}})?r?[.+,/_=-]*\}})*)", re.IGNORECASE
)
_NETWORK: Final = re.compile(r"([+?~-]?)ip([46]):([0-9a-f:.]+)(?:/(0|[1-9][0-9]{0,2}))?", re.IGNORECASE)
_PREFIXES: Final = re.compile(r"(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?")
_RESULTS: Final = {"": Result.PASS, "+": Result.PASS, "-": Result.FAIL, "~": Result.SOFTFAIL, "?": Result.NEUTRAL}
ASKING: Final = frozenset({"include", "exists", "a", "mx", "ptr"})
_NEEDS_SPEC: Final = frozenset({"include", "exists"})
_TAKES_PREFIX: Final = frozenset({"a", "mx"})


def read_policy(text: str) -> Policy:
    """A record that begins with `v=spf1`.

    Raises:
        BadRecord: it cannot be followed.
    """
    if len(text) > _MAX_RECORD or not text.isascii():
        raise BadRecord
    terms: list[Term] = []
    modifiers: dict[str, str] = {}
    for word in filter(None, text.split(" ")[1:]):
        if modifier := _MODIFIER.fullmatch(word):
            name = modifier[1].lower()
            if name in ("redirect", "exp"):
                if name in modifiers or not _SPEC.fullmatch(modifier[2]):
                    raise BadRecord
                modifiers[name] = modifier[2]
        else:
            terms.append(_read_term(word))
    return Policy(tuple(terms), modifiers.get("redirect"))


def _read_term(word: str) -> Term:
    if network := _NETWORK.fullmatch(word):
        return _read_network(*network.groups())
    found = _TERM.fullmatch(word)
    if found is None:
        raise BadRecord
    name, spec = found[2].lower(), found[3]
    prefixes = _PREFIXES.fullmatch(found[4])
    if prefixes is None or not _is_well_formed(name, spec, has_prefix=bool(found[4])):
        raise BadRecord
    four, six = (int(prefixes[1] or 32), int(prefixes[2] or 128))
    if four > 32 or six > 128:
        raise BadRecord
    return Term(result=_RESULTS[found[1]], name=name, spec=spec or "", prefixes=(four, six))


def _is_well_formed(name: str, spec: str | None, *, has_prefix: bool) -> bool:
    if name == "all":
        return spec is None and not has_prefix
    if name not in ASKING or (has_prefix and name not in _TAKES_PREFIX):
        return False
    return name not in _NEEDS_SPEC if spec is None else _SPEC.fullmatch(spec) is not None


def _read_network(qualifier: str, version: str, address: str, prefix: str | None) -> Term:
    make = IPv4Network if version == "4" else IPv6Network
    try:
        network = make(address if prefix is None else f"{address}/{prefix}", strict=False)
    except ValueError:
        raise BadRecord from None
    return Term(result=_RESULTS[qualifier], name=f"ip{version}", network=network)
