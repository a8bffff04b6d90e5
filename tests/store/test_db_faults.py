"""The store when something goes wrong around it: a caller that is cancelled, a file that is none. The next one is served."""

import asyncio
import gc
import threading
from pathlib import Path

import pytest

from mailgate.store.db import READERS, Db, StoreUnfit


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


async def test_a_reader_that_fails_spoils_no_later_reader(db: Db) -> None:
    for _ in range(READERS + 1):
        with pytest.raises(KeyError):
            async with db.read():
                raise KeyError
    assert await one(db) == 1


async def test_more_readers_than_connections_take_turns(db: Db) -> None:
    assert await asyncio.gather(*(one(db) for _ in range(5 * READERS))) == [1] * 5 * READERS


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b"no database" * 999), lambda path: (path.unlink(), path.mkdir())])
async def test_a_file_that_is_no_database_is_said_and_leaves_nothing_open(db_path: Path, spoil) -> None:  # type: ignore[no-untyped-def]
    spoil(db_path)
    before = threading.active_count()
    with pytest.raises(StoreUnfit, match=r"mailgate\.db"):
        await Db.open(db_path)
    assert threading.active_count() == before
    gc.collect()  # a connection that nobody closed would complain here
