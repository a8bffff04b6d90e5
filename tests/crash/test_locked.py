"""The database is locked by somebody else: a backup, a person with a shell. Peers wait or come again, and nothing is lost."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.crash.city import City, pause
from tests.crash.verdict import WINDOW

# How long a writer waits for another one: milliseconds.
BUSY = ("mailgate.store.connections._PRAGMAS.busy_timeout", "mailgate.store.db.BUSY_MS")


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Nobody else can write inside the block."""
    connection = sqlite3.connect(database, isolation_level=None, timeout=20)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


async def test_a_lock_of_some_seconds_is_waited_out(template: Path, tmp_path: Path) -> None:
    async with City(tmp_path, template) as city:
        await city.server.order("set", pace_s=0.01)
        async with asyncio.TaskGroup() as group:
            group.create_task(city.traffic.one_round())
            await city.copies(200)
            with locked(city.victim.database):
                await pause(1.2)
        await city.settled()
        verdict = city.verdict()
        assert city.peers.refusals.total() == 0
        assert city.victim.complaints() == []
    assert verdict.faults == []
    assert verdict.duplicates == 0


async def test_a_lock_longer_than_anybody_waits_sends_peers_away_and_loses_nothing(template: Path, tmp_path: Path) -> None:
    async with City(tmp_path, template, constants=dict.fromkeys(BUSY, 300)) as city:
        await city.server.order("set", pace_s=0.01)
        async with asyncio.TaskGroup() as group:
            group.create_task(city.traffic.one_round())
            await city.copies(200)
            with locked(city.victim.database):
                group.create_task(city.traffic.ask_to_join("machite..iru@docomo.ne.jp"))
                await pause(1.2)
        await city.settled()
        verdict = city.verdict()
        assert city.peers.refusals["451 4.3.0"] > 0
        assert set(city.peers.refusals) <= {"451 4.3.0", "page 500", "page 503"}
    assert verdict.faults == []
    assert verdict.duplicates == 0


async def test_a_gate_killed_under_a_lock_starts_when_the_lock_is_gone(template: Path, tmp_path: Path) -> None:
    async with City(tmp_path, template) as city:
        await city.server.order("set", pace_s=0.01)
        async with asyncio.TaskGroup() as group:
            group.create_task(city.traffic.one_round())
            await city.copies(200)
            with locked(city.victim.database):
                await pause(0.5)
                await city.victim.bury("mail", "web")
                await city.server.next_epoch()
                starting = asyncio.create_task(city.victim.start())
                await pause(1)
                assert not starting.done()
            await starting
        await city.settled()
        verdict = city.verdict()
    assert verdict.faults == []
    assert verdict.duplicates <= WINDOW
