"""How many mails a second a relay is given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.pace import Pace


def test_the_first_goes_at_once_and_the_next_waits_for_its_time() -> None:
    pace = Pace(2)
    assert pace.wait_s(1000.0) == 0
    pace.spend(1000.0)
    assert pace.wait_s(1000.0) == 0.5
    assert pace.wait_s(1000.25) == 0.25
    assert pace.wait_s(1000.5) == 0


def test_a_tenth_of_a_second_is_given_at_once() -> None:
    pace, given_ = Pace(1000), 0
    while not pace.wait_s(5.0):
        pace.spend(5.0)
        given_ += 1
    assert given_ == pytest.approx(100, abs=1)
    assert pace.wait_s(5.0) == pytest.approx(0.001, abs=0.0011)


def test_a_rest_earns_no_more_than_that() -> None:
    pace = Pace(1000)
    pace.spend(0.0)
    given_ = 0
    while not pace.wait_s(3600.0):
        pace.spend(3600.0)
        given_ += 1
    assert given_ <= 101


@given(rate=st.floats(0.1, 5000), steps=st.lists(st.floats(0, 2), min_size=1, max_size=60))
def test_never_more_than_the_rate_goes_out(rate: float, steps: list[float]) -> None:
    """Over any time: what the time earns, a tenth of a second's worth, and the one that is always given."""
    pace, now, given_ = Pace(rate), 0.0, 0
    for step in steps:
        now += step
        while given_ < 100_000 and not pace.wait_s(now):
            pace.spend(now)
            given_ += 1
    assert given_ <= (now + 0.1) * rate + 2


@given(rate=st.floats(0.1, 5000), now=st.floats(0, 1e6))
def test_after_the_wait_one_may_go(rate: float, now: float) -> None:
    pace = Pace(rate)
    while not (wait_s := pace.wait_s(now)):
        pace.spend(now)
    assert pace.wait_s(now + wait_s * (1 + 1e-9) + 1e-6) == 0
