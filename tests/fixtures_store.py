"""A fresh store for a test. A room's conftest.py imports these fixtures by name."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailgate.store.db import Db

SCHEMA = Path(__file__).resolve().parent.parent / "mailgate" / "store" / "schema.sql"


def make_database(path: Path) -> Path:
    """An empty database with the schema."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous = off")  # no disk is waited for while it is made
    connection.execute("PRAGMA journal_mode = wal")
    connection.executescript(SCHEMA.read_text(encoding="utf-8"))
    connection.close()
    return path


@pytest.fixture
def db_path(tmp_path: Path) -> Path:
    """The file of an empty store."""
    return make_database(tmp_path / "mailgate.db")


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[Db]:
    """An empty store, open."""
    opened = await Db.open(db_path)
    yield opened
    await opened.close()


def keys_on_disk(path: Path) -> list[str]:
    """What a test has added to `key_check` and another connection sees."""
    connection = sqlite3.connect(path)
    found = [row[0] for row in connection.execute("SELECT key FROM key_check ORDER BY key")]
    connection.close()
    return found
