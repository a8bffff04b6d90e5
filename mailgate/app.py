"""The running gate: builds the objects, wires them, runs one TaskGroup until it is told to stop.

`serve` is both sides in one process and one loop; `serve mail` holds the address key and the sender's lock; `serve web` has neither
`keys/address` nor `keys/lookup`. A stop (SIGTERM, SIGINT) lets work under way end, within 20 seconds in all.
"""

import asyncio
import contextlib
import ipaddress
import signal
import sqlite3
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final, Literal

import structlog

from mailgate.core.addresses import parse_spec
from mailgate.core.outages import StoreFull
from mailgate.footing import Footing, open_footing
from mailgate.journeys.addressbook import AddressBook
from mailgate.journeys.allowance import Allowance
from mailgate.journeys.deliver import Sender
from mailgate.journeys.draft import Drafter
from mailgate.journeys.inbox import Inbox
from mailgate.journeys.invite import Inviter
from mailgate.journeys.join import Join
from mailgate.journeys.life import Expander
from mailgate.journeys.reach import Reach
from mailgate.journeys.send import Send
from mailgate.journeys.signing import Signer, load_signing_key
from mailgate.journeys.stop import Stop
from mailgate.journeys.writing import Writing
from mailgate.letters.writer import Writer
from mailgate.logs import fault_of
from mailgate.ops.lock import SenderLock
from mailgate.ops.metrics import Metrics
from mailgate.ops.wake import WakeSocket, ring
from mailgate.places import folder
from mailgate.runtime import Clock
from mailgate.settings import Settings, split_hostport
from mailgate.smtp.door import LOOPBACK, Limits
from mailgate.smtp.listener import Listener
from mailgate.smtp.relay import NextServer, SmtpRelay
from mailgate.smtp.tls import server_context
from mailgate.vault import MAIL_KEYS, WEB_KEYS, AddressVault
from mailgate.web.app import Pages, create_app
from mailgate.web.server import WebServer

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
        footing = await stack.enter_async_context(open_footing(settings, names))
        mail = None if side == "web" else MailSide(footing)
        wake = (lambda: ring(wake_path)) if mail is None else mail.sender.wake
        if mail is not None:
            ear = WakeSocket(wake_path, mail.sender.wake)
            stack.callback(ear.close)
        web = None if side == "mail" else WebServer(create_app(pages_of(footing, wake)))
        async with asyncio.TaskGroup() as group:
            ports: dict[str, object] = {}
            if mail is not None:
                ports["smtp"] = list(await mail.start(group))
            if web is not None:
                ports["web"] = await web.start(*_hostport(settings.web.listen))
            log.info("gate.started", side=side, **ports)
            await stop.wait()
            log.info("gate.stopping")
            if web is not None:
                await web.stop(_LISTENER_GRACE_S)
            if mail is not None:
                await mail.stop()
    log.info("gate.stopped")


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
            relay=relay_of(settings, footing.clock),
            writer=writing_of(footing, vault),
            expander=Expander(db=footing.db, clock=footing.clock),
            clock=footing.clock,
            dice=footing.dice,
            window=settings.relay.window,
            connections=settings.relay.connections,
            grace_s=_SENDER_GRACE_S,
        )
        self._inbox = inbox_of(footing, vault, Allowance(exempt), self.sender.wake)
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
        ports = await self._listener.start([_hostport(listen) for listen in self._settings.smtp.listen])
        group.create_task(self.sender.run(self._stopping), name="sender")
        group.create_task(self._keep_house(), name="housekeeping")
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
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_HOUSEKEEPING_S):
                    await self._stopping.wait()
            try:
                await self._inbox.forget()
                if self._metrics_server is not None:
                    async with self._db.read() as tx:
                        await self._metrics.read_outbox(tx)
            except (sqlite3.Error, StoreFull) as error:  # tidied in the next round
                log.warning("sender.fault_caught", fault=fault_of(error))


def writing_of(footing: Footing, vault: AddressVault) -> Writing:
    """What makes copies."""
    return Writing(
        db=footing.db,
        vault=vault,
        texts=footing.texts,
        links=footing.links,
        writer=Writer(footing.house, folder("templates")),
        house=footing.house,
        send=send_of(footing, wake=lambda: None),
        signer=signer_of(footing.settings),
    )


def signer_of(settings: Settings) -> Signer | None:
    """What signs; nothing where the relay does."""
    domain, selector = settings.gate.domain, settings.dkim.selector
    return Signer(load_signing_key(settings.keys_dir, domain=domain, selector=selector)) if selector else None


def inbox_of(footing: Footing, vault: AddressVault, allowance: Allowance, wake: Callable[[], None]) -> Inbox:
    """What takes mail."""
    settings = footing.settings
    book = AddressBook(vault, footing.dice)
    return Inbox(
        db=footing.db,
        vault=vault,
        book=book,
        links=footing.links,
        inviter=Inviter(book=book, links=footing.links, dice=footing.dice),
        drafter=Drafter(texts=footing.texts, dice=footing.dice),
        domain=settings.gate.domain,
        names=settings.boxes,
        operator=parse_spec(settings.gate.operator),
        allowance=allowance,
        clock=footing.clock,
        dice=footing.dice,
        wake=wake,
    )


def send_of(footing: Footing, *, wake: Callable[[], None]) -> Send:
    """What shows and moves broadcasts."""
    return Send(
        db=footing.db,
        links=footing.links,
        texts=footing.texts,
        passwords=footing.passwords,
        clock=footing.clock,
        wake=wake,
    )


def relay_of(settings: Settings, clock: Clock) -> SmtpRelay:
    """The next server."""
    relay = settings.relay
    password = (settings.folder / relay.password_file).read_text().strip() if relay.password_file else ""
    server = NextServer(
        host=relay.host,
        port=relay.port,
        helo=settings.gate.domain,
        connections=relay.connections,
        tls=relay.tls,
        verify=relay.verify,
        username=relay.username,
        password=password,
    )
    return SmtpRelay(server, clock=clock)


def pages_of(footing: Footing, wake: Callable[[], None]) -> Pages:
    """What the pages stand on."""
    settings = footing.settings
    return Pages(
        join=Join(
            db=footing.db,
            links=footing.links,
            passwords=footing.passwords,
            clock=footing.clock,
            timezone=settings.gate.timezone,
            wake=wake,
        ),
        send=send_of(footing, wake=wake),
        reach=Reach(
            db=footing.db, links=footing.links, texts=footing.texts, board=settings.gate.board, clock=footing.clock
        ),
        stop=Stop(db=footing.db, links=footing.links, clock=footing.clock),
        house=footing.house,
        clock=footing.clock,
        trusted_proxies=tuple(settings.web.trusted_proxies),
    )


def _hostport(listen: str) -> tuple[str, int]:
    hostport = split_hostport(listen)
    assert hostport is not None  # the settings were checked
    return hostport

