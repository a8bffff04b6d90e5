"""A small SMTP server that does what it is told, right or wrong, and remembers what it was told."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum


class Act(Enum):
    """What a server does instead of answering."""

    HANG_UP = "hang up"  # closes the connection in order
    RESET = "reset"  # breaks it
    SILENCE = "silence"  # says nothing for as long as the test lasts
    TLS = "tls"  # 220, and then nothing that is TLS
    STALL = "stall"  # 220, and then nothing at all


Step = str | Act

ORDINARY: Mapping[str, Step] = {
    "greeting": "220 relay.example ready",
    "EHLO": "250-relay.example\r\n250 SIZE 10000000",
    "HELO": "250 relay.example",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go on",
    "eod": "250 2.0.0 taken",
    "RSET": "250 2.0.0 reset",
    "QUIT": "221 2.0.0 goodbye",
    "AUTH": "235 2.7.0 welcome",
    "STARTTLS": "220 2.0.0 go ahead",
}


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail as it was on the wire, still dot-stuffed."""

    sender: bytes
    recipient: bytes
    content: bytes


@dataclass(slots=True)
class ScriptedServer:
    """`script` holds the steps of a command in the order of its use; then comes the ordinary answer, or what `always` says.

    A step that is text is sent with a line end; one that ends in `(hang up)` is said before hanging up.
    """

    script: Mapping[str, Sequence[Step]] = field(default_factory=dict)
    always: Mapping[str, Step] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    port: int = 0
    said: list[list[str]] = field(default_factory=list)  # a list of commands for each connection
    taken: list[Taken] = field(default_factory=list)
    _left: dict[str, list[Step]] = field(default_factory=dict)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ScriptedServer"]:
        """Listen on a free port of the loopback."""
        self._left = {name: list(steps) for name, steps in self.script.items()}
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self._over.set()
            server.close()
            for writer in self._writers:
                with suppress(AttributeError):  # Python before 3.11.4, of a connection that was lost under TLS
                    writer.transport.abort()
            await server.wait_closed()

    async def heard(self, command: str) -> None:
        """Wait until somebody said that."""
        while not any(command in commands for commands in self.said):
            self._news.clear()
            await self._news.wait()

    def mends(self) -> None:
        """Forget the script: from now on answer as ever."""
        self._left.clear()

    def hang_up_all(self) -> None:
        """Close every connection, as servers do with idle ones."""
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        commands: list[str] = []
        self.said.append(commands)
        try:
            await self._talk(reader, writer, commands)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, commands: list[str]) -> None:
        sender = recipient = b""
        if not await self._answer("greeting", writer):
            return
        while line := await reader.readline():
            commands.append(line.decode("latin-1").rstrip("\r\n"))
            self._news.set()
            verb = line[:4].decode("latin-1").upper().strip()
            if verb == "STAR":
                verb = "STARTTLS"
            if verb == "MAIL":
                sender = line[len(b"MAIL FROM:") :].rstrip()
            if verb == "RCPT":
                recipient = line[len(b"RCPT TO:") :].rstrip()
            answer = await self._answer(verb, writer)
            if not answer or verb == "QUIT":
                return
            if verb == "STARTTLS" and answer.startswith("220") and self.tls is not None:
                await writer.start_tls(self.tls)
            if verb == "DATA" and answer.startswith("354"):
                content = await _content(reader)
                if not await self._answer("eod", writer):
                    return
                self.taken.append(Taken(sender, recipient, content))

    async def _answer(self, name: str, writer: asyncio.StreamWriter) -> str:
        """What was said, or "" if the connection is over."""
        steps = self._left.get(name)
        step = steps.pop(0) if steps else self.always.get(name, ORDINARY.get(name, "500 what?"))
        match step:
            case Act.HANG_UP:
                return ""
            case Act.RESET:
                # Without this the system ends a connection in order unless octets of the peer are left unread.
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return ""
            case Act.SILENCE:
                await self._over.wait()
                return ""
            case Act.TLS:
                writer.write(b"220 go ahead\r\nthis is no handshake\r\n")
                return "no"
            case Act.STALL:
                writer.write(b"220 go ahead\r\n")
                await self._over.wait()
                return ""
            case str(text):
                said = text.removesuffix("(hang up)")
                writer.write(said.encode("latin-1") + b"\r\n")
                await writer.drain()
                return "" if said != text else said


async def _content(reader: asyncio.StreamReader) -> bytes:
    """The octets between 354 and the final dot, which is not among them."""
    content = await reader.readuntil(b"\r\n")
    if content == b".\r\n":
        return b""
    while not content.endswith(b"\r\n.\r\n"):
        content += await reader.readuntil(b"\r\n")
    return content.removesuffix(b".\r\n")
