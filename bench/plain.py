"""The same outbox by plain aiosmtplib, in a process of its own: `python -m bench.plain FOLDER PORT`.

The sender is the program's own, with all that it promises: claims ahead of the wire, copies from prepared segments, at most a window of
copies that are out and not marked, uvloop. Only the relay is another: what a good programmer writes first, a task for each of 16
connections that stay open, which takes a copy and awaits `sendmail`. It says how many seconds it took from the confirmation to the last
mark committed.
"""

import asyncio
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Final

import aiosmtplib
import uvloop

from bench.gate import confirm
from bench.gates import Folder, Watch
from bench.processes import LOOPBACK, say
from mailgate import logs, wiring
from mailgate.core.relay import Accepted, Source
from mailgate.footing import open_footing
from mailgate.journeys.deliver import Sender
from mailgate.journeys.life import Expander
from mailgate.runtime import tune_interpreter
from mailgate.vault import MAIL_KEYS, AddressVault

CONNECTIONS: Final = 16


class PlainRelay:
    """A relay (core.relay.Relay) of tasks round aiosmtplib's client."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._nudged = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.octets = self.copies = 0

    def start(self, source: Source) -> None:
        self._tasks = [asyncio.create_task(self._send(source)) for _ in range(CONNECTIONS)]

    def nudge(self) -> None:
        self._nudged.set()

    async def close(self, grace_s: float) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _send(self, source: Source) -> None:
        async with aiosmtplib.SMTP(hostname=LOOPBACK, port=self._port, start_tls=False) as smtp:
            while True:
                while (copy := source.take()) is None:
                    self._nudged.clear()
                    await self._nudged.wait()
                _, text = await smtp.sendmail(copy.sender, [copy.recipient], copy.content)
                source.done(copy, Accepted(code=250, text=text))
                self.octets += len(copy.content)
                self.copies += 1


async def _work(folder: Folder, port: int) -> None:
    async with open_footing(folder.settings(), MAIL_KEYS) as footing:
        relay, stop = PlainRelay(port), asyncio.Event()
        sender = Sender(
            db=footing.db,
            relay=relay,
            writer=wiring.writing_of(footing, AddressVault(footing.keys, footing.dice)),
            expander=Expander(db=footing.db, clock=footing.clock),
            clock=footing.clock,
            dice=footing.dice,
            window=footing.settings.relay.window,
        )
        tune_interpreter()
        async with asyncio.TaskGroup() as group:
            group.create_task(sender.run(stop))
            begun = time.perf_counter()
            await confirm(footing)
            sender.wake()
            with closing(Watch(folder)) as watch:
                while not watch.owes_nothing():  # noqa: ASYNC110  no event tells of a COMMIT
                    await asyncio.sleep(0.01)
            say(took_s=time.perf_counter() - begun, copies=relay.copies, octets=relay.octets / relay.copies)
            stop.set()


if __name__ == "__main__":
    logs.configure()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(Folder(Path(sys.argv[1])), int(sys.argv[2])))
