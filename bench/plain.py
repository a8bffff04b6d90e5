"""The same outbox by plain aiosmtplib, in a process of its own: `python -m bench.plain FOLDER PORT {uvloop|asyncio}`.

The sender is the program's own, with all that it promises: claims ahead of the wire, copies from prepared segments, at most a window of
copies that are out and not marked. Only the relay is another: what a good programmer writes first, a task for each of 16 connections that
stay open, which takes a copy and awaits `sendmail`. It runs on the loop that we run on, or on asyncio's own, as it comes. Told to, it
confirms the broadcast and says when that was; who started it looks on.
"""

import asyncio
import sys
from pathlib import Path
from typing import Final

import aiosmtplib
import uvloop

from bench.gate import confirm
from bench.gates import Folder
from bench.processes import LOOPBACK, commands, say
from mailgate import logs, wiring
from mailgate.core.instants import SECOND
from mailgate.core.relay import Accepted, Source
from mailgate.footing import open_footing
from mailgate.journeys.deliver import Sender
from mailgate.journeys.life import Expander
from mailgate.runtime import tune_interpreter
from mailgate.vault import MAIL_KEYS, AddressVault

CONNECTIONS: Final = 16


class PlainRelay:
    """A relay (core.relay.Relay) of tasks round aiosmtplib's client. What goes wrong ends the group, and with it the process."""

    def __init__(self, port: int, group: asyncio.TaskGroup) -> None:
        self._port = port
        self._group = group
        self._nudged = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, source: Source) -> None:
        self._tasks = [self._group.create_task(self._send(source)) for _ in range(CONNECTIONS)]
        say()

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


async def _work(folder: Folder, port: int) -> None:
    stop = asyncio.Event()
    async with open_footing(folder.settings(), MAIL_KEYS) as footing, asyncio.TaskGroup() as group:
        sender = Sender(
            db=footing.db,
            relay=PlainRelay(port, group),
            writer=wiring.writing_of(footing, AddressVault(footing.keys, footing.dice)),
            expander=Expander(db=footing.db, clock=footing.clock),
            clock=footing.clock,
            dice=footing.dice,
            window=footing.settings.relay.window,
        )
        tune_interpreter()
        group.create_task(sender.run(stop))
        async for _ in commands():
            say(confirmed_at=await confirm(footing) / SECOND)
            sender.wake()
        stop.set()


if __name__ == "__main__":
    logs.configure()
    loops = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    with asyncio.Runner(loop_factory=loops[sys.argv[3]]) as runner:
        runner.run(_work(Folder(Path(sys.argv[1])), int(sys.argv[2])))
