"""Care: how a sender goes on that has died again and again.

A death parks nothing: it says nothing about a row, and a machine that loses its power takes all of them along. But a row whose copy kills
the process would kill it at every start, with all that is claimed beside it. So after three unclean starts within a minute rows are
claimed one at a time, until ten have gone out. Whoever dies before that stays careful.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mailgate.core.instants import MINUTE, Instant

ENOUGH: Final = 10  # accepted copies
_DEATHS: Final = 3
_WITHIN: Final = MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """A start of the sender, and how it ended. `is_careful`: when it ended it still took one row at a time."""

    begun_at: Instant
    ended_well: bool
    is_careful: bool


def must_be_careful(earlier: Sequence[Life], *, now: Instant) -> bool:
    """Whether a sender that starts now takes one row at a time; `earlier` is newest first.

    A start is unclean when the life before it did not end well: three of them are this one and two before, and three deaths.
    """
    if not earlier or earlier[0].ended_well:
        return False
    if earlier[0].is_careful:
        return True
    if len(earlier) < _DEATHS or any(life.ended_well for life in earlier[:_DEATHS]):
        return False
    return now - earlier[_DEATHS - 2].begun_at <= _WITHIN
