from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.broadcast import (
    DRAFT_LIFETIME,
    KIND,
    LANE,
    LIFETIME,
    MOVES,
    TAG,
    TERMINAL,
    Event,
    Kind,
    State,
    move,
)
from mailgate.core.delivery import Lane
from mailgate.core.instants import DAY, HOUR

# Written a second time, the other way round: what each state allows.
LIFE: dict[str, dict[str, str]] = {
    "drafted": {"confirm": "confirmed", "drop": "dropped", "lapse": "lapsed"},
    "confirmed": {"start": "sending", "halt": "halted", "cancel": "cancelled"},
    "sending": {"finish": "done", "halt": "halted", "cancel": "cancelled"},
    "halted": {"resume": "sending", "cancel": "cancelled", "finish": "done"},
    "done": {},
    "dropped": {},
    "lapsed": {},
    "cancelled": {},
}


@pytest.mark.parametrize("state, event", list(product(State, Event)))
def test_every_pair_of_state_and_event_moves_as_the_life_says_or_not_at_all(state: State, event: Event) -> None:
    assert move(state, event) == LIFE[state].get(event)


def test_every_state_can_be_reached_from_a_draft() -> None:
    reached = {State.DRAFTED}
    for _ in State:
        reached |= {after for (before, _event), after in MOVES.items() if before in reached}
    assert reached == set(State)


def test_every_event_happens_somewhere() -> None:
    assert {event for _, event in MOVES} == set(Event)


def test_what_ended_stays_ended() -> None:
    assert {State.DONE, State.DROPPED, State.LAPSED, State.CANCELLED} == TERMINAL


@given(st.lists(st.sampled_from(Event), max_size=12))
def test_nothing_is_sent_that_was_not_confirmed(events: list[Event]) -> None:
    state, confirmed = State.DRAFTED, False
    for event in events:
        after = move(state, event)
        if after is None:
            continue
        confirmed = confirmed or event is Event.CONFIRM
        state = after
        assert confirmed or state in {State.DRAFTED, State.DROPPED, State.LAPSED}


@pytest.mark.parametrize(
    "kind, word, tag, lane, lifetime",
    [
        (Kind.EMERGENCY, "emergency", "緊急連絡", Lane.ALARM, 6 * HOUR),
        (Kind.ALERT, "alert", "緊急情報", Lane.ALARM, 6 * HOUR),
        (Kind.EDUCATION, "education", "教育情報", Lane.ORDINARY, 3 * DAY),
        (Kind.NOTICE, "notice", "お知らせ", Lane.ORDINARY, 3 * DAY),
        (Kind.DRILL, "drill", "訓練", Lane.ORDINARY, 3 * DAY),
    ],
)
def test_each_kind_has_its_word_tag_lane_and_lifetime(
    kind: Kind, word: str, tag: str, lane: Lane, lifetime: int
) -> None:
    assert (kind.value, TAG[kind], LANE[kind], LIFETIME[kind]) == (word, tag, lane, lifetime)
    assert KIND[tag] is kind


def test_no_kind_is_left_out_of_any_table() -> None:
    assert set(TAG) == set(LANE) == set(LIFETIME) == set(KIND.values()) == set(Kind)


def test_a_draft_waits_for_a_day() -> None:
    assert DRAFT_LIFETIME == DAY
