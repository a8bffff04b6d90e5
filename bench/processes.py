"""Processes: whatever the bench starts it ends itself, by its id, and waits for it, so that nothing is left and its CPU time is known.

A worker is one of our own modules in a process of its own. It says JSON lines on its standard output and hears lines on its standard
input; when that ends, it stops.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NoReturn  # Any: what a JSON line holds

LOOPBACK: Final = "127.0.0.1"
_PATIENCE_S: Final = 30.0


class Failed(Exception):
    """A program that the bench ran did not do what it should; the text says which, and what it said."""


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        return int(sock.getsockname()[1])


async def finish(*command: str, within_s: float = 600.0) -> float:
    """Run a program to its end; how many seconds it took."""
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=asyncio.subprocess.STDOUT)
    try:
        async with asyncio.timeout(within_s):
            said, _ = await process.communicate()
    finally:
        await end(process)
    took = time.perf_counter() - begun
    if process.returncode != 0:
        raise Failed(f"{command[0]} ended with {process.returncode}: {said.decode(errors='replace')[-500:]}")
    return took


@asynccontextmanager
async def running(*command: str, port: int | None = None) -> AsyncIterator[Process]:
    """A program that runs inside the block; with a port, it listens when the block begins."""
    process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    try:
        if port is not None:
            await _listening(process, port, command[0])
        yield process
    finally:
        await end(process)


async def _listening(process: Process, port: int, name: str) -> None:
    deadline = time.perf_counter() + _PATIENCE_S
    while process.returncode is None and time.perf_counter() < deadline:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.close()
            return
        await asyncio.sleep(0.02)
    raise Failed(f"{name} does not listen on port {port}")


async def end(process: Process) -> None:
    """Ask a process to end, then make it; wait for it in any case."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()


class Worker:
    """One of our own modules, working in a process of its own."""

    def __init__(self, process: Process, log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raise Failed if it has ended."""
        if self._process.returncode is not None:
            self._fail()

    def tell(self, line: str) -> None:
        """Say a line to it."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    async def hear(self, within_s: float = 600.0) -> dict[str, Any]:
        """The next thing it says."""
        assert self._process.stdout is not None
        async with asyncio.timeout(within_s):
            line = await self._process.stdout.readline()
        if not line:
            self._fail()
        said: dict[str, Any] = json.loads(line)
        return said

    def _fail(self) -> NoReturn:
        raise Failed(f"a worker of the bench broke off: {self._log.read_text(errors='replace')[-800:]}")

    async def ask(self, line: str) -> dict[str, Any]:
        """Say a line and hear the answer."""
        self.tell(line)
        return await self.hear()

    async def stop(self) -> None:
        """Let it end by itself, then make it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                await self._process.wait()
        await end(self._process)


@asynccontextmanager
async def worker(module: str, *arguments: object, log: Path) -> AsyncIterator[Worker]:
    """A worker inside the block; what it writes to its standard error is in the log."""
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"bench.{module}", *map(str, arguments), stdin=PIPE, stdout=PIPE, stderr=errors, env=_environment()
        )
    started = Worker(process, log)
    try:
        yield started
    finally:
        await started.stop()


def _environment() -> dict[str, str]:
    """Ours, with the checkout first on the path, so that a worker finds the bench wherever it was started."""
    root = str(Path(__file__).resolve().parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))}


def say(**what: object) -> None:
    """What a worker says: one JSON line on standard output."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def commands() -> AsyncIterator[str]:
    """What a worker hears: lines of its standard input, to the end."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode().strip()
