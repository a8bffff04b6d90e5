"""A delivery's life: its states, its lanes, and when it is tried again.

A delivery is one row of the outbox: one mail to one address. Rules:
- The whole life is the table MOVES; a pair that is not in it does not happen, and `move` says so with None. The statements of the
  store carry the same conditions in SQL, and a test holds them against this table.
- What the next server says can be overtaken. A bounce is known to be ours by its keyed token, and no copy leaves without a token: it
  proves that the copy did leave, whatever our own record says by then. So a notice moves every state, a late answer moves nothing
  that a notice has moved, and of two notices a bounce is the one that stands.
- A defect of ours or of the relay never uses up a delivery: it is owed until its lifetime ends.
- A lane is how urgent a mail is, and with it how long it is worth anything. A retry is spread by +-20 %, so that what failed together
  does not come back together, and is never later than the end of the lifetime, where the row expires.
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final

from mailgate.core.instants import DAY, HOUR, MINUTE, SECOND, Instant


class State(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"  # owed; the sender takes it when it is due
    LEASED = "leased"  # a sender has it
    HANDED_OVER = "handed_over"  # the next server took it
    DELIVERED = "delivered"  # a notice of success came
    BOUNCED = "bounced"  # a notice of failure came
    FAILED = "failed"  # refused for good, or parked after three exceptions
    EXPIRED = "expired"  # not handed over in its lifetime
    CANCELLED = "cancelled"  # its broadcast was cancelled before its turn


class Event(StrEnum):
    """What happens to a delivery."""

    CLAIM = "claim"
    RELEASE = "release"
    ACCEPT = "accept"
    DEFER = "defer"
    REFUSE = "refuse"
    EXPIRE = "expire"
    CANCEL = "cancel"
    PARK = "park"
    NOTICE_DELIVERED = "notice_delivered"
    NOTICE_BOUNCED = "notice_bounced"


MOVES: Final[Mapping[tuple[State, Event], State]] = MappingProxyType(
    {
        (State.PENDING, Event.CLAIM): State.LEASED,
        (State.PENDING, Event.EXPIRE): State.EXPIRED,
        (State.PENDING, Event.CANCEL): State.CANCELLED,
        # Its lease ran out while it was on the wire.
        (State.PENDING, Event.ACCEPT): State.HANDED_OVER,
        (State.LEASED, Event.RELEASE): State.PENDING,
        (State.LEASED, Event.ACCEPT): State.HANDED_OVER,
        (State.LEASED, Event.DEFER): State.PENDING,
        (State.LEASED, Event.REFUSE): State.FAILED,
        (State.LEASED, Event.PARK): State.FAILED,
        (State.LEASED, Event.EXPIRE): State.EXPIRED,
        # Claimed and not begun when its broadcast was cancelled.
        (State.LEASED, Event.CANCEL): State.CANCELLED,
        (State.HANDED_OVER, Event.NOTICE_DELIVERED): State.DELIVERED,
        (State.HANDED_OVER, Event.NOTICE_BOUNCED): State.BOUNCED,
        # The notice overtook our own record of the 250.
        (State.LEASED, Event.NOTICE_DELIVERED): State.DELIVERED,
        (State.LEASED, Event.NOTICE_BOUNCED): State.BOUNCED,
        # The answer to the final dot was lost, with the connection or with our process: we thought it was still owed ...
        (State.PENDING, Event.NOTICE_DELIVERED): State.DELIVERED,
        (State.PENDING, Event.NOTICE_BOUNCED): State.BOUNCED,
        # ... or had come to an end without going out.
        (State.FAILED, Event.NOTICE_DELIVERED): State.DELIVERED,
        (State.FAILED, Event.NOTICE_BOUNCED): State.BOUNCED,
        (State.EXPIRED, Event.NOTICE_DELIVERED): State.DELIVERED,
        (State.EXPIRED, Event.NOTICE_BOUNCED): State.BOUNCED,
        (State.CANCELLED, Event.NOTICE_DELIVERED): State.DELIVERED,
        (State.CANCELLED, Event.NOTICE_BOUNCED): State.BOUNCED,
        # A mailbox that forwards reported success before the mailbox behind it failed.
        (State.DELIVERED, Event.NOTICE_BOUNCED): State.BOUNCED,
    }
)

# What the sender still owes.
OPEN: Final = frozenset({State.PENDING, State.LEASED})

# What has ended: only a notice still corrects it. `handed_over` is neither: nothing is owed, and a notice may come.
TERMINAL: Final = frozenset(State) - OPEN - {State.HANDED_OVER}


def move(state: State, event: Event) -> State | None:
    """The state after the event, or None: it does not happen in this state."""
    return MOVES.get((state, event))


class Lane(IntEnum):
    """How urgent a mail is; the lower number goes first."""

    ALARM = 0
    SINGLE = 1
    ORDINARY = 2


# From confirming (broadcasts) or enqueuing (single mails) on: nothing is handed over later. An old alarm in the night does harm, and an
# answer to a blank mail is waited for now or not at all.
LIFETIME: Final[Mapping[Lane, int]] = MappingProxyType(
    {Lane.ALARM: 6 * HOUR, Lane.SINGLE: 30 * MINUTE, Lane.ORDINARY: 3 * DAY},
)

# How long after the first, second ... failed attempt the next one is made; the last step is the cap. Greylisting lets nobody in before
# 60 s and mostly not before 300 s, so nobody but an alarm asks earlier.
_PAUSES: Final[Mapping[Lane, tuple[int, ...]]] = MappingProxyType(
    {
        Lane.ALARM: (75 * SECOND, 150 * SECOND, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE),
        Lane.SINGLE: (5 * MINUTE,),
        Lane.ORDINARY: (5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, 60 * MINUTE),
    }
)

_SPREAD: Final = 0.2


def retry_at(lane: Lane, attempt: int, *, now: Instant, expires_at: Instant, jitter: float) -> Instant:
    """When a delivery is tried again after its attempt number `attempt` (the first is 1) failed for now; `jitter` is in [-1, 1]."""
    pauses = _PAUSES[lane]
    pause = pauses[min(max(attempt, 1), len(pauses)) - 1]
    return Instant(min(now + int(pause * (1 + _SPREAD * jitter)), expires_at))
