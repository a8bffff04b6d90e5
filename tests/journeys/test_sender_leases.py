"""A claim that fails half-way leaves no row leased that nobody has in hand."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailgate.core.delivery import State
from mailgate.journeys.deliver import Sender
from mailgate.store import outbox
from mailgate.store.db import Db, Params, Row
from tests.fakes import FakeClock, FixedDice, ScriptedRelay
from tests.fixtures_store import make_database
from tests.journeys.test_deliver import AnExpander, AWriter
from tests.store.builders import a_delivery

IO_ERROR = sqlite3.OperationalError("disk I/O error")


class HalfClaimingDb(Db):
    """A store in which a row is cancelled between being found due and being leased, and the look at what was leased fails once.

    Or: leases stand and are told as faults, so many times, and what is tried after each is a fault too.
    """

    cancels: int | None = None
    looks_that_fail = 1
    leases_that_fail = 0
    is_failing = False

    async def run(self, sql: str, params: Params = ()) -> int:
        is_lease = "SET state = 'leased'" in sql
        if self.cancels is not None and is_lease:
            id_, self.cancels = self.cancels, None
            await super().run("UPDATE outbox SET state = 'cancelled' WHERE id = :id", {"id": id_})
        if self.is_failing:
            self.is_failing = False
            raise IO_ERROR
        touched = await super().run(sql, params)
        if is_lease and self.leases_that_fail:
            self.leases_that_fail -= 1
            self.is_failing = True
            raise IO_ERROR
        return touched

    async def fetch(self, sql: str, params: Params = ()) -> list[Row]:
        if "state = 'leased' AND lease_node" in sql and self.looks_that_fail:
            self.looks_that_fail -= 1
            raise IO_ERROR
        return await super().fetch(sql, params)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[HalfClaimingDb]:
    opened = await HalfClaimingDb.open(make_database(tmp_path / "mailgate.db"))
    assert isinstance(opened, HalfClaimingDb)
    yield opened
    await opened.close()


async def sent(db: Db, count: int) -> ScriptedRelay:
    """A sender runs until so many copies were taken."""
    relay, stop = ScriptedRelay(), asyncio.Event()
    sender = Sender(
        db=db, relay=relay, writer=AWriter(), expander=AnExpander(), clock=FakeClock(), dice=FixedDice(), look_s=0.02, pause_s=0.01
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(sender.run(stop))
        try:
            async with asyncio.timeout(5):
                await relay.came(count)
        finally:
            stop.set()
    return relay


async def test_rows_of_a_claim_that_failed_behind_its_lease_go_out_all_the_same(db: HalfClaimingDb) -> None:
    async with db.write() as tx:
        ids = [await a_delivery(tx) for _ in range(3)]
    db.cancels = ids[1]
    relay = await sent(db, 2)
    assert db.looks_that_fail == 0
    async with db.read() as tx:
        rows = [await outbox.by_id(tx, id_) for id_ in ids]
    assert [row and row["state"] for row in rows] == [State.HANDED_OVER, State.CANCELLED, State.HANDED_OVER]
    assert [copy.id for copy in relay.taken] == [ids[0], ids[2]]


async def test_rows_that_were_leased_while_the_store_said_no_are_handed_back_first_and_go_out_once(db: HalfClaimingDb) -> None:
    async with db.write() as tx:
        ids = [await a_delivery(tx) for _ in range(3)]
    db.leases_that_fail = 4
    relay = await sent(db, 3)
    assert db.leases_that_fail == 0
    async with db.read() as tx:
        rows = [await outbox.by_id(tx, id_) for id_ in ids]
    assert [row and row["state"] for row in rows] == [State.HANDED_OVER] * 3
    assert [copy.id for copy in relay.taken] == ids
