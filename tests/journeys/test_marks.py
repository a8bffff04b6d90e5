"""Marks: when they are worth a COMMIT."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailgate.core.delivery import State
from mailgate.core.instants import HOUR, later
from mailgate.journeys.marks import Marks
from mailgate.store import outbox
from mailgate.store.db import Db
from mailgate.store.outbox import Claimed
from tests.fakes import ACCEPTED, NEW_YEAR_2026, FakeClock, FixedDice
from tests.fixtures_store import make_database
from tests.store.builders import a_delivery

NOW = NEW_YEAR_2026


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Db]:
    opened = await Db.open(make_database(tmp_path / "mailgate.db"))
    yield opened
    await opened.close()


async def taken_off(db: Db, marks: Marks, count: int) -> list[Claimed]:
    async with db.write() as tx:
        for _ in range(count):
            await a_delivery(tx)
    due = await outbox.due(db, now=NOW, limit=count)
    rows = marks.hold(await outbox.claim(db, due, now=NOW, until=later(NOW, HOUR), node="gate"))
    for row in rows:
        marks.take_off(row)
    return rows


@pytest.mark.parametrize("window, worth_it", [(64, 48), (9, 6), (3, 2), (2, 1), (1, 1)])
async def test_three_quarters_of_the_window_are_worth_a_commit(db: Db, window: int, worth_it: int) -> None:
    marks = Marks(db=db, clock=FakeClock(), dice=FixedDice(), node="gate", window=window)
    rows = await taken_off(db, marks, worth_it)
    for row in rows[:-1]:
        marks.answered(row, ACCEPTED)
    assert (marks.some.is_set(), marks.many.is_set()) == (worth_it > 1, False)
    marks.answered(rows[-1], ACCEPTED)
    assert marks.many.is_set()
    await marks.commit()
    assert not marks.many.is_set()
    assert not marks.is_owing


async def test_what_comes_while_others_are_committed_counts_for_the_next(db: Db) -> None:
    marks = Marks(db=db, clock=FakeClock(), dice=FixedDice(), node="gate", window=5)
    rows = await taken_off(db, marks, 8)
    for row in rows[:3]:
        marks.answered(row, ACCEPTED)
    async with db.write():  # whose turn it is: the commit waits behind it
        under_way = asyncio.ensure_future(marks.commit())
        await asyncio.sleep(0)
        for row in rows[3:5]:
            marks.answered(row, ACCEPTED)
    await under_way
    assert (marks.is_owing, marks.many.is_set()) == (True, False)
    marks.answered(rows[5], ACCEPTED)
    assert marks.many.is_set()
    await marks.commit()
    async with db.read() as tx:
        states = [row["state"] for row in await tx.fetch("SELECT state FROM outbox ORDER BY id")]
    assert states == [State.HANDED_OVER] * 6 + [State.LEASED] * 2
