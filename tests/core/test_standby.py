"""Which of several next servers has our mail."""

from itertools import groupby

import pytest

from mailgate.core.standby import Standby

FIRST, SECOND, THIRD = 0, 1, 2


def a_standby(count: int = 2) -> Standby:
    return Standby(count, away_s=3)


def fails(standby: Standby, which: int, *moments: float, in_use: bool = False) -> list[bool]:
    """What each of some attempts does that fail as soon as they are begun."""
    return [standby.failed(which, begun=moment, now=moment, in_use=in_use) for moment in moments]


def test_the_first_has_the_turn() -> None:
    assert a_standby().turn == FIRST


def test_the_second_has_its_turn_when_the_first_was_away_for_some_seconds() -> None:
    standby = a_standby()
    assert fails(standby, FIRST, 10.0, 11.0, 12.9) == [False] * 3
    assert standby.turn == FIRST
    assert fails(standby, FIRST, 13.0) == [True]
    assert standby.turn == SECOND


def test_an_attempt_that_took_long_counts_from_its_beginning() -> None:
    assert a_standby().failed(FIRST, begun=10.0, now=40.0, in_use=False)


def test_whoever_gets_through_meanwhile_ends_the_count() -> None:
    standby = a_standby()
    fails(standby, FIRST, 10.0)
    assert not standby.reached(FIRST)
    assert fails(standby, FIRST, 13.0, 15.9) == [False, False]
    assert fails(standby, FIRST, 16.0) == [True]


def test_one_that_only_takes_no_further_connection_is_not_away() -> None:
    standby = a_standby()
    assert fails(standby, FIRST, *range(10, 100), in_use=True) == [False] * 90
    assert fails(standby, FIRST, 100.0, 102.0) == [False, False]


def test_what_is_known_of_others_than_the_one_in_turn_changes_nothing() -> None:
    standby = a_standby(3)
    assert fails(standby, SECOND, 10.0, 20.0) == [False, False]
    assert not standby.reached(THIRD)
    assert standby.turn == FIRST
    fails(standby, FIRST, 10.0)
    assert not standby.reached(SECOND)
    assert fails(standby, FIRST, 13.0) == [True]


def test_everything_goes_back_to_the_first_once_it_answers() -> None:
    standby = a_standby()
    fails(standby, FIRST, 10.0, 13.0)
    assert not standby.reached(SECOND)
    assert standby.turn == SECOND
    assert standby.reached(FIRST)
    assert standby.turn == FIRST


def test_when_all_are_away_each_has_its_turn() -> None:
    standby, turns = a_standby(3), []
    for moment in range(0, 40, 2):
        fails(standby, standby.turn, moment)
        turns.append(standby.turn)
    assert [turn for turn, _ in groupby(turns)] == [FIRST, SECOND, THIRD, FIRST, SECOND, THIRD, FIRST]


@pytest.mark.parametrize("moments", [[0.0], [0.0, 100.0], [0.0, 5.0, 10.0]])
def test_the_only_one_keeps_the_turn(moments: list[float]) -> None:
    standby = a_standby(1)
    assert fails(standby, FIRST, *moments) == [False] * len(moments)
    assert standby.turn == FIRST
