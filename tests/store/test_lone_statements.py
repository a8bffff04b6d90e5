"""A statement that is a decision, or a look, by itself: it needs no transaction round it, and breaks nobody else's."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from mailgate.core.outages import StoreFull
from mailgate.store.db import READERS, Db
from tests.fixtures_store import keys_on_disk

ADD = "INSERT INTO key_check (key, proof) VALUES (:key, :proof)"
KEYS = "SELECT json_group_array(key) FROM (SELECT key FROM key_check ORDER BY key)"


async def add(db: Db, key: str, size: int = 1) -> int:
    return await db.run(ADD, {"key": key, "proof": bytes(size)})


async def traced(db: Db) -> list[str]:
    """The first words of what the writer runs from now on."""
    said: list[str] = []
    await db._writer.set_trace_callback(lambda sql: said.append(sql.split()[0]))
    return said


async def test_it_is_on_the_disk_when_it_returns_without_begin_and_commit(db: Db, db_path: Path) -> None:
    said = await traced(db)
    assert await add(db, "a") == 1
    assert keys_on_disk(db_path) == ["a"]
    assert said == ["INSERT"]


async def test_beside_others_it_shares_their_commit(db: Db, db_path: Path) -> None:
    said = await traced(db)

    async def decide(key: str) -> None:
        async with db.write() as tx:
            await tx.run(ADD, {"key": key, "proof": b"x"})

    await asyncio.gather(decide("a"), decide("b"), add(db, "c"), decide("d"))
    assert said.count("COMMIT") == 1
    assert keys_on_disk(db_path) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("brief", [False, True])
async def test_a_decision_that_comes_while_it_is_under_way_waits_for_it(db: Db, db_path: Path, brief: bool) -> None:
    async def decide() -> None:
        async with db.write(brief=brief) as tx:
            assert [row["key"] for row in await tx.fetch("SELECT key FROM key_check")] == ["a"]
            await tx.run(ADD, {"key": "b", "proof": b"x"})
            raise LookupError

    lone = asyncio.create_task(add(db, "a", 4_000_000))
    await asyncio.sleep(0)
    assert db._alone == 1
    with pytest.raises(LookupError):
        await decide()
    assert await lone == 1
    assert keys_on_disk(db_path) == ["a"]  # what was undone took nobody along


async def test_many_of_all_kinds_at_once_are_all_there(db: Db, db_path: Path) -> None:
    async def decide(number: int) -> None:
        async with db.write(brief=number % 2 == 0) as tx:
            await tx.run(ADD, {"key": f"w{number}", "proof": b"x"})

    async with asyncio.TaskGroup() as group:
        for number in range(60):
            group.create_task(add(db, f"l{number}"))
            group.create_task(decide(number))
            if number % 7 == 0:
                await asyncio.sleep(0)
    assert keys_on_disk(db_path) == sorted([f"{kind}{number}" for kind in "lw" for number in range(60)])


async def test_a_full_disk_is_told_and_the_next_one_works(db: Db, db_path: Path) -> None:
    (row,) = await db._writer.execute_fetchall("PRAGMA page_count")
    await db._writer.execute(f"PRAGMA max_page_count = {row[0] + 4}")
    with pytest.raises(StoreFull):
        await add(db, "big", 2_000_000)
    await add(db, "small")
    assert keys_on_disk(db_path) == ["small"]


async def test_what_is_wrong_with_it_is_an_error_and_nothing_waits_for_ever(db: Db, db_path: Path) -> None:
    await add(db, "a")
    with pytest.raises(sqlite3.IntegrityError):
        await add(db, "a")
    async with db.write() as tx:
        await tx.run(ADD, {"key": "b", "proof": b"x"})
    assert keys_on_disk(db_path) == ["a", "b"]


async def test_a_look_gives_its_rows_as_one_value_and_its_connection_back(db: Db) -> None:
    await add(db, "b")
    await add(db, "a")
    for _ in range(READERS + 1):
        assert await db.packed(KEYS) == ["a", "b"]
        row = await db.one("SELECT proof FROM key_check WHERE key = :key", {"key": "a"})
        assert row is not None
        assert row["proof"] == bytes(1)
    with pytest.raises(sqlite3.OperationalError, match="no such"):
        await db.packed("SELECT key FROM key_checks")
    assert await db.packed(KEYS) == ["a", "b"]


@pytest.mark.parametrize("brief", [False, True])
async def test_a_view_sees_one_moment_and_gives_its_connection_back_whatever_happens(db: Db, brief: bool) -> None:
    async def look() -> None:
        async with db.read(brief=brief) as view:
            before = await view.packed(KEYS)
            await add(db, f"k{len(before)}")
            assert await view.packed(KEYS) == before
            raise LookupError

    for _ in range(READERS + 1):
        with pytest.raises(LookupError):
            await look()
    async with db.read(brief=brief) as view:
        assert len(await view.packed(KEYS)) == READERS + 1
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await view.run(ADD, {"key": "x", "proof": b"x"})


async def test_a_view_that_was_cancelled_is_over_before_the_next_one_begins(db: Db) -> None:
    async def look() -> None:
        async with db.read() as view:
            await view.fetch("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT COUNT(*) FROM n")

    for _ in range(READERS):
        task = asyncio.create_task(look())
        for _ in range(3):
            await asyncio.sleep(0.001)
        task.cancel()
    for brief in (True, False) * READERS:
        async with db.read(brief=brief) as view:
            assert await view.packed(KEYS) == []
