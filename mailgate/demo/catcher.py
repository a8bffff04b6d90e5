"""The catching relay: takes every mail that the gate hands over and keeps it in memory, with the envelope as it came.

It knows no user and refuses nothing, so what is caught is what the gate sent: nothing lost on the way and nothing made up. A mail is kept
before its 250 is said. One connection is one small state machine over a buffer, because two thousand mails should take seconds.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self, cast

from mailgate.runtime import Clock

_END: Final = b"\r\n.\r\n"
_PATH: Final = re.compile(rb"<(.*)>")
_WELCOME: Final = b"250-catcher.example.jp\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 26214400\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """A mail that was handed over; `number` counts from 1, `at` is on the monotonic clock."""

    number: int
    sender: str
    recipient: str
    content: bytes = field(repr=False)
    at: float


class Catcher:
    """The relay. `async with` listens and closes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._news = asyncio.Event()
        self._lines: set[asyncio.Transport] = set()
        self.mails: list[Caught] = []

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Line(self), "127.0.0.1", 0, backlog=512)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for transport in list(self._lines):
            transport.abort()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return int(self._server.sockets[0].getsockname()[1])

    def to(self, recipient: str, *, since: int = 0) -> list[Caught]:
        """What was caught for a recipient, spelt exactly so, after the first `since` mails."""
        return [mail for mail in self.mails[since:] if mail.recipient == recipient]

    async def until(self, there: Callable[[], bool], *, timeout_s: float | None) -> bool:
        """Wait until something holds of what was caught. False: it did not come to hold in time; None is for ever."""
        try:
            async with asyncio.timeout(timeout_s):
                while not there():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    def keep(self, sender: str, recipients: list[str], content: bytes) -> None:
        """Keep a mail: one of a transaction for each of its recipients."""
        for recipient in recipients:
            self.mails.append(
                Caught(
                    number=len(self.mails) + 1,
                    sender=sender,
                    recipient=recipient,
                    content=content,
                    at=self._clock.monotonic(),
                )
            )
        self._news.set()

    def enter(self, transport: asyncio.Transport) -> None:
        """A connection was opened."""
        self._lines.add(transport)

    def leave(self, transport: asyncio.Transport) -> None:
        """A connection was closed."""
        self._lines.discard(transport)


class _Line(asyncio.Protocol):
    """One connection."""

    def __init__(self, catcher: Catcher) -> None:
        self._catcher = catcher
        self._buffer = bytearray()
        self._reads_content = False
        self._forget()

    def _forget(self) -> None:
        self._sender = ""
        self._recipients: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._catcher.enter(self._transport)
        self._transport.write(b"220 catcher.example.jp takes everything\r\n")

    def connection_lost(self, _error: Exception | None) -> None:
        self._catcher.leave(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._content() if self._reads_content else self._command():
            pass

    def _command(self) -> bool:
        """Answer one command. False: there is none yet."""
        line, end, rest = self._buffer.partition(b"\r\n")
        if not end:
            return False
        self._buffer = rest
        match bytes(line[:4]).upper():
            case b"EHLO":
                self._transport.write(_WELCOME)
            case b"MAIL":
                self._forget()
                self._sender = _path(line)
                self._transport.write(b"250 2.1.0 sender taken\r\n")
            case b"RCPT":
                self._recipients.append(_path(line))
                self._transport.write(b"250 2.1.5 recipient taken\r\n")
            case b"DATA":
                # The final dot stands on a line of its own, also when it is the first line of all.
                self._buffer[:0] = b"\r\n"
                self._reads_content = True
                self._transport.write(b"354 end with a dot\r\n")
            case b"QUIT":
                self._transport.write(b"221 2.0.0 goodbye\r\n")
                self._transport.close()
                return False
            case _:
                self._transport.write(b"250 2.0.0 as you like\r\n")
        return True

    def _content(self) -> bool:
        """Keep one mail. False: its end has not come yet."""
        end = self._buffer.find(_END)
        if end < 0:
            return False
        stuffed = bytes(self._buffer[: end + 2])
        del self._buffer[: end + len(_END)]
        self._reads_content = False
        self._catcher.keep(self._sender, self._recipients, stuffed.replace(b"\r\n..", b"\r\n.")[2:])
        self._forget()
        self._transport.write(b"250 2.0.0 caught\r\n")
        return True


def _path(line: bytearray) -> str:
    found = _PATH.search(line)
    return found[1].decode("ascii", "backslashreplace") if found else ""
