"""The one writer with group commit: what its callers may rely on."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from itertools import cycle
from pathlib import Path
from threading import get_ident

import pytest

from mailgate.core.outages import StoreFull
from mailgate.store import migrate
from mailgate.store.connections import StoreUnfit
from mailgate.store.db import Db, Tx


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "mailgate.db"
    migrate.upgrade(file)
    return file


@pytest.fixture
async def db(path: Path) -> AsyncIterator[Db]:
    opened = await Db.open(path)
    yield opened
    await opened.close()


async def add(tx: Tx, key: str, size: int = 1) -> None:
    await tx.run("INSERT INTO key_check (key, proof) VALUES (:key, :proof)", {"key": key, "proof": bytes(size)})


async def write_one(db: Db, key: str) -> None:
    async with db.write() as tx:
        await add(tx, key)


async def value_of(db: Db, pragma: str) -> object:
    (row,) = await db._writer.execute_fetchall(f"PRAGMA {pragma}")
    return row[0]


def keys_on_disk(path: Path) -> set[str]:
    with sqlite3.connect(path) as connection:
        keys = {row[0] for row in connection.execute("SELECT key FROM key_check")}
    connection.close()
    return keys


async def test_what_was_written_is_on_the_disk_when_the_block_is_left(db: Db, path: Path) -> None:
    async with db.write() as tx:
        await add(tx, "a")
    assert keys_on_disk(path) == {"a"}


async def test_a_block_that_fails_leaves_nothing(db: Db, path: Path) -> None:
    async def fail() -> None:
        async with db.write() as tx:
            await add(tx, "a")
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert keys_on_disk(path) == set()


KINDS = pytest.mark.parametrize("kinds", [(False,), (True,), (False, True, True, False)], ids=["long", "brief", "mixed"])


@KINDS
async def test_neighbours_share_a_commit_and_one_that_fails_takes_nobody_along(db: Db, path: Path, kinds: tuple[bool, ...]) -> None:
    turns = cycle(kinds)

    async def write(key: str) -> None:
        async with db.write(brief=next(turns)) as tx:
            await add(tx, key)
            if key.startswith("bad"):
                raise KeyError(key)

    names = ["bad-first", *map(str, range(80)), "bad-last"]
    results = await asyncio.gather(*map(write, names), return_exceptions=True)
    assert [type(result) for result in results] == [KeyError, *[type(None)] * 80, KeyError]
    assert keys_on_disk(path) == set(map(str, range(80)))


@KINDS
async def test_a_group_is_one_commit(db: Db, kinds: tuple[bool, ...]) -> None:
    commits, turns = 0, cycle(kinds)

    def count(statement: str) -> None:
        nonlocal commits
        commits += statement == "COMMIT"

    await db._writer.set_trace_callback(count)

    async def write(key: str) -> None:
        async with db.write(brief=next(turns)) as tx:
            await add(tx, key)

    await asyncio.gather(*(write(str(number)) for number in range(20)))
    assert commits == 1


@pytest.mark.parametrize("brief", [False, True])
async def test_the_statements_of_a_brief_decision_run_where_they_are_asked_for_and_its_commit_does_not(db: Db, brief: bool) -> None:
    here: dict[str, bool] = {}
    await db._writer.set_trace_callback(lambda sql: here.update({sql.split()[0]: get_ident() == threading.main_thread().ident}))
    async with db.write(brief=brief) as tx:
        await add(tx, "a")
        await tx.run_many("UPDATE key_check SET proof = x'01' WHERE key = :key", [{"key": "a"}])
        row = await tx.one("SELECT proof FROM key_check")
    assert row is not None
    assert row["proof"] == b"\x01"
    assert here == {"PRAGMA": True, "BEGIN": True, "INSERT": brief, "UPDATE": brief, "SELECT": brief, "COMMIT": False}


async def test_a_caller_cancelled_in_line_leaves_no_transaction_open(db: Db, path: Path) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with db.write() as tx:
            inside.set()
            await go_on.wait()
            await add(tx, "slow")

    async def waiting() -> None:
        async with db.write() as tx:
            await add(tx, "waiting")

    first = asyncio.create_task(slow())
    await inside.wait()
    second = asyncio.create_task(waiting())
    await asyncio.sleep(0)
    second.cancel()
    go_on.set()
    await asyncio.gather(first, second, return_exceptions=True)
    assert keys_on_disk(path) == {"slow"}
    async with db.write() as tx:
        await add(tx, "after")
    assert keys_on_disk(path) == {"slow", "after"}


async def test_a_caller_cancelled_inside_its_block_leaves_nothing(db: Db, path: Path) -> None:
    inside = asyncio.Event()

    async def forever() -> None:
        async with db.write() as tx:
            await add(tx, "a")
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(forever())
    await inside.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with db.write() as tx:
        await add(tx, "b")
    assert keys_on_disk(path) == {"b"}


@KINDS
async def test_a_full_disk_is_told_to_everybody_in_the_group_and_ends_with_the_shortage(
    db: Db, path: Path, kinds: tuple[bool, ...]
) -> None:
    turns = cycle(kinds)
    pages = int(str(await value_of(db, "page_count")))
    await db._writer.execute(f"PRAGMA max_page_count = {pages + 4}")

    async def write(key: str, size: int) -> None:
        async with db.write(brief=next(turns)) as tx:
            await add(tx, key, size)

    results = await asyncio.gather(write("small", 1), write("big", 2_000_000), return_exceptions=True)
    assert [type(result) for result in results] == [StoreFull, StoreFull]
    await write("next", 1)
    assert keys_on_disk(path) == {"next"}


async def test_a_database_locked_by_another_is_an_error_and_the_next_write_works(db: Db, path: Path) -> None:
    db._patience_ms = 1
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        await write_one(db, "a")
    other.execute("ROLLBACK")
    other.close()
    async with db.write() as tx:
        await add(tx, "b")
    assert keys_on_disk(path) == {"b"}


async def test_while_another_process_writes_the_loop_goes_on_and_then_it_is_our_turn(db: Db, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    loop = asyncio.get_running_loop()
    begun, waiting = loop.time(), asyncio.create_task(write_one(db, "a"))
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert loop.time() - begun < 0.8  # if the loop waited for the other, it would be as long as its patience
    assert not waiting.done()
    other.execute("COMMIT")
    other.close()
    await waiting
    assert keys_on_disk(path) == {"a"}


async def test_a_reader_sees_one_moment_and_cannot_write(db: Db) -> None:
    async with db.read() as view:
        assert await view.fetch("SELECT key FROM key_check") == []
        async with db.write() as tx:
            await add(tx, "a")
        assert await view.fetch("SELECT key FROM key_check") == []
    async with db.read() as view:
        assert len(await view.fetch("SELECT key FROM key_check")) == 1
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await add(view, "b")


async def test_the_pragmas_that_our_promises_rest_on_hold(db: Db) -> None:
    for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("secure_delete", 1), ("temp_store", 2)):
        assert await value_of(db, pragma) == value


async def test_a_missing_file_is_not_made_but_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnfit, match="mailgate migrate"):
        await Db.open(tmp_path / "none.db")
