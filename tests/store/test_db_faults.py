"""The store when something goes wrong around it: a caller that is cancelled, a file that is none. The next one is served."""

import asyncio
import gc
import threading
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import pytest

from mailgate.store.connections import StoreUnfit
from mailgate.store.db import READERS, Db


async def one(db: Db) -> int:
    async with db.read() as tx:
        row = await tx.one("SELECT 1 AS one")
        assert row is not None
        return int(row["one"])


async def read_slowly(db: Db) -> None:
    async with db.read() as tx:
        await tx.fetch("SELECT COUNT(*) FROM school")
        await tx.fetch("SELECT COUNT(*) FROM pupil")


async def test_a_reader_cancelled_at_any_moment_spoils_no_later_reader(db: Db) -> None:
    for turns in range(40):
        reader = asyncio.create_task(read_slowly(db))
        for _ in range(turns):
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        assert [await one(db) for _ in range(READERS + 1)] == [1] * (READERS + 1), f"after {turns} turns"


@pytest.mark.parametrize("kinds", [(False,), (True,), (False, True, False)], ids=["long", "brief", "mixed"])
async def test_a_writer_cancelled_at_any_moment_leaves_all_or_nothing_and_spoils_no_later_writer(db: Db, kinds: tuple[bool, ...]) -> None:
    kind = cycle(kinds)

    async def write(key: str) -> None:
        async with db.write(brief=next(kind)) as tx:
            for half in ("a", "b"):
                await tx.run("INSERT INTO key_check (key, proof) VALUES (:key, x'00')", {"key": key + half})

    for turns in range(60):
        key = f"{turns:02}"
        neighbours = [asyncio.create_task(write(f"{key}{n}")) for n in range(3)]
        for _ in range(turns):
            await asyncio.sleep(0)
        neighbours[turns % 3].cancel()
        await asyncio.gather(*neighbours, return_exceptions=True)
        await write(f"{key}z")
        async with db.read() as tx:
            kept = [row["key"] for row in await tx.fetch("SELECT key FROM key_check WHERE key LIKE :key || '%'", {"key": key})]
        halves = {name[:-1] for name in kept}
        assert len(kept) == 2 * len(halves), f"a half after {turns} turns"
        assert {f"{key}{n}" for n in range(3) if n != turns % 3} | {f"{key}z"} <= halves


async def test_a_reader_that_fails_spoils_no_later_reader(db: Db) -> None:
    for _ in range(READERS + 1):
        with pytest.raises(KeyError):
            async with db.read():
                raise KeyError
    assert await one(db) == 1


async def test_more_readers_than_connections_take_turns(db: Db) -> None:
    assert await asyncio.gather(*(one(db) for _ in range(5 * READERS))) == [1] * 5 * READERS


def by_garbage(path: Path) -> None:
    path.write_bytes(b"no database" * 999)


def by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("replaced", [by_garbage, by_a_folder])
async def test_a_file_that_is_no_database_is_said_and_leaves_nothing_open(db_path: Path, replaced: Callable[[Path], None]) -> None:
    replaced(db_path)
    before = threading.active_count()
    with pytest.raises(StoreUnfit, match=r"mailgate\.db"):
        await Db.open(db_path)
    async with asyncio.timeout(5):
        while threading.active_count() > before:  # each open connection has a thread, which keeps the process alive
            await asyncio.sleep(0.01)
    gc.collect()  # a connection that nobody closed would complain here
