"""Connections: what must hold of one to a SQLite file, and what there is to say when it does not."""

import sqlite3
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
    "journal_size_limit": 64 * 1024 * 1024,
    "cache_size": -16384,
}


class StoreUnfit(Exception):
    """The database cannot be used as it is; the text says what to do."""


def unfit(path: Path, error: sqlite3.Error) -> StoreUnfit:
    """What there is to say about a database that does not work, and to do."""
    if isinstance(error, sqlite3.OperationalError):  # locked, read-only, a folder in its place
        return StoreUnfit(f"the database {path} cannot be opened: {error}")
    return StoreUnfit(f"the database {path} is damaged ({error}): restore it from a backup")


async def prepare(connection: aiosqlite.Connection, path: Path, *, query_only: bool) -> None:
    """Set a fresh connection up.

    Raises:
        StoreUnfit: something that our promises rest on does not hold.
    """
    connection.row_factory = sqlite3.Row
    for name, value in _PRAGMAS.items():
        await connection.execute(f"PRAGMA {name} = {value}")
    for name, value in _PRAGMAS.items():
        rows = list(await connection.execute_fetchall(f"PRAGMA {name}"))
        if rows[0][0] != value:
            raise StoreUnfit(f"{path}: PRAGMA {name} is {rows[0][0]}, not {value}: is the file on a local disk?")
    if query_only:
        await connection.execute("PRAGMA query_only = 1")
