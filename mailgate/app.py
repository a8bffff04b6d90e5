"""The running gate: builds the objects, wires them, runs one TaskGroup until it is told to stop.

`serve` is both sides in one process and one loop; `serve mail` holds the address key and the sender's lock; `serve web` has neither
`keys/address` nor `keys/lookup`. A stop (SIGTERM, SIGINT) lets work under way end, within 20 seconds in all.
"""

import asyncio
import contextlib
import ipaddress
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, Literal

import structlog

from mailgate.core.hostport import split_hostport
from mailgate.core.outages import StoreFull
from mailgate.core.timekeeping import TimeUnknown
from mailgate.footing import Footing, open_footing
from mailgate.journeys import sites, timekeeping
from mailgate.journeys.allowance import Allowance
from mailgate.journeys.deliver import Sender
from mailgate.journeys.forget import Forget
from mailgate.journeys.life import Expander
from mailgate.logs import fault_of
from mailgate.ops.lock import SenderLock
from mailgate.ops.metrics import Metrics
from mailgate.ops.wake import WakeSocket, ring
from mailgate.runtime import tune_interpreter
from mailgate.settings import Settings
from mailgate.smtp.door import LOOPBACK, Limits
from mailgate.smtp.listener import Listener
from mailgate.smtp.tls import server_context
from mailgate.vault import MAIL_KEYS, WEB_KEYS, AddressVault
from mailgate.web.app import create_app
from mailgate.web.server import WebServer
from mailgate.wiring import inbox_of, pages_of, relay_of, sites_of, writing_of

log = structlog.get_logger()

Side = Literal["both", "mail", "web"]

# Together under the 20 seconds that a stop may take, and under systemd's TimeoutStopSec.
_LISTENER_GRACE_S: Final = 5
_SENDER_GRACE_S: Final = 10
_HOUSEKEEPING_S: Final = 60


async def serve(settings: Settings, side: Side) -> None:
    """Run until a signal says to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    names = WEB_KEYS if side == "web" else MAIL_KEYS
    wake_path = settings.state_dir / "wake.sock"
    async with AsyncExitStack() as stack:
        if side != "web":
            stack.enter_context(SenderLock(settings.state_dir / "sender.lock"))
        footing = await stack.enter_async_context(_footing(settings, names))
        mail = None if side == "web" else MailSide(footing)
        wake = (lambda: ring(wake_path)) if mail is None else mail.sender.wake
        if mail is not None:
            ear = WakeSocket(wake_path, mail.sender.wake)
            stack.callback(ear.close)
        web = None if side == "mail" else WebServer(create_app(pages_of(footing, wake)))
        keeper = timekeeping.Timekeeper(db=footing.db, clock=footing.clock, keeps=mail is not None)
        async with asyncio.TaskGroup() as group:
            group.create_task(_keep_time(keeper, stop), name="timekeeper")
            ports: dict[str, object] = {}
            if mail is not None:
                ports["smtp"] = list(await mail.start(group))
            if web is not None:
                ports["web"] = await web.start(*_hostport(settings.web.listen))
            log.info("gate.started", side=side, **ports)
            await stop.wait()
            log.info("gate.stopping")
            footing.db.hurry()
            if web is not None:
                await web.stop(_LISTENER_GRACE_S)
            if mail is not None:
                await mail.stop()
    log.info("gate.stopped")


@asynccontextmanager
async def _footing(settings: Settings, names: tuple[str, ...]) -> AsyncIterator[Footing]:
    """The footing; a log line too where a person must say what time it is."""
    try:
        async with open_footing(settings, names) as footing:
            yield footing
    except TimeUnknown as error:
        log.error("clock.unknown", machine=error.wall, last=error.last)
        raise


async def _keep_time(keeper: timekeeping.Timekeeper, stop: asyncio.Event) -> None:
    while True:
        with _gone_on():
            await keeper.look()
        if await _is_set_within(stop, timekeeping.LOOK_EVERY_S):
            return


class MailSide:
    """Listener and sender."""

    def __init__(self, footing: Footing) -> None:
        settings = footing.settings
        self._settings = settings
        self._db = footing.db
        self._stopping = asyncio.Event()
        self._metrics = Metrics(footing.clock)
        self._metrics_server = WebServer(self._metrics.app) if settings.metrics.listen else None
        vault = AddressVault(footing.keys, footing.dice)
        exempt = (*LOOPBACK, *map(ipaddress.ip_network, settings.smtp.trusted_relays))
        self.sender = Sender(
            db=footing.db,
            relay=relay_of(settings),
            writer=writing_of(footing, vault),
            expander=Expander(db=footing.db, clock=footing.clock),
            clock=footing.clock,
            dice=footing.dice,
            window=settings.relay.window,
            grace_s=_SENDER_GRACE_S,
        )
        self._forget = Forget(db=footing.db, clock=footing.clock)
        self._sites = sites_of(footing, vault)
        self._inbox = inbox_of(footing, vault, Allowance(exempt), self.sender.wake, sites=self._sites)
        tls = settings.tls
        self._listener = Listener(
            self._inbox,
            Limits(exempt=exempt),
            hostname=settings.gate.domain,
            tls=server_context(settings.folder / tls.cert, settings.folder / tls.key) if tls.cert else None,
            clock=footing.clock,
        )

    async def start(self, group: asyncio.TaskGroup) -> tuple[int, ...]:
        """Listen and send; the bound ports."""
        tune_interpreter()
        ports = await self._listener.start([_hostport(listen) for listen in self._settings.smtp.listen])
        group.create_task(self.sender.run(self._stopping), name="sender")
        group.create_task(self._keep_house(), name="housekeeping")
        group.create_task(self._watch_sites(), name="sites")
        if self._metrics_server is not None:
            await self._metrics_server.start(*_hostport(self._settings.metrics.listen))
            group.create_task(self._metrics.watch_loop(self._stopping), name="loop-watch")
        return ports

    async def stop(self) -> None:
        """Take no more, end what is under way."""
        await self._listener.close(grace_s=_LISTENER_GRACE_S)
        self._stopping.set()
        if self._metrics_server is not None:
            await self._metrics_server.stop(0)

    async def _keep_house(self) -> None:
        while not await _is_set_within(self._stopping, _HOUSEKEEPING_S):
            with _gone_on():
                await self._inbox.forget()
                await self._forget.tidy()
                if self._metrics_server is not None:
                    async with self._db.read() as tx:
                        await self._metrics.read_outbox(tx)

    async def _watch_sites(self) -> None:
        while True:
            with _gone_on():
                await self._sites.look()
            if await _is_set_within(self._stopping, sites.LOOK_EVERY_S):
                return


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


@contextlib.contextmanager
def _gone_on() -> Iterator[None]:
    """What the store cannot do now is done in the next round."""
    try:
        yield
    except (sqlite3.Error, StoreFull) as error:
        log.warning("sender.fault_caught", fault=fault_of(error))


def _hostport(listen: str) -> tuple[str, int]:
    hostport = split_hostport(listen)
    assert hostport is not None  # the settings were checked
    return hostport

