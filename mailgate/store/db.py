"""One SQLite file: one writer with group commit, a few readers.

Rules
- `async with db.write() as tx:` is left only after a durable COMMIT (WAL, synchronous=FULL), or by an exception after which nothing of
  that block is in the database.
- Decisions that arrive together share one COMMIT: each runs alone inside the open transaction, behind a savepoint of its own, so that
  one that fails takes nobody along. The group is closed when nobody waits any more or when it is full. There is no timer: a lone
  write commits at once.
- Everything a caller awaits inside the block is the transaction itself. Nobody holds it over a network call.
- A statement is worked off by a thread, so that a long one keeps nobody waiting but its neighbours in line. The way there and back is
  longer than what it takes to find a row by its key, and a blank mail asks a dozen of these: `write(brief=True)` promises that every
  statement of the block touches a few rows found by a key, and they run where they are asked for. What waits for the disk or for
  another process (COMMIT, undoing, BEGIN while somebody else writes) always goes to the thread.
- A statement that is a decision by itself (`run`) has SQLite's own transaction round it while nobody else is in line: one way to the
  thread and back for all of it.
- A statement that finds the disk full makes SQLite roll back the whole transaction: then every member of the group is told.

A task of the Db's own grants the turns and commits, so a caller that is cancelled while it waits leaves no transaction open.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mailgate.core.outages import StoreFull
from mailgate.store.connections import BUSY_MS, Connected, connected
from mailgate.store.tx import BriefTx, Params, Row, Statements, Tx

__all__ = ["READERS", "Db", "Params", "Row", "Statements", "Tx"]

_HURRY_MS: Final = 1_000
GROUP_LIMIT: Final = 64
READERS: Final = 2


@dataclass(slots=True, eq=False)
class _Turn:
    """One caller's place in the line of writers."""

    is_brief: bool
    granted: asyncio.Future[Tx]
    left: asyncio.Future[bool]  # True: keep what it wrote
    settled: asyncio.Future[None]


class Db(Statements):
    """The store of one process. Open it with `Db.open`; a web and a mail process may have the same file open."""

    def __init__(self, writer: Connected, readers: Sequence[Connected]) -> None:
        self._file, self._writer = writer.file, writer.thread
        self._brief, self._long = BriefTx(self._writer, self._file), Tx(self._writer)
        self._patience_ms = BUSY_MS  # with other processes that write
        self._all_readers = tuple(readers)
        self._readers: asyncio.Queue[Connected] = asyncio.Queue()
        for reader in readers:
            self._readers.put_nowait(reader)
        self._ending: set[asyncio.Task[None]] = set()  # views
        self._line: deque[_Turn] = deque()
        self._to_empty: deque[asyncio.Future[bool]] = deque()
        self._somebody_waits = asyncio.Event()
        self._is_busy = False  # with a group, or about to be
        self._alone = 0  # statements under way that are no group's
        self._nobody_alone = asyncio.Event()
        self._turns = asyncio.get_running_loop().create_task(self._grant_turns(), name="db-turns")

    @classmethod
    async def open(cls, path: Path) -> "Db":
        """Open an existing database file.

        Raises:
            StoreUnfit: as `connected`.
        """
        writer, readers = await connected(path, readers=READERS)
        return cls(writer, readers)

    async def close(self) -> None:
        """Wait for nobody, close the connections."""
        self._turns.cancel()
        await asyncio.gather(self._turns, *self._ending, return_exceptions=True)
        for connection in (*[reader.thread for reader in self._all_readers], self._writer):
            await connection.close()

    @asynccontextmanager
    async def read(self, *, brief: bool = False) -> AsyncIterator[Tx]:
        """A consistent view that cannot write; `brief` as for `write`."""
        reader = await self._readers.get()
        try:
            if brief:
                reader.file.execute("BEGIN")
                yield BriefTx(reader.thread, reader.file)
            else:
                await reader.thread.execute("BEGIN")
                yield Tx(reader.thread)
        finally:
            if brief:
                reader.file.rollback()
                self._readers.put_nowait(reader)
            else:
                self._end_soon(reader)

    def _end_soon(self, reader: Connected) -> None:
        """A caller that was cancelled may have left a statement under way, even the BEGIN. The thread works them off in their order, so
        this ends the view whatever became of them; nobody waits for it but whoever gets the connection next.
        """
        self._ending.add(task := asyncio.create_task(self._end_view(reader)))
        task.add_done_callback(self._ending.discard)

    async def _end_view(self, reader: Connected) -> None:
        try:
            await reader.thread.rollback()
        finally:
            self._readers.put_nowait(reader)

    @asynccontextmanager
    async def write(self, *, brief: bool = False) -> AsyncIterator[Tx]:
        """One decision, durable when the block is left; `brief` if each of its statements touches a few rows found by a key.

        Raises:
            StoreFull: the disk has no room; nothing of the block was kept.
        """
        loop = asyncio.get_running_loop()
        turn = _Turn(brief, loop.create_future(), loop.create_future(), loop.create_future())
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
        await turn.settled

    async def fetch(self, sql: str, params: Params = ()) -> list[Row]:
        """A look of one statement."""
        reader = await self._readers.get()
        try:
            rows = await Tx(reader.thread).fetch(sql, params)
        except BaseException:
            self._end_soon(reader)
            raise
        self._readers.put_nowait(reader)
        return rows

    async def run(self, sql: str, params: Params = ()) -> int:
        """A decision of one statement, durable when this returns; how many rows it touched.

        Raises:
            StoreFull: as `write`.
        """
        if self._is_busy or self._line:
            async with self.write() as tx:
                return await tx.run(sql, params)
        self._alone += 1
        lone = asyncio.ensure_future(self._long.run(sql, params))
        lone.add_done_callback(self._worked_off)
        try:
            return await asyncio.shield(lone)  # the thread works it off, whatever becomes of the caller
        except sqlite3.OperationalError as error:
            if _is_full(error):
                raise StoreFull from error
            raise

    def _worked_off(self, lone: asyncio.Future[int]) -> None:
        if not lone.cancelled():
            lone.exception()  # somebody cancelled may never ask
        self._alone -= 1
        self._nobody_alone.set()

    def hurry(self) -> None:
        """From the next transaction on wait for other processes that write a second, no longer: we are about to stop."""
        self._patience_ms = min(self._patience_ms, _HURRY_MS)

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
            while self._alone:
                self._nobody_alone.clear()
                await self._nobody_alone.wait()
            while self._line:
                await self._one_group()
            while self._to_empty:
                await self._empty_for(self._to_empty.popleft())
            self._is_busy = False

    async def _empty_for(self, asked: asyncio.Future[bool]) -> None:
        """Between two transactions. What goes wrong is for whoever asked, and the line moves on."""
        try:
            emptied = await self._empty_log()
        except sqlite3.Error as error:
            if not asked.cancelled():
                asked.set_exception(error)
        else:
            if not asked.cancelled():
                asked.set_result(emptied)

    async def _empty_log(self) -> bool:
        await self._writer.execute("PRAGMA busy_timeout = 0")
        try:
            rows = list(await self._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)"))
        except sqlite3.OperationalError:
            return False
        finally:
            await self._writer.execute(f"PRAGMA busy_timeout = {self._patience_ms}")
        return bool(rows[0][0] == 0)

    async def _one_group(self) -> None:
        """BEGIN, let the waiting callers write one after the other, COMMIT, tell them."""
        members: list[_Turn] = []
        try:
            while self._line and len(members) < GROUP_LIMIT:
                turn = self._line.popleft()
                if not self._file.in_transaction:
                    await self._begin()
                if not turn.granted.cancelled() and await self._one_turn(turn, first=not members):
                    members.append(turn)
            if self._writer.in_transaction:
                await self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            if self._writer.in_transaction:
                await self._writer.execute("ROLLBACK")
            _tell([*members, turn], StoreFull() if _is_full(error) else error)
        else:
            _tell(members, None)

    async def _begin(self) -> None:
        """Here, if nobody else writes; else the thread waits for him."""
        self._file.execute("PRAGMA busy_timeout = 0")
        try:
            self._file.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:  # in the octets above stands what it is busy with
                raise
        finally:
            self._file.execute(f"PRAGMA busy_timeout = {self._patience_ms}")
        if not self._file.in_transaction:
            await self._writer.execute("BEGIN IMMEDIATE")

    async def _one_turn(self, turn: _Turn, *, first: bool) -> bool:
        """Let one caller write. True: what it wrote stands in the open transaction."""
        if not first:
            self._file.execute("SAVEPOINT turn")
        turn.granted.set_result(self._brief if turn.is_brief else self._long)
        keep = await turn.left
        if not self._writer.in_transaction:
            raise sqlite3.OperationalError("the transaction was rolled back: database or disk is full")
        if not keep:
            await self._writer.execute("ROLLBACK" if first else "ROLLBACK TO turn")
        if not first:
            self._file.execute("RELEASE turn")
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
