"""One SQLite file: one writer with group commit, a few readers.

Rules
- `async with db.write() as tx:` is left only after a durable COMMIT (WAL, synchronous=FULL), or by an exception after which nothing of
  that block is in the database.
- Decisions that arrive together share one COMMIT: each runs alone inside the open transaction, behind a savepoint of its own, so that
  one that fails takes nobody along. The group is closed when nobody waits any more or when it is full. There is no timer: a lone
  write commits at once.
- Everything a caller awaits inside the block is the transaction itself. Nobody holds it over a network call.
- A statement that finds the disk full makes SQLite roll back the whole transaction: then every member of the group is told.

A task of the Db's own grants the turns and commits, so a caller that is cancelled while it waits leaves no transaction open.
"""

import asyncio
import json
import sqlite3
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final  # Any: what JSON holds

import aiosqlite

from mailgate.core.outages import StoreFull
from mailgate.store.connections import BUSY_MS, StoreUnfit, prepare, unfit

Params = Mapping[str, object] | Sequence[object]
Row = sqlite3.Row

GROUP_LIMIT: Final = 64
READERS: Final = 2

class Statements(ABC):
    """What runs statements: a transaction, or the store itself for one that needs nothing around it."""

    __slots__ = ()

    @abstractmethod
    async def fetch(self, sql: str, params: Params = ()) -> list[Row]:
        """All rows of a statement."""

    @abstractmethod
    async def run(self, sql: str, params: Params = ()) -> int:
        """Run a statement; how many rows it touched."""

    async def one(self, sql: str, params: Params = ()) -> Row | None:
        """The first row of a statement, or None."""
        rows = await self.fetch(sql, params)
        return rows[0] if rows else None

    async def packed(self, sql: str, params: Params = ()) -> Any:
        """The one value of a SELECT that gives its rows as JSON.

        The driver lets the interpreter go and takes it back for every row, and beside a busy loop it waits for it each time: hundreds of
        rows come and go many times as fast in one value.
        """
        rows = await self.fetch(sql, params)
        return json.loads(rows[0][0])


class Tx(Statements):
    """One transaction, as it is passed to the statements."""

    __slots__ = ("_connection",)

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def fetch(self, sql: str, params: Params = ()) -> list[Row]:
        return list(await self._connection.execute_fetchall(sql, params))

    async def run(self, sql: str, params: Params = ()) -> int:
        cursor = await self._connection.execute(sql, params)
        return cursor.rowcount

    async def run_many(self, sql: str, params: Iterable[Params]) -> None:
        """Run a statement once for each set of parameters."""
        await self._connection.executemany(sql, params)


@dataclass(slots=True, eq=False)
class _Turn:
    """One caller's place in the line of writers."""

    granted: asyncio.Future[Tx]
    left: asyncio.Future[bool]  # True: keep what it wrote
    settled: asyncio.Future[None]
    wrote: bool = field(default=False)


class Db(Statements):
    """The store of one process. Open it with `Db.open`; a web and a mail process may have the same file open."""

    def __init__(self, writer: aiosqlite.Connection, readers: Sequence[aiosqlite.Connection]) -> None:
        self._writer = writer
        self._all_readers = tuple(readers)
        self._readers: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        for reader in readers:
            self._readers.put_nowait(reader)
        self._line: deque[_Turn] = deque()
        self._to_empty: deque[asyncio.Future[bool]] = deque()
        self._somebody_waits = asyncio.Event()
        self._is_busy = False  # the writer has a transaction open, or is about to
        self._turns = asyncio.get_running_loop().create_task(self._grant_turns(), name="db-turns")

    @classmethod
    async def open(cls, path: Path) -> "Db":
        """Open an existing database file.

        Raises:
            StoreUnfit: there is no such file, it is no database, or a pragma that our promises rest on does not hold.
        """
        if not path.exists():
            raise StoreUnfit(f"there is no database at {path}: run `mailgate migrate`")
        opened: list[aiosqlite.Connection] = []
        try:
            for query_only in (False, *[True] * READERS):
                opened.append(await aiosqlite.connect(path, isolation_level=None, cached_statements=512))
                await prepare(opened[-1], path, query_only=query_only)
        except BaseException as error:
            for connection in opened:  # each has a thread, which would keep the process alive
                await connection.close()
            if isinstance(error, sqlite3.Error):
                raise unfit(path, error) from None
            raise
        return cls(opened[0], opened[1:])

    async def close(self) -> None:
        """Wait for nobody, close the connections."""
        self._turns.cancel()
        await asyncio.gather(self._turns, return_exceptions=True)
        for connection in (*self._all_readers, self._writer):
            await connection.close()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """A consistent view that cannot write."""
        connection = await self._readers.get()
        try:
            await connection.execute("BEGIN")
            yield Tx(connection)
        finally:
            # A caller that was cancelled may have left a statement under way, even the BEGIN: the connection works them off in their
            # order, so this ends the view whatever became of them, and whoever gets the connection next comes behind it.
            self._readers.put_nowait(connection)
            await connection.rollback()

    async def fetch(self, sql: str, params: Params = ()) -> list[Row]:
        """A look of one statement."""
        connection = await self._readers.get()
        try:
            return await Tx(connection).fetch(sql, params)
        finally:
            self._readers.put_nowait(connection)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Tx]:
        """One decision, durable when the block is left.

        Raises:
            StoreFull: the disk has no room; nothing of the block was kept.
        """
        loop = asyncio.get_running_loop()
        turn = _Turn(loop.create_future(), loop.create_future(), loop.create_future())
        self._line.append(turn)
        self._somebody_waits.set()
        try:
            tx = await turn.granted
            yield tx
        except BaseException as error:
            turn.granted.cancel()
            if not turn.left.done():
                turn.left.set_result(False)
            if _is_full(error):
                raise StoreFull from error
            raise
        turn.left.set_result(True)
        await asyncio.shield(turn.settled)

    async def run(self, sql: str, params: Params = ()) -> int:
        """A decision of one statement, durable when this returns; how many rows it touched.

        With nobody else about, SQLite's own transaction round it spares the BEGIN and the COMMIT, each a way to the thread and back.

        Raises:
            StoreFull: as `write`.
        """
        if self._is_busy or self._line:
            async with self.write() as tx:
                return await tx.run(sql, params)
        try:
            return await Tx(self._writer).run(sql, params)
        except sqlite3.OperationalError as error:
            if _is_full(error):
                raise StoreFull from error
            raise

    async def empty_log(self) -> bool:
        """Bring the write-ahead log into the file and cut it to nothing. False: somebody is reading just now, and nobody waits for that.

        What was erased is gone from the file with the COMMIT; the log keeps older pages until it is written over.
        """
        asked: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._to_empty.append(asked)
        self._somebody_waits.set()
        return await asked

    async def _grant_turns(self) -> None:
        while True:
            await self._somebody_waits.wait()
            self._somebody_waits.clear()
            self._is_busy = True
            while self._line:
                await self._one_group()
            while self._to_empty:
                asked, emptied = self._to_empty.popleft(), await self._empty_log()
                if not asked.cancelled():
                    asked.set_result(emptied)
            self._is_busy = False

    async def _empty_log(self) -> bool:
        """Between two transactions."""
        await self._writer.execute("PRAGMA busy_timeout = 0")
        try:
            rows = list(await self._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)"))
        except sqlite3.OperationalError:
            return False
        finally:
            await self._writer.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        return bool(rows[0][0] == 0)

    async def _one_group(self) -> None:
        """BEGIN, let the waiting callers write one after the other, COMMIT, tell them."""
        members: list[_Turn] = []
        try:
            while self._line and len(members) < GROUP_LIMIT:
                turn = self._line.popleft()
                if turn.granted.cancelled():
                    continue
                if not self._writer.in_transaction:
                    await self._writer.execute("BEGIN IMMEDIATE")
                if await self._one_turn(turn, first=not members):
                    members.append(turn)
            if self._writer.in_transaction:
                await self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            if self._writer.in_transaction:
                await self._writer.execute("ROLLBACK")
            _tell([*members, turn], StoreFull() if _is_full(error) else error)
        else:
            _tell(members, None)

    async def _one_turn(self, turn: _Turn, *, first: bool) -> bool:
        """Let one caller write. True: what it wrote stands in the open transaction."""
        if not first:
            await self._writer.execute("SAVEPOINT turn")
        if turn.granted.cancelled():
            keep = False
        else:
            turn.granted.set_result(Tx(self._writer))
            keep = await turn.left
        if not self._writer.in_transaction:
            raise sqlite3.OperationalError("the transaction was rolled back: database or disk is full")
        if not keep:
            await self._writer.execute("ROLLBACK" if first else "ROLLBACK TO turn")
        if not first:
            await self._writer.execute("RELEASE turn")
        return keep


def _tell(turns: Iterable[_Turn], error: Exception | None) -> None:
    """Settle those that wait for the COMMIT, and those that have not been let in."""
    for turn in turns:
        for future in (turn.settled, turn.granted):
            if future.done():
                continue
            if error is None:
                if future is turn.settled:
                    turn.settled.set_result(None)
            else:
                future.set_exception(error)
                future.exception()  # somebody cancelled may never ask


def _is_full(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "disk is full" in str(error)
