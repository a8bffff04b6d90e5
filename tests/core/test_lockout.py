from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.instants import DAY, HOUR, MINUTE, Instant, later
from mailgate.core.lockout import (
    ATTACK,
    FREE,
    FREE_UNDER_ATTACK,
    LONGEST_WAIT,
    Failures,
    wait_of_known,
    wait_of_stranger,
)

NOW = Instant(1_800_000_000_000_000)
NONE = Failures(0, None)
COUNTS = st.integers(min_value=0, max_value=100)


def failed(count: int, ago: int = 0) -> Failures:
    return Failures(count, later(NOW, -ago) if count else None)


@pytest.mark.parametrize(
    "count, minutes",
    [(0, 0), (1, 0), (4, 0), (5, 1), (6, 2), (7, 4), (8, 8), (9, 16), (10, 32), (11, 60), (12, 60), (64, 60), (1000, 60)],
)
def test_after_five_free_tries_waits_double_up_to_an_hour(count: int, minutes: int) -> None:
    assert wait_of_known(failed(count), now=NOW) == minutes * MINUTE
    assert wait_of_stranger(pair=failed(count), network=NONE, login=NONE, now=NOW) == minutes * MINUTE


@pytest.mark.parametrize("count, minutes", [(0, 0), (1, 1), (2, 2), (3, 4), (4, 8), (7, 60)])
@pytest.mark.parametrize("network, login", [(ATTACK, 0), (0, ATTACK), (ATTACK, ATTACK)])
def test_under_attack_one_try_is_free(count: int, minutes: int, network: int, login: int) -> None:
    assert wait_of_stranger(pair=failed(count), network=failed(network), login=failed(login), now=NOW) == minutes * MINUTE


@pytest.mark.parametrize("network, login", list(product((0, ATTACK - 1), repeat=2)))
def test_a_little_less_is_no_attack(network: int, login: int) -> None:
    assert wait_of_stranger(pair=failed(FREE - 1), network=failed(network), login=failed(login), now=NOW) == 0


def test_waiting_counts_from_the_last_failure() -> None:
    assert wait_of_known(failed(6, ago=MINUTE), now=NOW) == MINUTE
    assert wait_of_known(failed(6, ago=2 * MINUTE), now=NOW) == 0
    assert wait_of_known(failed(6, ago=3 * MINUTE), now=NOW) == 0


def test_a_failure_from_the_future_counts_from_now() -> None:
    assert wait_of_known(failed(5, ago=-365 * DAY), now=NOW) == MINUTE


@given(pair=COUNTS, network=COUNTS, login=COUNTS, ago=st.integers(min_value=-DAY, max_value=DAY))
def test_nobody_waits_longer_than_the_longest_wait_and_a_fresh_pair_never(pair: int, network: int, login: int, ago: int) -> None:
    wait = wait_of_stranger(pair=failed(pair, ago), network=failed(network), login=failed(login), now=NOW)
    assert 0 <= wait <= LONGEST_WAIT == HOUR
    if pair < FREE_UNDER_ATTACK:
        assert wait == 0


@given(pair=COUNTS, network=COUNTS, login=COUNTS)
def test_more_failures_never_wait_less(pair: int, network: int, login: int) -> None:
    def wait(pair: int, network: int, login: int) -> int:
        return wait_of_stranger(pair=failed(pair), network=failed(network), login=failed(login), now=NOW)

    least = wait(pair, network, login)
    assert least <= min(wait(pair + 1, network, login), wait(pair, network + 1, login), wait(pair, network, login + 1))
