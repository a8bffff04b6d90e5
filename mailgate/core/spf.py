"""SPF: whether a domain lets an address of the network send mail in its name (RFC 7208).

The rules are written out here because the one library for them is of 2020 and asks the DNS by itself, in a thread, for as long as it takes
(docs/adr/0006). A record is read whole before any of it is asked: a fault anywhere in it is a permanent error. What a stranger's record
can cost is bounded: ten terms that ask, two of them in vain, ten hosts behind each MX and PTR (section 4.6.4).

Left out: explanations, which nobody would read, and the macro `p`, which is always "unknown" (section 7.3 allows that and warns of it).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import quote

from mailgate.core.addresses import Address
from mailgate.core.lookups import Answer, Inquiry, Kind, Lack, Question, is_name, is_within, records
from mailgate.core.spfrecord import BadRecord, Result, Term, read_policy

MAX_ASKING: Final = 10
MAX_IN_VAIN: Final = 2
MAX_HOSTS: Final = 10


class _Temporary(Exception):
    """An answer is missing."""


@dataclass(slots=True, kw_only=True)
class _Check:
    """One evaluation: whom it is about, and what it has cost."""

    ip: IPv4Address | IPv6Address
    sender: Address
    helo: str
    asking: int = 0
    in_vain: int = 0


def check(*, ip: str, sender: Address, helo: str = "unknown") -> Inquiry[Result]:
    """Whether the sender's domain lets `ip` send. `ip` must be an address of the network."""
    address = ip_address(ip)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if "." not in sender.domain:  # section 4.3: not a name that could have a record
        return Result.NONE
    try:
        return (yield from _host(_Check(ip=address, sender=sender, helo=helo), sender.domain))
    except BadRecord:
        return Result.PERMERROR
    except _Temporary:
        return Result.TEMPERROR


def _host(check: _Check, domain: str) -> Inquiry[Result]:
    """check_host() of section 4."""
    text = _chosen((yield Question(domain, Kind.TXT))) if is_name(domain) else None
    if text is None:
        return Result.NONE
    policy = read_policy(text)
    for term in policy.terms:
        if (yield from _matches(check, term, domain)):
            return term.result
    if policy.redirect is None:
        return Result.NEUTRAL
    _count_asking(check)
    result = yield from _host(check, _expanded(check, policy.redirect, domain))
    if result is Result.NONE:
        raise BadRecord
    return result


def _chosen(answer: Answer) -> str | None:
    """The one record of SPF (sections 4.4 and 4.5)."""
    if answer is Lack.UNKNOWN:
        raise _Temporary
    found = [text for text in records(answer) if text[:7].lower().rstrip(" ") == "v=spf1"]
    if len(found) > 1:
        raise BadRecord
    return found[0] if found else None


# Mechanisms


def _matches(check: _Check, term: Term, domain: str) -> Inquiry[bool]:
    if term.network is not None:
        return check.ip in term.network
    if term.name == "all":
        return True
    _count_asking(check)
    target = _expanded(check, term.spec, domain) if term.spec else domain
    return (yield from _ASKING[term.name](check, term, target))


def _include(check: _Check, _term: Term, target: str) -> Inquiry[bool]:
    result = yield from _host(check, target)
    if result is Result.NONE:  # section 5.2
        raise BadRecord
    return result is Result.PASS


def _exists(check: _Check, _term: Term, target: str) -> Inquiry[bool]:
    return bool((yield from _records(check, target, Kind.A)))


def _a(check: _Check, term: Term, target: str) -> Inquiry[bool]:
    for text in (yield from _records(check, target, _kind(check.ip))):
        if check.ip in ip_network((text, term.prefixes[check.ip.version == 6]), strict=False):
            return True
    return False


def _mx(check: _Check, term: Term, target: str) -> Inquiry[bool]:
    hosts = yield from _records(check, target, Kind.MX)
    if len(hosts) > MAX_HOSTS:
        raise BadRecord
    for host in hosts:
        if (yield from _a(check, term, host)):
            return True
    return False


def _ptr(check: _Check, _term: Term, target: str) -> Inquiry[bool]:
    """Section 5.5: faults on the way are no match."""
    names = records((yield Question(check.ip.reverse_pointer, Kind.PTR)))
    for name in names[:MAX_HOSTS]:
        if not is_within(name.lower(), target.lower()) or not is_name(name):
            continue
        if any(ip_address(text) == check.ip for text in records((yield Question(name, _kind(check.ip))))):
            return True
    return False


_ASKING: Final[dict[str, Callable[[_Check, Term, str], Inquiry[bool]]]] = {
    "include": _include,
    "exists": _exists,
    "a": _a,
    "mx": _mx,
    "ptr": _ptr,
}


def _records(check: _Check, name: str, kind: Kind) -> Inquiry[tuple[str, ...]]:
    """What is there of a name, with the price of asking in vain."""
    answer = (yield Question(name, kind)) if is_name(name) else Lack.NO_NAME
    if answer is Lack.UNKNOWN:
        raise _Temporary
    found = records(answer)
    check.in_vain += not found
    if check.in_vain > MAX_IN_VAIN:
        raise BadRecord
    return found


def _count_asking(check: _Check) -> None:
    check.asking += 1
    if check.asking > MAX_ASKING:
        raise BadRecord


def _kind(ip: IPv4Address | IPv6Address) -> Kind:
    return Kind.A if ip.version == 4 else Kind.AAAA


# Macros (section 7)

_MACRO: Final = re.compile(r"%(?:\{([a-z])([0-9]*)(r?)([.+,/_=-]*)\}|([%_-]))", re.IGNORECASE)
_ESCAPES: Final = {"%": "%", "_": " ", "-": "%20"}
_LONGEST: Final = 253


def _expanded(check: _Check, spec: str, domain: str) -> str:
    """A domain with what its macros stand for; too long ones lose labels on the left."""

    def replacement(found: re.Match[str]) -> str:
        letter, count, backwards, delimiters, escape = found.groups()
        if escape:
            return _ESCAPES[escape]
        parts = re.split(f"[{re.escape(delimiters or '.')}]", _value(check, letter.lower(), domain))
        if backwards:
            parts.reverse()
        value = ".".join(parts[-int(count) :] if count else parts)
        return quote(value, safe="") if letter.isupper() else value

    name = _MACRO.sub(replacement, spec).removesuffix(".")
    while len(name) > _LONGEST and "." in name:
        name = name.partition(".")[2]
    return name


def _value(check: _Check, letter: str, domain: str) -> str:
    ip, sender = check.ip, check.sender
    if letter == "i":
        return str(ip) if ip.version == 4 else ".".join(ip.exploded.replace(":", ""))
    return {
        "s": sender.spec,
        "l": sender.local,
        "o": sender.domain,
        "d": domain,
        "h": check.helo,
        "p": "unknown",
        "v": "in-addr" if ip.version == 4 else "ip6",
    }[letter]
