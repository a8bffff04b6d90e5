"""The life of a delivery, pair by pair, and the retry schedule."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.delivery import LIFETIME, MOVES, OPEN, TERMINAL, Event, Lane, State, move, retry_at
from mailgate.core.instants import DAY, HOUR, MINUTE, SECOND, Instant

NOW = Instant(1_700_000_000 * SECOND)
NEVER = Instant(NOW + 100 * DAY)

# One row a state, one column an event; "." does not happen.
PICTURE = """
              claim   release  accept       defer    refuse  expire   cancel     park    notice_delivered  notice_bounced
pending       leased  .        handed_over  .        .       expired  cancelled  .       delivered         bounced
leased        .       pending  handed_over  pending  failed  expired  cancelled  failed  delivered         bounced
handed_over   .       .        .            .        .       .        .          .       delivered         bounced
delivered     .       .        .            .        .       .        .          .       .                 bounced
bounced       .       .        .            .        .       .        .          .       .                 .
failed        .       .        .            .        .       .        .          .       delivered         bounced
expired       .       .        .            .        .       .        .          .       delivered         bounced
cancelled     .       .        .            .        .       .        .          .       delivered         bounced
"""


def the_picture() -> dict[tuple[State, Event], State | None]:
    events, *rows = [line.split() for line in PICTURE.strip().splitlines()]
    return {
        (State(row[0]), Event(event)): None if cell == "." else State(cell)
        for row in rows
        for event, cell in zip(events, row[1:], strict=True)
    }


ALL_PAIRS = list(itertools.product(State, Event))


def test_the_picture_holds_every_pair() -> None:
    assert set(the_picture()) == set(ALL_PAIRS)


@pytest.mark.parametrize("state, event", ALL_PAIRS)
def test_every_pair_moves_as_the_picture_says(state: State, event: Event) -> None:
    assert move(state, event) == the_picture()[state, event]


@pytest.mark.parametrize("notice", [Event.NOTICE_DELIVERED, Event.NOTICE_BOUNCED])
def test_a_late_answer_does_not_undo_a_notice_that_overtook_it(notice: Event) -> None:
    noticed = move(State.LEASED, notice)
    assert noticed is not None
    late = (Event.ACCEPT, Event.DEFER, Event.REFUSE, Event.RELEASE, Event.EXPIRE, Event.PARK)
    assert [move(noticed, event) for event in late] == [None] * len(late)


def test_nothing_leaves_a_bounce() -> None:
    assert not [event for state, event in MOVES if state is State.BOUNCED]


def test_only_a_notice_moves_what_has_ended() -> None:
    notices = {Event.NOTICE_DELIVERED, Event.NOTICE_BOUNCED}
    assert {event for state, event in MOVES if state in TERMINAL} == notices


def test_only_open_deliveries_are_claimed() -> None:
    assert {state for state, event in MOVES if event is Event.CLAIM} <= OPEN


def test_no_move_leads_back_into_what_is_owed_but_from_a_lease() -> None:
    assert {state for (state, _), after in MOVES.items() if after is State.PENDING} == {State.LEASED}


def test_every_state_is_owed_handed_over_or_ended() -> None:
    assert set(State) == {*OPEN, State.HANDED_OVER, *TERMINAL}


def test_lifetimes_are_those_promised() -> None:
    assert {Lane.ALARM: 6 * HOUR, Lane.SINGLE: 30 * MINUTE, Lane.ORDINARY: 3 * DAY} == LIFETIME


SCHEDULE = [
    (Lane.ALARM, [75 * SECOND, 150 * SECOND, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 15 * MINUTE]),
    (Lane.SINGLE, [5 * MINUTE, 5 * MINUTE, 5 * MINUTE]),
    (Lane.ORDINARY, [5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, 60 * MINUTE, 60 * MINUTE]),
]


@pytest.mark.parametrize("lane, pauses", SCHEDULE)
def test_pauses_grow_to_the_cap_of_the_lane(lane: Lane, pauses: list[int]) -> None:
    got = [
        retry_at(lane, attempt, now=NOW, expires_at=NEVER, jitter=0.0) - NOW for attempt in range(1, len(pauses) + 1)
    ]
    assert got == pauses


def test_an_alarm_is_first_tried_again_within_60_to_90_seconds() -> None:
    got = [retry_at(Lane.ALARM, 1, now=NOW, expires_at=NEVER, jitter=jitter) - NOW for jitter in (-1.0, 1.0)]
    assert got == [60 * SECOND, 90 * SECOND]


def test_an_attempt_that_was_never_counted_waits_as_the_first() -> None:
    assert retry_at(Lane.ALARM, 0, now=NOW, expires_at=NEVER, jitter=0.0) == NOW + 75 * SECOND


some_lane = st.sampled_from(Lane)
some_attempt = st.integers(1, 10_000)
some_jitter = st.floats(-1.0, 1.0)


@given(lane=some_lane, attempt=some_attempt, jitter=some_jitter, life=st.integers(0, 4 * DAY))
def test_no_retry_is_later_than_the_end_of_the_lifetime(lane: Lane, attempt: int, jitter: float, life: int) -> None:
    expires_at = Instant(NOW + life)
    at = retry_at(lane, attempt, now=NOW, expires_at=expires_at, jitter=jitter)
    assert NOW <= at <= expires_at


@given(lane=some_lane, attempt=some_attempt, jitter=some_jitter)
def test_a_retry_is_spread_by_a_fifth_and_no_more(lane: Lane, attempt: int, jitter: float) -> None:
    middle = retry_at(lane, attempt, now=NOW, expires_at=NEVER, jitter=0.0) - NOW
    pause = retry_at(lane, attempt, now=NOW, expires_at=NEVER, jitter=jitter) - NOW
    assert abs(pause - middle) <= middle // 5


@given(lane=some_lane, attempt=some_attempt)
def test_a_later_attempt_never_waits_less(lane: Lane, attempt: int) -> None:
    waits = [retry_at(lane, a, now=NOW, expires_at=NEVER, jitter=0.0) for a in (attempt, attempt + 1)]
    assert waits == sorted(waits)
