"""What the sender and a relay say to each other: a copy goes in, an outcome comes back.

An outcome is one of three values, because the sender has three things to do: it is done, it is tried again, it has failed for good.
Whatever is not understood is Deferred: a delivery too many is a nuisance, a delivery lost is a child whose parents do not know.
The phase says how far the conversation had come, since the same code means different things in different phases: carriers answer 550
to RCPT for an address that is gone, and 550 after the final dot for a mail that a guardian's own filter refused.

A reply is foreign text and often quotes the recipient. It is kept for operators, so what looks like an address is taken out, what does
not print is too, and it is cut.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from mailgate.core.lines import Lines

MAX_TEXT: Final = 200


class Phase(StrEnum):
    """How far the conversation had come when the answer was given."""

    CONNECT = "connect"
    EHLO = "ehlo"
    TLS = "tls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    EOD = "eod"  # after the final dot
    INTERNAL = "internal"  # a fault of ours: nothing was said


# The answer is about the relay and not about the copy: no copy had been named yet.
BEFORE_ANY_COPY: Final = frozenset({Phase.CONNECT, Phase.EHLO, Phase.TLS, Phase.AUTH})


class Copy(NamedTuple):
    """One mail to one recipient, ready for the wire."""

    id: int  # of the outbox row
    sender: str  # envelope
    recipient: str
    content: Lines  # not dot-stuffed

    def __repr__(self) -> str:
        return f"Copy(id={self.id})"


class Accepted(NamedTuple):
    """The next server took it."""

    code: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """Not now, or not known: it is tried again."""

    phase: Phase
    code: int | None
    enhanced: str | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Never."""

    phase: Phase
    code: int | None
    enhanced: str | None
    text: str


Outcome = Accepted | Deferred | Refused


# What a relay says of a copy that it was not let finish: it is owed as it was.
CUT: Final = Deferred(phase=Phase.INTERNAL, code=None, enhanced=None, text="cut off at the end")


class Source(Protocol):
    """Where a relay gets its copies, and says what became of them. Both are called in the loop and return at once."""

    def take(self) -> Copy | None:
        """The copy that goes next. None: there is none, or as many are under way as may be; then the relay is nudged later."""
        ...

    def done(self, copy: Copy, outcome: Outcome) -> None:
        """What became of a copy that was taken: once for each. A Deferred in the phase `internal` is an exception of ours."""
        ...


class Relay(Protocol):
    """The next server, as the sender sees it. It takes its copies itself, as many at once as it has connections."""

    def start(self, source: Source) -> None:
        """Take copies from there from now on."""
        ...

    def nudge(self) -> None:
        """There may be something to take."""
        ...

    async def close(self, grace_s: float) -> None:
        """Take no more, let end what is under way within so many seconds, then cut it off; what was taken has been answered then."""
        ...


# RFC 3463 section 2: class, subject and detail. RFC 2034 puts it first in every line of the text.
_ENHANCED: Final = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?!\S)")

# What stands round an `@`, in any writing of it; a quoted local part may hold blanks.
_ADDRESS_LIKE: Final = re.compile(
    r"""(?:"[^"@＠]{0,64}"|[^\s<>",;:()@＠﹫]{0,200})(?:[@＠﹫]|%40)[^\s<>"',;()]{0,200}""", re.IGNORECASE
)
# A path without `@`. Empty brackets stay: KDDI says by them that a filter refused, not that the address is gone.
_PATH_LIKE: Final = re.compile(r"<[^<>]{1,300}>")
# Without one of these there is neither.
_WORTH_A_LOOK: Final = re.compile(r"[@＠﹫<]|%40")
# Nearly every reply is a plain 250: printing ASCII without `%`, `<` and `@`, its words one blank apart.
_PLAIN: Final = re.compile(r"[!-$&-;=>?A-~]+(?: [!-$&-;=>?A-~]+)*+")
# Far more than is kept, and a bound on the work that a foreign text can make.
_LOOKED_AT: Final = 2000
# Shorter ones would take ordinary words apart, and say little.
_SHORTEST_LOCAL: Final = 3


def enhanced_of(text: str) -> str | None:
    """The enhanced status code at the head of a reply's text."""
    found = _ENHANCED.match(text)
    return found.group(1) if found else None


def masked(text: str, *, about: str = "") -> str:
    """A reply's text as we keep it: nothing address-like, only what prints, one line of at most 200 characters.

    `about` is the address the reply is about: its local part is taken out even where it stands alone.
    """
    kept = text[:_LOOKED_AT]
    is_plain = _PLAIN.fullmatch(kept) is not None
    if not is_plain:
        if not kept.isprintable():
            kept = "".join([char if char.isprintable() else " " for char in kept])
        if _WORTH_A_LOOK.search(kept):
            kept = _PATH_LIKE.sub("<***>", _ADDRESS_LIKE.sub("***", kept))
    local = about.rpartition("@")[0]
    if len(local) >= _SHORTEST_LOCAL and local.lower() in kept.lower():
        kept = re.sub(re.escape(local), "***", kept, flags=re.IGNORECASE)
    return (kept if is_plain else " ".join(kept.split()))[:MAX_TEXT]
