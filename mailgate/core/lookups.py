"""Lookups: what is asked of the DNS, and how a rule asks without waiting.

A rule that needs the DNS is a generator: it yields a Question, is sent the Answer, and returns what it found. So the rule knows no socket,
no time-out and no cache, and a test answers it from a dictionary; what carries it to a name server is on mail's edge (smtp.names).

"There is no such name" and "there is nothing of that kind" are answers and facts. UNKNOWN is none: no server said anything, or it failed.
Nobody is refused for that.
"""

import re
from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, TypeVar

T = TypeVar("T")

_LABEL: Final = r"[ -\-/-\[\]-~]{1,63}"  # what prints in ASCII, less the dot and the backslash
_NAME: Final = re.compile(rf"(?:{_LABEL}\.){{0,126}}{_LABEL}")
_LONGEST: Final = 253  # RFC 1035 section 2.3.4, less the root's dot and the length octets


class Kind(StrEnum):
    """A type of record."""

    A = "A"
    AAAA = "AAAA"
    MX = "MX"
    PTR = "PTR"
    TXT = "TXT"


@dataclass(frozen=True, slots=True)
class Question:
    """A name without its last dot, and what is wanted of it."""

    name: str
    kind: Kind


class Lack(Enum):
    """Why there are no records."""

    NO_NAME = "no_name"  # NXDOMAIN: neither this kind nor any other
    NO_RECORD = "no_record"  # the name is there, nothing of this kind
    UNKNOWN = "unknown"  # nobody said


# The records as text: addresses, the hosts of MX (the root is "."), names, the joined strings of a TXT. Never empty.
Answer = tuple[str, ...] | Lack

Inquiry = Generator[Question, Answer, T]


def is_name(text: str) -> bool:
    """Whether a text can be asked for. A label may hold more than a host's name does: SPF makes labels of local parts."""
    return len(text) <= _LONGEST and _NAME.fullmatch(text) is not None


def is_within(name: str, domain: str) -> bool:
    """Whether a name is a domain's or below it. Both in lower case."""
    return name == domain or name.endswith("." + domain)


def records(answer: Answer) -> tuple[str, ...]:
    """The records, none if there is a lack of them."""
    return () if isinstance(answer, Lack) else answer
