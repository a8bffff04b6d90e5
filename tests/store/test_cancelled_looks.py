"""A caller that is cancelled leaves its statement to the thread. Nobody else has that connection before it is worked off."""

import asyncio
import sqlite3
from pathlib import Path
from threading import Event

from mailgate.store.db import READERS, Db
from tests.fixtures_store import keys_on_disk

ADD = "INSERT INTO key_check (key, proof) VALUES (:key, x'00')"


async def test_a_lone_statement_whose_caller_is_gone_is_worked_off_before_the_next_decision_begins(db: Db, db_path: Path) -> None:
    """Else the loop stands still until the connection is free, and the decision that is undone may take the statement along."""

    async def decide() -> None:
        async with db.write(brief=True) as tx:
            await tx.run(ADD, {"key": "b"})

    await db._writer.execute("PRAGMA busy_timeout = 300")
    other = sqlite3.connect(db_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    lone = asyncio.create_task(db.run(ADD, {"key": "a"}))
    await asyncio.sleep(0.05)
    lone.cancel()
    await asyncio.gather(lone, return_exceptions=True)
    next_one = asyncio.create_task(decide())
    await asyncio.sleep(0.01)
    other.execute("COMMIT")
    other.close()
    await next_one
    assert lone.cancelled()
    assert keys_on_disk(db_path) == ["a", "b"]


async def test_a_look_whose_caller_is_gone_keeps_its_connection_until_it_is_worked_off(db: Db) -> None:
    """Else the next brief view stands in the loop and waits for it."""
    let_go, begun, in_time = Event(), [], []

    def stay() -> None:
        begun.append(True)
        in_time.append(let_go.wait(5))

    for reader in db._all_readers:
        reader.file.create_function("stay", 0, stay)
    looks = [asyncio.create_task(db.fetch("SELECT stay()")) for _ in range(READERS)]
    while len(begun) < READERS:
        await asyncio.sleep(0.01)
    for look in looks:
        look.cancel()
    await asyncio.gather(*looks, return_exceptions=True)

    async def view() -> list[int]:
        async with db.read(brief=True) as tx:
            return [row["one"] for row in await tx.fetch("SELECT 1 AS one")]

    views = [asyncio.create_task(view()) for _ in range(READERS)]
    await asyncio.sleep(0.01)
    let_go.set()
    assert await asyncio.gather(*views) == [[1]] * READERS
    while len(in_time) < READERS:  # one connection may have served all views
        await asyncio.sleep(0.01)
    assert in_time == [True] * READERS
