"""docs/queue.md draws the tables of states that core decides by: every state, every move, none besides."""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import TypeVar

import pytest

from mailgate.core import broadcast, delivery
from tests.guards.repo import Table, read, section, tables, ticked

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)

LIVES = [
    ("Delivery", delivery.State, delivery.Event, delivery.MOVES),
    ("Broadcast", broadcast.State, broadcast.Event, broadcast.MOVES),
]


def documented(heading: str) -> tuple[Table, Table]:
    """The table of states and the table of moves under a heading."""
    states, moves = tables(section(read("docs/queue.md"), heading))
    return states, moves


def move_faults(rows: Table, moves: Mapping[tuple[S, E], S]) -> Iterator[str]:
    """Moves that one side has and the other has not."""
    drawn = {(ticked(row["from"])[0], ticked(row["event"])[0], ticked(row["to"])[0]) for row in rows}
    real = {(state.value, event.value, after.value) for (state, event), after in moves.items()}
    yield from (f"not drawn: {' '.join(move)}" for move in sorted(real - drawn))
    yield from (f"drawn only: {' '.join(move)}" for move in sorted(drawn - real))
    if len(drawn) != len(rows):
        yield "a move is drawn twice"


@pytest.mark.parametrize("heading, states, events, moves", LIVES, ids=["delivery", "broadcast"])
def test_the_drawn_moves_are_the_moves(heading: str, states: type[S], events: type[E], moves: Mapping[tuple[S, E], S]) -> None:
    assert list(move_faults(documented(heading)[1], moves)) == []


@pytest.mark.parametrize("heading, states, events, moves", LIVES, ids=["delivery", "broadcast"])
def test_every_state_is_explained(heading: str, states: type[S], events: type[E], moves: Mapping[tuple[S, E], S]) -> None:
    assert [ticked(row["state"])[0] for row in documented(heading)[0]] == [state.value for state in states]


@pytest.mark.parametrize("heading, states, events, moves", LIVES, ids=["delivery", "broadcast"])
def test_every_move_says_when_it_happens(heading: str, states: type[S], events: type[E], moves: Mapping[tuple[S, E], S]) -> None:
    assert [row for row in documented(heading)[1] if not row["when"]] == []


class Light(Enum):
    """For the checker's own tests."""

    RED = "red"
    GREEN = "green"


class Press(Enum):
    """For the checker's own tests."""

    GO = "go"


LIGHTS = {(Light.RED, Press.GO): Light.GREEN}


@pytest.mark.parametrize(
    "rows, fault",
    [
        ([], "not drawn: red go green"),
        ([("red", "go", "green"), ("green", "go", "red")], "drawn only: green go red"),
        ([("red", "go", "green"), ("red", "go", "green")], "a move is drawn twice"),
    ],
)
def test_a_wrong_drawing_is_found(rows: list[tuple[str, str, str]], fault: str) -> None:
    drawn = [{"from": f"`{a}`", "event": f"`{b}`", "to": f"`{c}`"} for a, b, c in rows]
    assert list(move_faults(drawn, LIGHTS)) == [fault]


def test_a_right_drawing_passes() -> None:
    assert list(move_faults([{"from": "`red`", "event": "`go`", "to": "`green`"}], LIGHTS)) == []
