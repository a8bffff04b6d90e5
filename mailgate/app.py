"""The running gate: builds the objects, wires them, runs one TaskGroup until it is told to stop.

`serve` is both sides in one process and one loop; `serve mail` holds the address key and the sender's lock; `serve web` has neither
`keys/address` nor `keys/lookup`. A stop (SIGTERM, SIGINT) lets work under way end, within 20 seconds in all.
"""

import asyncio
import contextlib
import ipaddress
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal

import structlog

from mailgate.core.addresses import parse_spec
from mailgate.core.letters import House
from mailgate.core.outages import StoreFull
from mailgate.journeys.addressbook import AddressBook
from mailgate.journeys.allowance import Allowance
from mailgate.journeys.deliver import Sender
from mailgate.journeys.draft import Drafter
from mailgate.journeys.inbox import Inbox
from mailgate.journeys.invite import Inviter
from mailgate.journeys.join import Join
from mailgate.journeys.life import Expander
from mailgate.journeys.links import Links
from mailgate.journeys.passwords import Passwords
from mailgate.journeys.reach import Reach
from mailgate.journeys.send import Send
from mailgate.journeys.stop import Stop
from mailgate.journeys.writing import Writing
from mailgate.letters.writer import Writer
from mailgate.logs import fault_of
from mailgate.ops.lock import SenderLock
from mailgate.ops.wake import WakeSocket, ring
from mailgate.places import folder
from mailgate.runtime import Clock, Dice, SystemClock, SystemDice
from mailgate.settings import Settings, split_hostport
from mailgate.smtp.door import LOOPBACK, Limits
from mailgate.smtp.listener import Listener
from mailgate.smtp.relay import NextServer, SmtpRelay
from mailgate.smtp.tls import server_context
from mailgate.store import kept, migrate
from mailgate.store.db import Db, StoreUnfit, Tx
from mailgate.vault import MAIL_KEYS, WEB_KEYS, AddressVault, Keys, KeysUnfit, TextVault, load_keys
from mailgate.web.app import Pages, create_app
from mailgate.web.server import WebServer

log = structlog.get_logger()

Side = Literal["both", "mail", "web"]

# Together under the 20 seconds that a stop may take, and under systemd's TimeoutStopSec.
_LISTENER_GRACE_S: Final = 5
_SENDER_GRACE_S: Final = 10
_HOUSEKEEPING_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What both sides stand on."""

    settings: Settings
    db: Db
    keys: Keys
    links: Links
    texts: TextVault
    passwords: Passwords
    house: House
    clock: Clock
    dice: Dice


@asynccontextmanager
async def open_common(settings: Settings, names: tuple[str, ...]) -> AsyncIterator[Common]:
    """The store and the keys, checked against each other.

    Raises:
        StoreUnfit, KeysUnfit: the text says what to do.
    """
    if not migrate.is_current(settings.database):
        raise StoreUnfit(f"the database {settings.database} is not of this version: run `mailgate migrate`")
    dice = SystemDice()
    keys = load_keys(settings.keys_dir, names)
    db = await Db.open(settings.database)
    try:
        async with db.write() as tx:
            await prove_keys(tx, keys)
        yield Common(
            settings=settings,
            db=db,
            keys=keys,
            links=Links(keys.ring("links"), settings.gate.public_url),
            texts=TextVault(keys, dice),
            passwords=Passwords(),
            house=house_of(settings),
            clock=SystemClock(),
            dice=dice,
        )
    finally:
        await db.close()


async def prove_keys(tx: Tx, keys: Keys) -> None:
    """Compare each key with what this database knows of it; what it does not know yet, it learns.

    Raises:
        KeysUnfit: a key is not the one that this database was written with.
    """
    known = await kept.key_proofs(tx)
    for name, proofs in keys.proofs().items():
        if name not in known:
            await kept.add_key_proof(tx, key=name, proof=proofs[-1])
        elif known[name] not in proofs:
            raise KeysUnfit(f"the key file {name} is not the one that this database was written with: put the right one back")


def house_of(settings: Settings) -> House:
    """What every mail may mention."""
    gate = settings.gate
    return House(
        domain=gate.domain,
        name=gate.name,
        board=gate.board,
        public_url=gate.public_url.rstrip("/"),
        helpline=gate.helpline,
        timezone=gate.timezone,
        boxes=settings.boxes,
    )


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
        common = await stack.enter_async_context(open_common(settings, names))
        mail = None if side == "web" else MailSide(common)
        wake = (lambda: ring(wake_path)) if mail is None else mail.sender.wake
        if mail is not None:
            ear = WakeSocket(wake_path, mail.sender.wake)
            stack.callback(ear.close)
        web = None if side == "mail" else WebServer(create_app(pages_of(common, wake)))
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

    def __init__(self, common: Common) -> None:
        settings = common.settings
        self._settings = settings
        self._stopping = asyncio.Event()
        vault = AddressVault(common.keys, common.dice)
        exempt = (*LOOPBACK, *map(ipaddress.ip_network, settings.smtp.trusted_relays))
        self.sender = Sender(
            db=common.db,
            relay=relay_of(settings, common.clock),
            writer=writing_of(common, vault),
            expander=Expander(db=common.db, clock=common.clock),
            clock=common.clock,
            dice=common.dice,
            window=settings.relay.window,
            connections=settings.relay.connections,
            grace_s=_SENDER_GRACE_S,
        )
        self._inbox = inbox_of(common, vault, Allowance(exempt), self.sender.wake)
        tls = settings.tls
        self._listener = Listener(
            self._inbox,
            Limits(exempt=exempt),
            hostname=settings.gate.domain,
            tls=server_context(settings.folder / tls.cert, settings.folder / tls.key) if tls.cert else None,
            clock=common.clock,
        )

    async def start(self, group: asyncio.TaskGroup) -> tuple[int, ...]:
        """Listen and send; the bound ports."""
        ports = await self._listener.start([_hostport(listen) for listen in self._settings.smtp.listen])
        group.create_task(self.sender.run(self._stopping), name="sender")
        group.create_task(self._keep_house(), name="housekeeping")
        return ports

    async def stop(self) -> None:
        """Take no more, end what is under way."""
        await self._listener.close(grace_s=_LISTENER_GRACE_S)
        self._stopping.set()

    async def _keep_house(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _HOUSEKEEPING_S)
            try:
                await self._inbox.forget()
            except (sqlite3.Error, StoreFull) as error:  # tidied in the next round
                log.warning("sender.fault_caught", fault=fault_of(error))


def writing_of(common: Common, vault: AddressVault) -> Writing:
    """What makes copies."""
    return Writing(
        db=common.db,
        vault=vault,
        texts=common.texts,
        links=common.links,
        writer=Writer(common.house, folder("templates")),
        house=common.house,
        send=send_of(common, wake=lambda: None),
    )


def inbox_of(common: Common, vault: AddressVault, allowance: Allowance, wake: Callable[[], None]) -> Inbox:
    """What takes mail."""
    settings = common.settings
    book = AddressBook(vault, common.dice)
    return Inbox(
        db=common.db,
        vault=vault,
        book=book,
        links=common.links,
        inviter=Inviter(book=book, links=common.links, dice=common.dice),
        drafter=Drafter(texts=common.texts, dice=common.dice),
        domain=settings.gate.domain,
        names=settings.boxes,
        operator=parse_spec(settings.gate.operator),
        allowance=allowance,
        clock=common.clock,
        dice=common.dice,
        wake=wake,
    )


def send_of(common: Common, *, wake: Callable[[], None]) -> Send:
    """What shows and moves broadcasts."""
    return Send(
        db=common.db,
        links=common.links,
        texts=common.texts,
        passwords=common.passwords,
        clock=common.clock,
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


def pages_of(common: Common, wake: Callable[[], None]) -> Pages:
    """What the pages stand on."""
    settings = common.settings
    return Pages(
        join=Join(
            db=common.db,
            links=common.links,
            passwords=common.passwords,
            clock=common.clock,
            timezone=settings.gate.timezone,
            wake=wake,
        ),
        send=send_of(common, wake=wake),
        reach=Reach(
            db=common.db, links=common.links, texts=common.texts, board=settings.gate.board, clock=common.clock
        ),
        stop=Stop(db=common.db, links=common.links, clock=common.clock),
        house=common.house,
        clock=common.clock,
        trusted_proxies=tuple(settings.web.trusted_proxies),
    )


def _hostport(listen: str) -> tuple[str, int]:
    hostport = split_hostport(listen)
    assert hostport is not None  # the settings were checked
    return hostport

