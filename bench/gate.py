"""A gate in a process of its own, put together by the program's own `app`: `python -m bench.gate {serve|listen} FOLDER`.

`serve` is the whole mail side, listener and sender; `listen` takes mail and sends nothing. It differs from `mailgate serve mail` in
three things: it confirms the broadcast itself when it is told to (on a person's PIN the program spends a tenth of a second on purpose),
it watches how late its event loop is, and it answers more than 100 strangers a second, since a limit is not what is measured.
"""

import asyncio
import ipaddress
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import uvloop

from bench.figures import percentile
from bench.gates import BROADCAST, Folder
from bench.processes import LOOPBACK, commands, say
from mailgate import app, logs, wiring
from mailgate.core import limits
from mailgate.core.broadcast import Event
from mailgate.core.instants import SECOND
from mailgate.core.limits import Bucket
from mailgate.footing import Footing, open_footing
from mailgate.journeys.allowance import Allowance
from mailgate.journeys.life import move_broadcast
from mailgate.smtp.door import Limits
from mailgate.smtp.listener import Listener
from mailgate.store import broadcasts
from mailgate.vault import MAIL_KEYS, AddressVault

_TICK_S: Final = 0.005


class Ticker:
    """Asks the loop for a tick every 5 ms and notes how late each one comes."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._late: list[float] = []
        self._due = 0.0
        self._next()

    def _next(self) -> None:
        self._due = time.perf_counter() + _TICK_S  # the loop's own clock may stand still for a millisecond
        self._loop.call_later(_TICK_S, self._tick)

    def _tick(self) -> None:
        self._late.append(max(0.0, time.perf_counter() - self._due))
        self._next()

    def forget(self) -> None:
        self._late.clear()

    def lateness_ms(self) -> dict[str, float]:
        """Median, 99th percentile and longest."""
        late = self._late or [0.0]
        return {"p50": percentile(late, 0.5) * 1e3, "p99": percentile(late, 0.99) * 1e3, "max": max(late) * 1e3}


async def _serve(footing: Footing) -> None:
    side = app.MailSide(footing)
    ticker = Ticker()
    async with asyncio.TaskGroup() as group:
        ports = await side.start(group)
        say(port=ports[0])
        async for command in commands():
            match command:
                case "confirm":
                    ticker.forget()
                    say(confirmed_at=await confirm(footing) / SECOND)
                    side.sender.wake()
                case "lateness":
                    say(**ticker.lateness_ms())
        await side.stop()


async def confirm(footing: Footing) -> int:
    """What pressing the button does after the PIN was right."""
    now = footing.clock.now()
    async with footing.db.write() as tx:
        row = await broadcasts.broadcast_by_id(tx, BROADCAST)
        assert row is not None
        assert await move_broadcast(tx, row, Event.CONFIRM, actor="bench", now=now)
    return now


async def _listen(footing: Footing) -> None:
    exempt = [ipaddress.ip_network(LOOPBACK)]
    inbox = wiring.inbox_of(footing, AddressVault(footing.keys, footing.dice), Allowance(exempt), lambda: None)
    domain = footing.settings.gate.domain
    listener = Listener(inbox, Limits(), hostname=domain, tls=None, clock=footing.clock)
    ports = await listener.start([(LOOPBACK, 0)])
    say(port=ports[0])
    async for _ in commands():
        pass
    await listener.close(grace_s=5)


async def _work(mode: str, folder: Folder) -> None:
    limits.GLOBAL_BUCKET = Bucket(rate=1_000_000, period=SECOND, burst=1_000_000)
    async with AsyncExitStack() as stack:
        footing = await stack.enter_async_context(open_footing(folder.settings(), MAIL_KEYS))
        await (_serve if mode == "serve" else _listen)(footing)


if __name__ == "__main__":
    logs.configure()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(sys.argv[1], Folder(Path(sys.argv[2]))))
