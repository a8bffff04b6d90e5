"""Whatever goes wrong between two decisions, the line of writers moves on."""

import asyncio
import sqlite3
from typing import Any

import pytest

from mailgate.store.db import Db

ADD = "INSERT INTO key_check (key, proof) VALUES (:key, x'00')"


async def decide(db: Db, key: str) -> None:
    async with db.write() as tx:
        await tx.run(ADD, {"key": key})


async def test_a_checkpoint_that_finds_the_log_damaged_is_told_and_the_next_decision_is_taken(
    db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = db._writer.execute_fetchall

    def damaged(sql: str, *args: Any) -> Any:
        if "wal_checkpoint" in sql:
            raise sqlite3.DatabaseError("database disk image is malformed")
        return whole(sql, *args)

    monkeypatch.setattr(db._writer, "execute_fetchall", damaged)
    async with asyncio.timeout(5):
        with pytest.raises(sqlite3.DatabaseError, match="malformed"):
            await db.empty_log()
        await decide(db, "a")
    rows = await db.fetch("SELECT key FROM key_check")
    assert [row["key"] for row in rows] == ["a"]
