"""Authentication: whether a mail is from whom it says, put together from what is known.

A domain's mail can be told from forged mail by SPF (who may send for it) and by DKIM (who signed), each of which counts if it speaks for
the author's own organisation, and a domain says by DMARC that it takes part. One of the two is enough: a forwarded mail keeps its
signature and loses its sender's network. What nobody could find out is UNKNOWN, and does no harm.

What a relay of ours says in Authentication-Results (RFC 8601) is taken for what we would find out ourselves; it saw the client, and we did
not. What it says nothing of, we find out. Fields are read in linear time, and what cannot be read says nothing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from mailgate.core.addresses import Address
from mailgate.core.headers import Headers
from mailgate.core.inbound import Inbound


class Check(StrEnum):
    """What one of SPF and DKIM says for the author's organisation."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    UNKNOWN = "unknown"


class Published(StrEnum):
    """Whether the author's domain has a DMARC record."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Verdict(StrEnum):
    """What is to be thought of a mail's author."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"  # the domain could be told, and it was not the domain
    NONE = "none"  # the domain does not take part
    UNKNOWN = "unknown"


class Reach(StrEnum):
    """Whether mail to a domain could arrive."""

    YES = "yes"
    NO_DOMAIN = "no_domain"
    NULL_MX = "null_mx"  # RFC 7505
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was found out about a mail before anything is decided."""

    verdict: Verdict = Verdict.UNKNOWN
    is_aligned: bool = False  # sender and author are of one organisation
    reach: Reach = Reach.UNKNOWN  # of the domain that an answer would go to
    client: str | None = None  # who gave the mail to us, or to the outermost of our relays


class Prover(Protocol):
    """Finds out, with or without the DNS."""

    async def prove(self, mail: Inbound, headers: Headers, *, to: Address) -> Proof:
        """What is known of a mail that would be answered to `to`. Takes its time, a few seconds at most; raises nothing."""
        ...


def verdict(published: Published, *, spf: Check, dkim: Check) -> Verdict:
    """What the three say together."""
    checks = {spf, dkim}
    if Check.PASS in checks:
        return Verdict.PASS
    if published is not Published.YES:
        return Verdict.NONE if published is Published.NO else Verdict.UNKNOWN
    return Verdict.UNKNOWN if Check.UNKNOWN in checks else Verdict.FAIL


# Authentication-Results


@dataclass(frozen=True, slots=True)
class Claim:
    """`method=result` and what it is about, such as {"header.d": "example.jp"}; all in lower case."""

    method: str
    result: str
    about: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Results:
    """One field: who says so, and what."""

    by: str
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What our relays state of a mail. None: nothing."""

    verdict: Verdict | None = None
    spf: Check | None = None  # whatever domain it is about
    spf_domain: str = ""
    dkim: Check | None = None
    dkim_domains: tuple[str, ...] = ()  # of good signatures


_LOOKED_AT: Final = 10_000
# Comments and quoted strings; a quote that never ends is a character.
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[^"\\();]++|\\.|.', re.DOTALL)
_IN_QUOTES: Final = str.maketrans(dict.fromkeys(' \t;="', "_"))
_VERDICTS: Final[Mapping[str, Verdict]] = MappingProxyType(
    {"pass": Verdict.PASS, "fail": Verdict.FAIL, "none": Verdict.NONE, "bestguesspass": Verdict.NONE}
)


def read_results(value: str) -> Results:
    """A field of RFC 8601 section 2.2."""
    segments: list[list[str]] = [[]]
    depth = 0
    for token in _TOKEN.finditer(value[:_LOOKED_AT]):
        text = token[0]
        if text in "()":
            depth = max(depth + (1 if text == "(" else -1), 0)
            segments[-1].append(" ")
        elif depth:
            continue
        elif text == ";":
            segments.append([])
        else:
            segments[-1].append(text[1:-1].translate(_IN_QUOTES) if len(text) > 1 and text[0] == '"' else text)
    by, *claims = ("".join(parts).split() for parts in segments)
    found = (_claim(words) for words in claims)
    return Results(by[0].lower() if by else "", tuple(claim for claim in found if claim is not None))


def _claim(words: list[str]) -> Claim | None:
    """One result; blanks round a `=` are none."""
    method, *pairs = " ".join(words).replace(" =", "=").replace("= ", "=").lower().split(" ")
    name, equals, result = method.partition("=")
    if not equals:
        return None
    about = {name: value for name, equals, value in (pair.partition("=") for pair in pairs) if equals and "." in name}
    return Claim(name.partition("/")[0], result, MappingProxyType(about))


def stated(claims: Sequence[Claim], *, author: str) -> Stated:
    """What the claims say of a mail whose author is of a domain. Of one method the topmost claim counts, of DKIM all."""
    found: Verdict | None = None
    # A result for another From than the one we read is none.
    dmarc = next((each for each in claims if each.method == "dmarc"), None)
    if dmarc is not None and _domain(dmarc, "header.from", default=author) == author:
        found = _VERDICTS.get(dmarc.result, Verdict.UNKNOWN)
    spf = next((each for each in claims if each.method == "spf"), None)
    dkim = [each for each in claims if each.method == "dkim"]
    return Stated(
        verdict=found,
        spf=None if spf is None else _check([spf.result]),
        spf_domain="" if spf is None else _domain(spf, "smtp.mailfrom", "smtp.mail"),
        dkim=_check([each.result for each in dkim]) if dkim else None,
        dkim_domains=tuple(_domain(each, "header.d", "header.i") for each in dkim if each.result == "pass"),
    )


def _check(results: Sequence[str]) -> Check:
    if "pass" in results:
        return Check.PASS
    return Check.UNKNOWN if "temperror" in results else Check.FAIL


def _domain(claim: Claim, *names: str, default: str = "") -> str:
    value = next((claim.about[name] for name in names if name in claim.about), default)
    return value.rpartition("@")[2]
