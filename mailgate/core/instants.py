"""Instants: one way to say when, everywhere.

An instant is an integer of microseconds since 1970-01-01 00:00 UTC. It is what the database stores, what rules compare and what
the sender's hot loop carries, so nothing is converted on the way; local time exists only where a person reads it.
"""

from datetime import UTC, datetime, timedelta
from typing import NewType

Instant = NewType("Instant", int)

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_datetime(instant: Instant) -> datetime:
    """The aware UTC datetime of an instant."""
    return _EPOCH + timedelta(microseconds=instant)


def from_datetime(moment: datetime) -> Instant:
    """The instant of an aware datetime."""
    return Instant((moment - _EPOCH) // timedelta(microseconds=1))


def later(instant: Instant, microseconds: int) -> Instant:
    """The instant so many microseconds after another (negative: before)."""
    return Instant(instant + microseconds)
