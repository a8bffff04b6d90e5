"""What was erased is gone from the write-ahead log too."""

import asyncio
from pathlib import Path

from mailgate.store.connections import BUSY_MS
from mailgate.store.db import Db

WORD = b"something that must be forgotten"


def log_of(path: Path) -> bytes:
    return path.with_name(path.name + "-wal").read_bytes()


async def forgotten(db: Db) -> None:
    async with db.write() as tx:
        await tx.run("INSERT INTO seen_mail (digest, seen_at) VALUES (?, 1)", (WORD,))
    async with db.write() as tx:
        await tx.run("DELETE FROM seen_mail")


async def test_the_log_is_brought_into_the_file_and_cut(db: Db, db_path: Path) -> None:
    await forgotten(db)
    assert WORD in log_of(db_path)
    assert await db.empty_log()
    assert log_of(db_path) == b""
    assert WORD not in db_path.read_bytes()


async def test_nobody_waits_for_a_reader(db: Db, db_path: Path) -> None:
    await forgotten(db)
    async with db.read() as tx:
        await tx.fetch("SELECT 1 FROM seen_mail")
        await forgotten(db)
        async with asyncio.timeout(2):
            assert not await db.empty_log()
    assert await db.empty_log()
    assert log_of(db_path) == b""
    async with db.write() as tx:  # and what comes after waits for others as before
        assert (await tx.fetch("PRAGMA busy_timeout"))[0][0] == BUSY_MS


async def test_writers_go_on_beside_it(db: Db) -> None:
    async def write(number: int) -> None:
        async with db.write() as tx:
            await tx.run("INSERT INTO seen_mail (digest, seen_at) VALUES (?, 1)", (bytes([number]),))

    await asyncio.gather(*(write(number) for number in range(50)), *(db.empty_log() for _ in range(5)))
    async with db.read() as tx:
        assert len(await tx.fetch("SELECT 1 FROM seen_mail")) == 50


async def test_who_asked_and_went_away_stops_nobody(db: Db) -> None:
    asked = asyncio.create_task(db.empty_log())
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert await db.empty_log()
    await forgotten(db)
