"""A next server that notes when each mail came: what smtp-sink is for rates, this is for round trips.

`python -m bench.sink FOLDER` is the bare thing that a round trip is measured against: it takes a mail, appends it to a file, calls fsync
and says 250, one after the other, and does nothing else.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Final, cast

import uvloop

from bench.processes import LOOPBACK, commands, say

_END: Final = b"\r\n.\r\n"
_EHLO: Final = b"250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"


class Session(asyncio.Protocol):
    """One connection; commands may come pipelined. `taken` is called with recipient and content before the mail is accepted."""

    def __init__(self, taken: Callable[[str, bytes], None]) -> None:
        self._taken = taken
        self._input = bytearray()
        self._recipient = ""
        self._in_content = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class is none by name
        self._transport.write(b"220 sink.example ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._input += data
        replies = bytearray()
        while (end := self._input.find(_END if self._in_content else b"\r\n")) >= 0:
            if self._in_content:
                self._taken(self._recipient, bytes(self._input[: end + 2]))
                del self._input[: end + len(_END)]
                self._in_content = False
                replies += b"250 2.0.0 Ok\r\n"
            else:
                line = bytes(self._input[:end])
                del self._input[: end + 2]
                replies += self._reply(line)
        if replies:
            self._transport.write(bytes(replies))
        if replies.startswith(b"221"):
            self._transport.close()

    def _reply(self, line: bytes) -> bytes:
        match line[:4].upper():
            case b"EHLO":
                return _EHLO
            case b"RCPT":
                self._recipient = line.partition(b"<")[2].partition(b">")[0].decode()
            case b"DATA":
                self._in_content = True
                return b"354 End data with <CR><LF>.<CR><LF>\r\n"
            case b"QUIT":
                return b"221 2.0.0 Bye\r\n"
        return b"250 2.1.0 Ok\r\n"


class Arrivals:
    """A sink in this very process, and when the first mail to each recipient came."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self._server: asyncio.Server | None = None

    async def listen(self) -> int:
        self._server = await asyncio.get_running_loop().create_server(lambda: Session(self._note), LOOPBACK, 0)
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        assert self._server is not None
        self._server.close()

    def _note(self, recipient: str, _content: bytes) -> None:
        self.at.setdefault(recipient, time.perf_counter())


async def _bare() -> None:
    with tempfile.NamedTemporaryFile(dir=sys.argv[1]) as file:

        def keep(_recipient: str, content: bytes) -> None:
            os.write(file.fileno(), content)
            os.fsync(file.fileno())

        server = await asyncio.get_running_loop().create_server(lambda: Session(keep), LOOPBACK, 0, backlog=512)
        say(port=server.sockets[0].getsockname()[1])
        async for _ in commands():
            pass
        server.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_bare())
        sys.stdout.flush()
