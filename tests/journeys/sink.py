"""A next server for whole-gate tests: takes every mail, remembers envelope and content in order, can be slow or scripted."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass(frozen=True, slots=True)
class Caught:
    """One mail as it was taken."""

    sender: str
    recipient: str
    content: bytes = field(repr=False)

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=policy.default)

    @property
    def text(self) -> str:
        return str(self.message.get_content()).replace("\r\n", "\n")

    def line(self, starting: str) -> str:
        """The one line of the text that starts so."""
        (found,) = [line for line in self.text.split("\n") if line.startswith(starting)]
        return found


class Sink:
    """An SMTP server that only takes."""

    def __init__(self) -> None:
        self.caught: list[Caught] = []
        self.delay_s = 0.0
        self.reply_to_rcpt: Callable[[str], str] = lambda _: "250 2.1.5 ok"
        self._came = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, port: int = 0) -> int:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def wait_for(self, holds: Callable[[list[Caught]], bool], *, within_s: float = 20) -> None:
        """Wait until what was caught fulfils a condition."""
        async with asyncio.timeout(within_s), self._came:
            await self._came.wait_for(lambda: holds(self.caught))

    async def mail_to(self, recipient: str, *, number: int = 1, within_s: float = 20) -> Caught:
        """The so-manieth mail to a recipient."""
        await self.wait_for(lambda caught: sum(mail.recipient == recipient for mail in caught) >= number, within_s=within_s)
        return [mail for mail in self.caught if mail.recipient == recipient][number - 1]

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._session(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender = recipient = ""
        writer.write(b"220 sink ESMTP\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            reply = "250 2.0.0 ok"
            if verb == b"EHLO":
                reply = "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES"
            elif verb == b"MAIL":
                sender = _path(line)
            elif verb == b"RCPT":
                recipient = _path(line)
                reply = self.reply_to_rcpt(recipient)
            elif verb == b"DATA":
                writer.write(b"354 go on\r\n")
                content = (await reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
                await asyncio.sleep(min(self.delay_s, 0.2))
                async with self._came:
                    self.caught.append(Caught(sender, recipient, content))
                    self._came.notify_all()
            elif verb == b"QUIT":
                writer.write(b"221 2.0.0 bye\r\n")
                return
            writer.write(reply.encode() + b"\r\n")
            await writer.drain()


def _path(line: bytes) -> str:
    return line.split(b"<", 1)[1].split(b">", 1)[0].decode()
