"""What a claim costs, in databases of different sizes: `python -m bench.claims FOLDER_A FOLDER_B CLAIMS`.

Every row is owed, so the claim's index is as large as it can be. The two databases are asked in turn. A claim is the program's own,
500 rows of one lane; its statement and its COMMIT are timed apart, because a COMMIT is an fsync and moves with the disk.
"""

import asyncio
import sqlite3
import statistics
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from bench.gates import Folder, made
from bench.processes import say
from mailgate.core.delivery import Lane
from mailgate.core.instants import MINUTE, later
from mailgate.runtime import SystemClock
from mailgate.store import outbox
from mailgate.store.db import Db

BATCH: Final = 500
_ADDRESSES: Final = 100_000  # each owed a copy of every broadcast

# Sealed addresses have 60 octets or so; nobody opens these.
_ADDRESS_ROWS: Final = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
    INSERT INTO address (id, sealed, lookup, provider, site, created_at)
    SELECT i * 46116860184273, randomblob(60), randomblob(32), 'docomo', 'docomo', :now FROM n
"""
_STAFF_ROW: Final = """
    INSERT INTO staff (id, address_id, name, role, scope, pin_hash, submission_hash, totp_sealed, created_at)
    VALUES (1, 46116860184273, '-', 'board', 'all', '-', '-', x'00', 0)
"""
_BROADCAST_ROWS: Final = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
    INSERT INTO broadcast (id, link_id, state, kind, lane, staff_id, source, subject, text, cut, created_at)
    SELECT i, randomblob(15), 'sending', 'notice', 2, 1, x'00', x'00', x'00', x'00', :now FROM n
"""
_OUTBOX_ROWS: Final = """
    INSERT INTO outbox (broadcast_id, address_id, lane, state, created_at, due_at, expires_at)
    SELECT b.id, a.id, 2, 'pending', :now, :now, :now + 86400000000 FROM broadcast b CROSS JOIN address a ORDER BY b.id, a.id
"""


async def owing(path: Path, rows: int) -> Folder:
    """A gate that owes so many rows, of broadcasts to 100,000 addresses (or one, to fewer)."""
    folder = await made(path)
    with closing(sqlite3.connect(folder.database, isolation_level=None)) as connection:
        _fill(connection, rows)
    return folder


def _fill(connection: sqlite3.Connection, rows: int) -> None:
    run = connection.execute
    for pragma in ("synchronous = OFF", "journal_mode = OFF", "cache_size = -1000000", "temp_store = MEMORY", "foreign_keys = OFF"):
        run(f"PRAGMA {pragma}")
    now, addresses = SystemClock().now(), min(rows, _ADDRESSES)
    run("BEGIN")
    run(_ADDRESS_ROWS, {"now": now, "count": addresses})
    run(_STAFF_ROW)
    run(_BROADCAST_ROWS, {"now": now, "count": rows // addresses})
    run(_OUTBOX_ROWS, {"now": now})
    run("COMMIT")
    run("PRAGMA journal_mode = WAL")


async def _time_claims(db: Db) -> tuple[float, float]:
    """Seconds of one claim: the statement, and the COMMIT."""
    clock = SystemClock()
    now = clock.now()
    async with db.write() as tx:
        begun = time.perf_counter()
        due = await outbox.due(tx, now=now, limit=BATCH, lanes=[Lane.ORDINARY])
        rows = await outbox.claim(tx, due, now=now, until=later(now, 15 * MINUTE), node="bench")
        claimed = time.perf_counter()
    assert len(rows) == BATCH
    return claimed - begun, time.perf_counter() - claimed


async def _work(folders: list[Folder], claims: int) -> None:
    dbs = [await Db.open(folder.database) for folder in folders]
    try:
        for db in dbs:  # what is read for the first time comes from the disk
            await _time_claims(db)
        times = [[await _time_claims(db) for db in dbs] for _ in range(claims)]
        (few, few_commit), (many, many_commit) = (
            [statistics.median(each[number][part] for each in times) * 1e3 for part in (0, 1)] for number in (0, 1)
        )
        say(few_ms=few, many_ms=many, few_commit_ms=few_commit, many_commit_ms=many_commit)
    finally:
        for db in dbs:
            await db.close()


if __name__ == "__main__":
    asyncio.run(_work([Folder(Path(name)) for name in sys.argv[1:-1]], int(sys.argv[-1])))
