"""Visitors: guardians who each bring one blank mail over a connection of their own, command by command as phones' servers do.

They come in two ways: so many at once, each followed by the next (a crowd), or on the stroke of a clock, whether or not the one before has
been served (a clockwork), so that a gate that is slow for a moment is not spared the visitors of that moment.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Final, cast

from bench.gates import DOMAIN, visitor
from bench.processes import LOOPBACK, Failed

_BLANK: Final = b"From: <%b>\r\nTo: <touroku@gate.example.jp>\r\nSubject: \r\nMessage-ID: <%b>\r\n\r\n\r\n.\r\n"
_OVERDUE_S: Final = 60.0


class Visit(asyncio.Protocol):
    """One connection with one mail. `accepted` is told when the mail was said to be taken, `gone` when the connection is closed."""

    def __init__(self, number: int, *, accepted: Callable[[int], None], gone: Callable[[bool], None]) -> None:
        sender = visitor(number).encode()
        content = _BLANK % (sender, sender)
        self._number = number
        self._accepted = accepted
        self._gone = gone
        self._lines: Iterator[tuple[bytes, bytes]] = iter(
            (
                (b"2", b"EHLO phone.example\r\n"),
                (b"2", b"MAIL FROM:<%b>\r\n" % sender),
                (b"2", b"RCPT TO:<touroku@%b>\r\n" % DOMAIN.encode()),
                (b"2", b"DATA\r\n"),
                (b"3", content),
            )
        )
        self._said = b""
        self._was_taken = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class is none by name

    def data_received(self, data: bytes) -> None:
        self._said += data
        if not self._said.endswith(b"\r\n") or self._said[self._said.rfind(b"\r\n", 0, -2) + 2 :][3:4] == b"-":
            return
        reply, self._said = self._said, b""
        expected, line = next(self._lines, (b"2", b""))
        if not reply.startswith(expected):
            self._transport.close()
        elif line:
            self._transport.write(line)
        elif not self._was_taken:
            self._was_taken = True
            self._accepted(self._number)
            self._transport.write(b"QUIT\r\n")

    def connection_lost(self, error: Exception | None) -> None:
        self._gone(self._was_taken)


class Visitors:
    """All the visitors of one measurement; numbers go on, so that nobody comes twice."""

    def __init__(self, port: int, *, first: int = 0) -> None:
        self._port = port
        self._next = first
        self.began: dict[int, float] = {}
        self.accepted: dict[int, float] = {}
        self._open = self._failed = 0
        self._moved = asyncio.Event()

    def others(self) -> "Visitors":
        """Visitors to the same gate who have not been there."""
        return Visitors(self._port, first=self._next)

    async def crowd(self, count: int, *, at_once: int) -> float:
        """So many mails, so many at once; how many seconds until the last was accepted and everybody had left."""
        begun = time.perf_counter()
        coming = set[asyncio.Task[None]]()
        for _ in range(count):
            while self._open + len(coming) >= at_once:
                await self._move()
            task = asyncio.create_task(self._enter())
            coming.add(task)
            task.add_done_callback(coming.discard)
            task.add_done_callback(lambda _: self._moved.set())
            await asyncio.sleep(0)
        while self._open or coming:
            await self._move()
        self._complain()
        return time.perf_counter() - begun

    async def clockwork(self, count: int, *, each_s: float) -> None:
        """So many mails, one at each stroke of a clock. Who was turned away is not among the accepted."""
        loop, begun = asyncio.get_running_loop(), time.perf_counter()
        coming = []
        for number in range(count):
            await asyncio.sleep(max(0.0, begun + number * each_s - time.perf_counter()))
            coming.append(loop.create_task(self._enter()))
        await asyncio.gather(*coming)
        while self._open:
            await self._move()

    async def _enter(self) -> None:
        number, self._next = self._next, self._next + 1
        self.began[number] = time.perf_counter()
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: Visit(number, accepted=self._accept, gone=self._leave), LOOPBACK, self._port)
        self._open += 1

    def _accept(self, number: int) -> None:
        self.accepted[number] = time.perf_counter()

    def _leave(self, was_taken: bool) -> None:
        self._open -= 1
        self._failed += not was_taken
        self._moved.set()

    async def _move(self) -> None:
        self._moved.clear()
        async with asyncio.timeout(_OVERDUE_S):
            await self._moved.wait()

    def _complain(self) -> None:
        if self._failed:
            raise Failed(f"{self._failed} of {len(self.began)} mails were not taken")
