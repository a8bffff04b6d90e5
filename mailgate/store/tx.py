"""Transactions, as statements get them: one that a thread works off, and one for statements that are too short for the way there.

Which one a decision gets, and when, is the business of store.db.
"""

import json
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any  # what JSON holds

import aiosqlite

Params = Mapping[str, object] | Sequence[object]
Row = sqlite3.Row


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


class BriefTx(Tx):
    """The same, for statements that take less time than the way to the thread and back."""

    __slots__ = ("_file",)

    def __init__(self, connection: aiosqlite.Connection, file: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._file = file

    async def fetch(self, sql: str, params: Params = ()) -> list[Row]:
        return self._file.execute(sql, params).fetchall()

    async def run(self, sql: str, params: Params = ()) -> int:
        return self._file.execute(sql, params).rowcount

    async def run_many(self, sql: str, params: Iterable[Params]) -> None:
        self._file.executemany(sql, params)
