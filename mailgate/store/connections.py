"""Connections: opened and set up as the promises of the store need it, every setting read back."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiosqlite

BUSY_MS: Final = 10_000

_PRAGMAS: Final = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: a COMMIT is on the disk when it returns
    "foreign_keys": 1,
    "busy_timeout": BUSY_MS,
    "secure_delete": 1,
    "temp_store": 2,  # MEMORY: what a savepoint would bring back is noted there, and not in a file for each group
    "journal_size_limit": 64 * 1024 * 1024,
}


class StoreUnfit(Exception):
    """The database cannot be used as it is; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection: itself, and as its thread has it. What is done with the one and with the other is never under way at the same time."""

    file: sqlite3.Connection
    thread: aiosqlite.Connection


async def connected(path: Path, *, readers: int) -> tuple[Connected, Sequence[Connected]]:
    """One connection that writes, and some that cannot.

    Raises:
        StoreUnfit: there is no such file, it is no database, or a pragma that our promises rest on does not hold.
    """
    if not path.exists():
        raise StoreUnfit(f"there is no database at {path}: run `mailgate migrate`")
    opened: list[Connected] = []
    try:
        for query_only in (False, *[True] * readers):
            opened.append(await _connected(path))
            await _prepare(opened[-1].thread, path, query_only=query_only)
    except BaseException as error:
        for each in opened:  # each has a thread, which would keep the process alive
            await each.thread.close()
        if isinstance(error, sqlite3.Error):
            raise unfit(path, error) from None
        raise
    return opened[0], opened[1:]


async def _connected(path: Path) -> Connected:
    file = sqlite3.connect(path, isolation_level=None, cached_statements=512, check_same_thread=False)
    return Connected(file, await aiosqlite.Connection(lambda: file, iter_chunk_size=64))


def unfit(path: Path, error: sqlite3.Error) -> StoreUnfit:
    """What there is to say about a database that does not work, and to do."""
    if isinstance(error, sqlite3.OperationalError):  # locked, read-only, a folder in its place
        return StoreUnfit(f"the database {path} cannot be opened: {error}")
    return StoreUnfit(f"the database {path} is damaged ({error}): restore it from a backup")


async def _prepare(connection: aiosqlite.Connection, path: Path, *, query_only: bool) -> None:
    connection.row_factory = sqlite3.Row
    if not query_only:  # digests are drawn, so what is looked up by one is on a page of its own
        await connection.execute("PRAGMA cache_size = -16384")  # KiB
    for name, value in _PRAGMAS.items():
        await connection.execute(f"PRAGMA {name} = {value}")
    for name, value in _PRAGMAS.items():
        rows = list(await connection.execute_fetchall(f"PRAGMA {name}"))
        if rows[0][0] != value:
            raise StoreUnfit(f"{path}: PRAGMA {name} is {rows[0][0]}, not {value}: is the file on a local disk?")
    if query_only:
        await connection.execute("PRAGMA query_only = 1")
