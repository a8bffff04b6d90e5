"""A distance, put between us and the next server: a proxy that hands on every octet so many milliseconds late, in both directions, and
limits nothing else. `python -m bench.distance PORT DELAY_MS`: it says its own port, and hands on to PORT.
"""

import asyncio
import sys
import time
from collections import deque
from typing import cast

import uvloop

from bench.processes import LOOPBACK, commands, say


class Way(asyncio.Protocol):
    """One direction's incoming end: what it reads, the other end writes later."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._loop = asyncio.get_running_loop()
        self._under_way: deque[tuple[float, bytes]] = deque()  # b"" is the end
        self._transport: asyncio.Transport | None = None
        self.other: Way | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class is none by name

    def data_received(self, data: bytes) -> None:
        self._take(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._take(b"")

    def _take(self, data: bytes) -> None:
        self._under_way.append((time.perf_counter() + self._delay_s, data))
        if len(self._under_way) == 1:
            self.set_off()

    def set_off(self) -> None:
        """Wait for the oldest piece under way, once there is somebody to give it to."""
        if self._under_way and self.other is not None:
            self._loop.call_later(max(0.0, self._under_way[0][0] - time.perf_counter()), self._arrive)

    def _arrive(self) -> None:
        assert self.other is not None
        now = time.perf_counter()
        while self._under_way and self._under_way[0][0] <= now:
            self.other.write(self._under_way.popleft()[1])
        self.set_off()

    def write(self, data: bytes) -> None:
        if self._transport is None:
            return
        if data:
            self._transport.write(data)
        else:
            self._transport.close()


class Proxy:
    """Joins each connection that comes with one of its own to the port."""

    def __init__(self, port: int, delay_s: float) -> None:
        self._port = port
        self._delay_s = delay_s
        self._joining = set[asyncio.Task[None]]()

    def way(self) -> Way:
        way = Way(self._delay_s)
        task = asyncio.create_task(self._join(way))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)
        return way

    async def _join(self, way: Way) -> None:
        _, other = await asyncio.get_running_loop().create_connection(lambda: Way(self._delay_s), LOOPBACK, self._port)
        way.other, other.other = other, way
        way.set_off()
        other.set_off()


async def _work(port: int, delay_s: float) -> None:
    proxy = Proxy(port, delay_s)
    server = await asyncio.get_running_loop().create_server(proxy.way, LOOPBACK, 0, backlog=512)
    say(port=server.sockets[0].getsockname()[1])
    async for _ in commands():
        pass
    server.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(int(sys.argv[1]), float(sys.argv[2]) / 1e3))
