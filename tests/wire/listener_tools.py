"""What the listener's tests share: a door that remembers, a peer that says exactly what it is told to, and a certificate."""

import asyncio
import datetime as dt
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mailgate.core.addresses import Address, NullPath
from mailgate.core.admission import Admission
from mailgate.core.inbound import Inbound
from mailgate.core.instants import Instant
from mailgate.smtp.listener import Limits, Listener

DOMAIN = "gate.example.jp"
BOX = f"touroku@{DOMAIN}"
PATIENCE_S = 10
MOMENT_S = (
    0.25  # what a listener's clocks are set to where a test waits for one: enough for a greeting on a busy machine
)
NOON = Instant(1_800_000_000_000_000)


class StillClock:
    """It is always noon, until somebody turns the other hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> Instant:
        return NOON

    def monotonic(self) -> float:
        return self.seconds


class RecordingDoor:
    """Takes everything for its boxes; fails and waits as it is told."""

    def __init__(self, *, size: int = 2**20, boxes: Sequence[str] = ("touroku", "postmaster", "abuse")) -> None:
        self.size = size
        self.boxes = boxes
        self.mails: list[Inbound] = []
        self.offered: list[Address] = []
        self.asked: list[tuple[Address | NullPath, tuple[Address, ...]]] = []
        self.admission_faults: list[Exception] = []
        self.size_faults: list[Exception] = []
        self.faults: list[Exception] = []
        self.open = asyncio.Event()
        self.open.set()
        self.entered = asyncio.Event()

    def admits(self, recipient: Address) -> Admission:
        self.offered.append(recipient)
        if self.admission_faults:
            raise self.admission_faults.pop(0)
        if recipient.domain != DOMAIN:
            return Admission.FOREIGN
        is_box = recipient.local.lower() in self.boxes or recipient.local.startswith("haishin+")
        return Admission.OURS if is_box else Admission.UNKNOWN

    async def size_limit(self, sender: Address | NullPath, recipients: Sequence[Address]) -> int:
        self.asked.append((sender, tuple(recipients)))
        if self.size_faults:
            raise self.size_faults.pop(0)
        return self.size

    async def receive(self, mail: Inbound) -> None:
        self.entered.set()
        await self.open.wait()
        if self.faults:
            raise self.faults.pop(0)
        self.mails.append(mail)


class Peer:
    """A client that says what it is told, octet by octet if need be, and checks nothing by itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._is_deaf = False

    @classmethod
    async def connect(cls, port: int, *, source: str = "127.0.0.1") -> "Peer":
        async with asyncio.timeout(PATIENCE_S):
            return cls(*await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0)))

    def send(self, octets: bytes) -> None:
        self._writer.write(octets)

    async def drain(self) -> None:
        await self._writer.drain()

    async def reply(self) -> str:
        """The next whole reply; "" when the connection has ended."""
        lines: list[str] = []
        async with asyncio.timeout(PATIENCE_S):
            while not lines or lines[-1][3:4] == "-":
                try:
                    line = await self._reader.readline()
                except ConnectionError:
                    return ""
                if not line:
                    return ""
                assert line.endswith(b"\r\n")
                lines.append(line[:-2].decode("ascii"))
        return "\n".join(lines)

    async def say(self, line: str | bytes) -> str:
        self.send((line if isinstance(line, bytes) else line.encode("latin-1")) + b"\r\n")
        return await self.reply()

    async def greeted(self, name: str = "phone.example.jp") -> "Peer":
        assert (await self.reply()).startswith("220 ")
        assert (await self.say(f"EHLO {name}")).startswith("250-")
        return self

    async def at_data(self, *, sender: str = "hahaoya@docomo.ne.jp", recipient: str = BOX) -> "Peer":
        """Everything up to 354."""
        assert (await self.say(f"MAIL FROM:<{sender}>")).startswith("250 2.1.0")
        assert (await self.say(f"RCPT TO:<{recipient}>")).startswith("250 2.1.5")
        assert (await self.say("DATA")).startswith("354 ")
        return self

    async def has_ended(self) -> bool:
        return not await self.reply()

    def half_close(self) -> None:
        self._writer.write_eof()

    def deafen(self) -> None:
        """Take nothing any more, so that what is said to it stays where it was said."""
        self._is_deaf = True
        cast("asyncio.Transport", self._writer.transport).pause_reading()

    async def secure(self) -> None:
        """The client's side of STARTTLS, after the 220."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        async with asyncio.timeout(PATIENCE_S):
            await self._writer.start_tls(context)

    async def leave(self) -> None:
        if self._is_deaf:  # would not hear the other side's farewell inside TLS
            self._writer.transport.abort()
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def vanish(self) -> None:
        """Go away with a reset, as a phone in a tunnel does when its network gives up."""
        connection: socket.socket = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()


class Gate:
    """A listener that runs, and the peers that came to it."""

    def __init__(self, listener: Listener, door: RecordingDoor, clock: StillClock, port: int) -> None:
        self.listener = listener
        self.clock = clock
        self.door = door
        self.port = port
        self._peers: list[Peer] = []

    async def connect(self, *, source: str = "127.0.0.1") -> Peer:
        peer = await Peer.connect(self.port, source=source)
        self._peers.append(peer)
        return peer

    async def greet(self) -> Peer:
        return await (await self.connect()).greeted()

    async def is_empty(self) -> bool:
        """Wait until every seat is free again."""
        async with asyncio.timeout(PATIENCE_S):
            while self.listener.seats_taken:
                await asyncio.sleep(0)  # only lets the loop turn
        return True

    async def end(self) -> None:
        for peer in self._peers:
            await peer.leave()
        self.door.open.set()
        await self.listener.close(grace_s=PATIENCE_S)


@asynccontextmanager
async def a_gate(
    door: RecordingDoor | None = None, limits: Limits | None = None, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Gate]:
    door, clock = door or RecordingDoor(), StillClock()
    listener = Listener(door, limits or Limits(), hostname=DOMAIN, tls=tls, clock=clock)
    (port,) = await listener.start([("127.0.0.1", 0)])
    gate = Gate(listener, door, clock, port)
    try:
        yield gate
    finally:
        await gate.end()


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, DOMAIN)])
    begin = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=36_500))
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "tls.pem", folder / "tls.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file
