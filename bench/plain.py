"""The same outbox by plain aiosmtplib, in a process of its own: `python -m bench.plain FOLDER PORT`.

It is what a good programmer writes first, and everything around the SMTP library is as fast here as in the program: uvloop, claims of
500 rows ahead of the wire, copies from the same prepared segments, 16 connections that stay open, marks in batches. So what differs is
the wire and how the work is kept together. It says how many seconds it took from the confirmation to the last mark committed.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import Final

import aiosmtplib
import uvloop

from bench.gate import confirm
from bench.gates import Folder
from bench.processes import LOOPBACK, say
from mailgate import logs, wiring
from mailgate.core.instants import MINUTE, later
from mailgate.core.relay import Copy
from mailgate.footing import Footing, open_footing
from mailgate.journeys.life import Expander
from mailgate.journeys.ports import Unmakeable
from mailgate.store import outbox
from mailgate.vault import MAIL_KEYS, AddressVault

CONNECTIONS: Final = 16
_BATCH: Final = 500
_MARK: Final = "UPDATE outbox SET state = 'handed_over', handed_over_at = ?, attempt = attempt + 1, leased_until = NULL WHERE id = ?"


class Loop:
    """Feed, send, mark."""

    def __init__(self, footing: Footing, port: int) -> None:
        self._footing = footing
        self._port = port
        self._writing = wiring.writing_of(footing, AddressVault(footing.keys, footing.dice))
        self._queue: asyncio.Queue[Copy | None] = asyncio.Queue(2 * _BATCH)
        self._sent: list[int] = []
        self.octets = self.copies = 0

    async def drain(self) -> None:
        expander = Expander(db=self._footing.db, clock=self._footing.clock)
        while await expander.step():
            pass
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(self._send())
            await self._feed()
            for _ in range(CONNECTIONS):
                await self._queue.put(None)
        await self._mark()

    async def _feed(self) -> None:
        while True:
            now = self._footing.clock.now()
            async with self._footing.db.write() as tx:
                due = await outbox.due(tx, now=now, limit=_BATCH)
                rows = await outbox.claim(tx, due, now=now, until=later(now, 15 * MINUTE), node="plain")
            if not rows:
                return
            copies: list[Copy | Unmakeable] = []
            await self._writing.write(rows, copies.extend)
            for copy in copies:
                assert isinstance(copy, Copy)
                self.octets += len(copy.content)
                self.copies += 1
                await self._queue.put(copy)

    async def _send(self) -> None:
        async with aiosmtplib.SMTP(hostname=LOOPBACK, port=self._port, start_tls=False) as smtp:
            while (copy := await self._queue.get()) is not None:
                await smtp.sendmail(copy.sender, [copy.recipient], copy.content)
                self._sent.append(copy.id)
                if len(self._sent) >= _BATCH:
                    await self._mark()

    async def _mark(self) -> None:
        sent, self._sent = self._sent, []
        now = self._footing.clock.now()
        async with self._footing.db.write() as tx:
            await tx.run_many(_MARK, [(now, id_) for id_ in sent])


async def _work(folder: Folder, port: int) -> None:
    async with open_footing(folder.settings(), MAIL_KEYS) as footing:
        loop = Loop(footing, port)
        begun = time.perf_counter()
        await confirm(footing)
        await loop.drain()
        say(took_s=time.perf_counter() - begun, copies=loop.copies, octets=loop.octets / loop.copies)


if __name__ == "__main__":
    logs.configure()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(Folder(Path(sys.argv[1])), int(sys.argv[2])))
