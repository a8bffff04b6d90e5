"""When a sender takes one row at a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.care import Life, must_be_careful
from mailgate.core.instants import MINUTE, SECOND, Instant, later
from tests.fakes import NEW_YEAR_2026

NOW = NEW_YEAR_2026


def died(*, ago: int, careful: bool = False) -> Life:
    return Life(begun_at=later(NOW, -ago), ended_well=False, is_careful=careful)


def ended(*, ago: int, careful: bool = False) -> Life:
    return Life(begun_at=later(NOW, -ago), ended_well=True, is_careful=careful)


@pytest.mark.parametrize(
    "earlier, careful",
    [
        ([], False),
        ([died(ago=SECOND)], False),
        ([died(ago=SECOND), died(ago=2 * SECOND)], False),
        ([died(ago=SECOND), died(ago=2 * SECOND), died(ago=MINUTE)], True),
        ([died(ago=SECOND), died(ago=MINUTE), died(ago=60 * MINUTE)], True),  # three unclean starts: now, and two within a minute
        ([died(ago=SECOND), died(ago=MINUTE + 1), died(ago=2 * MINUTE)], False),
        ([ended(ago=SECOND), died(ago=2 * SECOND), died(ago=3 * SECOND)], False),
        ([died(ago=SECOND), ended(ago=2 * SECOND), died(ago=3 * SECOND)], False),
        ([died(ago=SECOND), died(ago=2 * SECOND), ended(ago=3 * SECOND)], False),
        ([died(ago=SECOND), died(ago=2 * SECOND), died(ago=3 * SECOND), ended(ago=4 * SECOND)], True),
        ([died(ago=60 * MINUTE, careful=True)], True),  # it died before ten had gone out
        ([ended(ago=SECOND, careful=True)], False),
        ([died(ago=SECOND), died(ago=60 * MINUTE, careful=True)], False),
    ],
)
def test_a_sender_is_careful_after_three_unclean_starts_within_a_minute(earlier: list[Life], careful: bool) -> None:
    assert must_be_careful(earlier, now=NOW) is careful


lives = st.builds(Life, begun_at=st.integers(NOW - MINUTE, NOW).map(Instant), ended_well=st.booleans(), is_careful=st.booleans())


@given(st.lists(lives))
def test_who_ended_well_is_followed_by_one_without_care(earlier: list[Life]) -> None:
    first = Life(begun_at=NOW, ended_well=True, is_careful=True)
    assert not must_be_careful([first, *earlier], now=NOW)
