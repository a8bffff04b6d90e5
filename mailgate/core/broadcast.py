"""A broadcast's life, its kind, and the lane its copies take.

A broadcast is drafted by a mail, lives by what people press, and ends in a state that nothing leaves. The whole life is the table MOVES;
a pair that is not in it does not happen, and `move` says so with None: the caller tells the person that it is too late.

The kind decides the lane and with it how long anything of it may still be handed over: a warning that comes at night, hours after the
danger, does harm. There is one table of lanes and lifetimes, in `delivery`.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from mailgate.core.delivery import LIFETIME as LANE_LIFETIME
from mailgate.core.delivery import Lane
from mailgate.core.instants import DAY


class Kind(StrEnum):
    """What a broadcast is; its tag leads the subject."""

    EMERGENCY = "emergency"
    ALERT = "alert"
    EDUCATION = "education"
    NOTICE = "notice"
    DRILL = "drill"


TAG: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        Kind.EMERGENCY: "緊急連絡",
        Kind.ALERT: "緊急情報",
        Kind.EDUCATION: "教育情報",
        Kind.NOTICE: "お知らせ",
        Kind.DRILL: "訓練",
    }
)
KIND: Final[Mapping[str, Kind]] = MappingProxyType({tag: kind for kind, tag in TAG.items()})

LANE: Final[Mapping[Kind, Lane]] = MappingProxyType(
    {
        Kind.EMERGENCY: Lane.ALARM,
        Kind.ALERT: Lane.ALARM,
        Kind.EDUCATION: Lane.ORDINARY,
        Kind.NOTICE: Lane.ORDINARY,
        Kind.DRILL: Lane.ORDINARY,
    }
)

# From confirming on: nothing of the broadcast is handed over later.
LIFETIME: Final[Mapping[Kind, int]] = MappingProxyType({kind: LANE_LIFETIME[lane] for kind, lane in LANE.items()})

# From drafting on: a draft that nobody confirmed by then lapses.
DRAFT_LIFETIME: Final = DAY


class State(StrEnum):
    """Where a broadcast stands."""

    DRAFTED = "drafted"
    CONFIRMED = "confirmed"
    SENDING = "sending"
    DONE = "done"
    HALTED = "halted"
    DROPPED = "dropped"
    LAPSED = "lapsed"
    CANCELLED = "cancelled"


class Event(StrEnum):
    """What happens to a broadcast."""

    CONFIRM = "confirm"
    START = "start"
    FINISH = "finish"
    HALT = "halt"
    RESUME = "resume"
    DROP = "drop"
    LAPSE = "lapse"
    CANCEL = "cancel"


MOVES: Final[Mapping[tuple[State, Event], State]] = MappingProxyType(
    {
        (State.DRAFTED, Event.CONFIRM): State.CONFIRMED,
        (State.DRAFTED, Event.DROP): State.DROPPED,
        (State.DRAFTED, Event.LAPSE): State.LAPSED,
        (State.CONFIRMED, Event.START): State.SENDING,
        (State.CONFIRMED, Event.CANCEL): State.CANCELLED,
        # Pressed before the sender took it up; resumed, it is expanded from where that stopped, which is the beginning.
        (State.CONFIRMED, Event.HALT): State.HALTED,
        (State.SENDING, Event.FINISH): State.DONE,
        (State.SENDING, Event.HALT): State.HALTED,
        (State.SENDING, Event.CANCEL): State.CANCELLED,
        (State.HALTED, Event.RESUME): State.SENDING,
        (State.HALTED, Event.CANCEL): State.CANCELLED,
        # Its last copies were in flight when it was halted, or its lifetime ran out before anybody resumed it.
        (State.HALTED, Event.FINISH): State.DONE,
    }
)

# What nothing leaves.
TERMINAL: Final = frozenset(State) - {state for state, _ in MOVES}


def move(state: State, event: Event) -> State | None:
    """The state after the event, or None: it does not happen in this state."""
    return MOVES.get((state, event))
