"""How far the machine's clock is believed (MR-60)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.instants import DAY, HOUR, MINUTE, SECOND, Instant, later
from mailgate.core.timekeeping import (
    MISSED,
    NO_LIMIT,
    SETTLING,
    STEP,
    Moment,
    TimeUnknown,
    begin,
    doubt,
    go_on,
    is_same_boot,
    shift_of_owed,
)

NOW = Instant(1_767_193_200 * SECOND)
YEAR = 365 * DAY
LAST = Moment(at=NOW, boot="a", uptime=DAY)
JUMPS = [-YEAR, -HOUR, -STEP - SECOND, STEP + SECOND, HOUR, YEAR]

instants = st.integers(0, 4_000_000_000 * SECOND).map(Instant)
spans = st.integers(0, 30 * DAY)
looks = st.lists(st.tuples(st.integers(0, HOUR), st.one_of(st.integers(-3 * MINUTE, 3 * MINUTE), st.integers(-2 * YEAR, 2 * YEAR))))


def after(lived: int, *, off: int = 0, boot: str = "a") -> Moment:
    """What the machine says so much later, its clock so far off."""
    return Moment(at=later(NOW, lived + off), boot=boot, uptime=DAY + lived)


# Going on


@pytest.mark.parametrize("off", [0, 1, SECOND, STEP])
def test_what_is_put_right_forth_is_followed_at_once(off: int) -> None:
    assert go_on(NOW, lived=SECOND, wall=later(NOW, SECOND + off)) == NOW + SECOND + off


@pytest.mark.parametrize("off", [-1, -SECOND, -STEP])
def test_what_is_put_right_back_is_caught_up_at_half_speed(off: int) -> None:
    now, wall = NOW, later(NOW, off)
    for _ in range(-2 * off // SECOND + 1):
        before, now, wall = now, go_on(now, lived=SECOND, wall=later(wall, SECOND)), later(wall, SECOND)
        assert before < now
    assert now == wall


@pytest.mark.parametrize("jump", JUMPS)
def test_a_jump_is_not_believed_however_long_it_stands(jump: int) -> None:
    now = NOW
    for second in range(1, 1_000):
        now = go_on(now, lived=SECOND, wall=later(NOW, jump + second * SECOND))
    assert now == NOW + 999 * SECOND
    assert doubt(now=now, wall=later(now, jump)) == jump


@pytest.mark.parametrize("jump", JUMPS)
def test_a_clock_that_is_set_right_again_is_believed(jump: int) -> None:
    now = go_on(NOW, lived=HOUR, wall=later(NOW, HOUR + jump))
    now = go_on(now, lived=HOUR, wall=later(NOW, 2 * HOUR + SECOND))
    assert now == NOW + 2 * HOUR + SECOND
    assert doubt(now=now, wall=now) == 0


def test_the_longer_nobody_looked_the_more_may_have_been_put_right() -> None:
    assert go_on(NOW, lived=30 * DAY, wall=later(NOW, 30 * DAY + 40 * MINUTE)) == NOW + 30 * DAY + 40 * MINUTE
    assert go_on(NOW, lived=30 * DAY, wall=later(NOW, 30 * DAY - 40 * MINUTE)) == NOW + 30 * DAY - 40 * MINUTE
    assert go_on(NOW, lived=30 * DAY, wall=later(NOW, 30 * DAY + HOUR)) == NOW + 30 * DAY


@given(instants, looks)
def test_it_never_goes_back_and_never_runs_away(start: Instant, steps: list[tuple[int, int]]) -> None:
    now = start
    for lived, off in steps:
        before, now = now, go_on(now, lived=lived, wall=later(now, lived + off))
        assert before <= now <= before + lived + STEP + lived // 1_000


@given(instants, st.lists(st.integers(0, HOUR)))
def test_a_good_clock_is_followed_to_the_microsecond(start: Instant, steps: list[int]) -> None:
    now = wall = start
    for lived in steps:
        wall = later(wall, lived)
        now = go_on(now, lived=lived, wall=wall)
        assert now == wall


@given(instants, spans, st.integers(-2 * YEAR, 2 * YEAR))
def test_it_is_doubted_if_and_only_if_it_is_not_followed(now: Instant, lived: int, off: int) -> None:
    wall = later(now, lived + off)
    then = go_on(now, lived=lived, wall=wall)
    is_jump = abs(off) > STEP + lived // 1_000
    assert bool(doubt(now=then, wall=wall)) == is_jump
    assert not is_jump or then == now + lived


# Beginning


def test_the_first_start_of_all_believes_the_clock() -> None:
    assert begin(None, LAST) == LAST


@pytest.mark.parametrize("jump", [0, *JUMPS])
def test_on_the_same_boot_a_restart_changes_nothing(jump: int) -> None:
    machine = after(HOUR, off=jump)
    assert begin(LAST, machine) == replace(machine, at=go_on(NOW, lived=HOUR, wall=machine.at))


@pytest.mark.parametrize("uptime", [SETTLING - 1, SETTLING])
@pytest.mark.parametrize("off", [-YEAR, -HOUR, -1, 0, 1, HOUR, MISSED])
def test_over_a_boot_time_goes_on_from_the_record_or_from_a_clock_that_is_not_far_ahead(off: int, uptime: int) -> None:
    machine = Moment(at=later(NOW, off), boot="b", uptime=uptime)
    limit = later(NOW, MISSED) if uptime < SETTLING else NO_LIMIT
    assert begin(LAST, machine) == replace(machine, at=later(NOW, max(off, 0)), limit=limit)


@pytest.mark.parametrize("off", [MISSED + 1, YEAR])
def test_over_a_boot_nobody_knows_whether_a_clock_far_ahead_is_right(off: int) -> None:
    with pytest.raises(TimeUnknown, match=r"says 2026-.* last alive at 2025-12-31T15:00:00Z: .*`mailgate clock believe`") as caught:
        begin(LAST, Moment(at=later(NOW, min(off, 30 * DAY)), boot="b", uptime=0))
    assert caught.value.last == NOW


def test_a_machine_without_a_battery_may_find_the_time_after_it_has_begun() -> None:
    begun = begin(LAST, Moment(at=Instant(0), boot="b", uptime=0))
    assert go_on(begun.at, lived=SECOND, wall=later(NOW, 8 * HOUR), limit=begun.limit) == NOW + 8 * HOUR
    assert go_on(begun.at, lived=SECOND, wall=later(NOW, MISSED + 1), limit=begun.limit) == NOW + SECOND


@pytest.mark.parametrize("uptime, is_believed", [(SETTLING - 1, True), (SETTLING, False)])
def test_who_begins_later_in_a_boot_that_settles_believes_the_network_as_well(uptime: int, is_believed: bool) -> None:
    first = begin(LAST, Moment(at=Instant(0), boot="b", uptime=0))
    wall = later(NOW, 8 * HOUR)
    second = begin(first, Moment(at=wall, boot="b", uptime=uptime))
    assert second.at == (wall if is_believed else later(NOW, uptime))
    assert second.limit == (first.limit if is_believed else NO_LIMIT)


@pytest.mark.parametrize(
    "last, now, same",
    [
        (LAST, after(0), True),
        (LAST, after(HOUR), True),
        (LAST, after(HOUR, boot="b"), False),
        (replace(LAST, boot=""), after(HOUR, boot=""), False),  # a machine that does not say
        (LAST, after(-1), False),  # a copy of another machine
    ],
)
def test_a_boot_is_known_again(last: Moment, now: Moment, same: bool) -> None:
    assert is_same_boot(last, now) is same


# Believing after all


@pytest.mark.parametrize("jump", JUMPS)
def test_what_is_owed_keeps_its_age_if_the_time_between_was_not_lived(jump: int) -> None:
    assert shift_of_owed(LAST, after(HOUR, off=jump)) == jump


@pytest.mark.parametrize("off, shift", [(YEAR, 0), (0, 0), (-HOUR, -HOUR), (-YEAR, -YEAR)])
def test_over_a_boot_it_ages_and_a_time_that_never_was_is_taken_back(off: int, shift: int) -> None:
    assert shift_of_owed(LAST, after(0, off=off, boot="b")) == shift
