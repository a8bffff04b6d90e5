from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.instants import DAY, SECOND, Instant, from_datetime, later, to_datetime


@given(st.integers(min_value=0, max_value=4_000_000_000 * SECOND))
def test_an_instant_survives_the_way_to_a_datetime_and_back(value: int) -> None:
    assert from_datetime(to_datetime(Instant(value))) == value


def test_an_instant_is_counted_from_1970_in_utc() -> None:
    assert from_datetime(datetime(1970, 1, 2, tzinfo=UTC)) == DAY


def test_later_adds_microseconds() -> None:
    assert later(Instant(5), SECOND) == 1_000_005
