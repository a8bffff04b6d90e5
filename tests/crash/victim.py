"""The gate that is killed: one folder, its processes, and what may be done to them.

The web side and the mail side are two processes, or one (`both`). Ports are fixed when the folder is made: while a gate is dead, nobody
else may be found under its number.
"""

import asyncio
import contextlib
import json
import os
import re
import resource
import shutil
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal  # Any: what a log line holds

from tests.conftest import ROOT
from tests.crash import daemon
from tests.journeys.gate import DOMAIN, command

Side = Literal["mail", "web", "both"]
SPLIT: Final[tuple[Side, ...]] = ("mail", "web")
ONE: Final[tuple[Side, ...]] = ("both",)

START_S: Final = 30.0


class Ended(AssertionError):
    """A side ended before it served; the text holds the end of its log."""


class Victim:
    """One gate."""

    def __init__(
        self, folder: Path, *, notes: Path, sides: tuple[Side, ...] = SPLIT, constants: Mapping[str, object] | None = None
    ) -> None:
        self.folder = folder
        self.sides = sides
        self.smtp = self.web = 0
        self.log = notes.with_suffix(".log")  # not in the folder, whose disk may be full
        self.boot = 1  # of the machine
        self.events: list[dict[str, Any]] = []
        self._clock = notes.with_suffix(".clock")
        self._constants = dict(constants or {})
        self._processes: dict[Side, Process] = {}
        self._readers: set[asyncio.Task[None]] = set()
        self._passed = 0
        self.move_clock(0)

    @property
    def config(self) -> Path:
        return self.folder / "mailgate.toml"

    @property
    def database(self) -> Path:
        return self.folder / "mailgate.db"

    def make(self, template: Path, *, relay: int, window: int = 64, connections: int = 16) -> None:
        """Copy a folder that `init` made, and give it ports of its own."""
        shutil.copytree(template, self.folder, dirs_exist_ok=True)
        self.smtp, self.web = free_port(), free_port()
        text = self.config.read_text(encoding="utf-8")
        text = text.replace('listen = ["127.0.0.1:0"]', f'listen = ["127.0.0.1:{self.smtp}"]')
        text = text.replace('listen = "127.0.0.1:0"', f'listen = "127.0.0.1:{self.web}"')
        for key, value in (("port", relay), ("window", window), ("connections", connections)):
            text = re.sub(rf"(\[relay\][^\[]*?\n{key} = )\d+", rf"\g<1>{value}", text, count=1)
        self.config.write_text(text, encoding="utf-8")

    # Living and dying

    async def start(self, *sides: Side) -> float:
        """Start the sides that are not running and wait until they serve; the longest time that one took."""
        missing = [side for side in sides or self.sides if side not in self._processes]
        took = await asyncio.gather(*[self._start(side) for side in missing], return_exceptions=True)
        for one in took:
            if isinstance(one, BaseException):
                raise one
        return max([one for one in took if isinstance(one, float)], default=0.0)

    async def launch(self, side: Side) -> asyncio.Event:
        """Start a side and do not wait; the event is set when it says that it serves."""
        wanted = {"constants": self._constants, "clock": str(self._clock)}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.crash.daemon", "-c", str(self.config), "serve", side),
            stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, cwd=ROOT, start_new_session=True,
            env={**os.environ, "PYTHONDEVMODE": "", "MAILGATE_BOOT": str(self.boot), daemon.VARIABLE: json.dumps(wanted)},
        )  # fmt: skip
        self._processes[side] = process
        started = asyncio.Event()
        reader = asyncio.create_task(self._read(process, started), name=f"log of {side}")
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)
        return started

    async def _start(self, side: Side) -> float:
        begun = time.monotonic()
        started = await self.launch(side)
        process = self._processes[side]
        while not started.is_set():
            if process.returncode is not None or time.monotonic() - begun > START_S:
                await self.bury(side)
                raise Ended(f"{side} ended with {process.returncode}: {self.log.read_text()[-2000:]}")
            await asyncio.sleep(0.005)
        return time.monotonic() - begun

    async def _read(self, process: Process, started: asyncio.Event) -> None:
        """Keep what a side logs. What is no JSON is a traceback or a complaint, and kept too."""
        assert process.stderr is not None
        with self.log.open("ab") as log:
            async for line in process.stderr:
                log.write(line)
                log.flush()
                if line.endswith(b"\n"):  # else it was the last one of a dying process
                    self.events.append(event := _event(line))
                    if event["event"] == "gate.started":
                        started.set()

    def pids(self, *sides: Side) -> list[int]:
        found = [self._processes[side] for side in sides or self.sides if side in self._processes]
        return [process.pid for process in found if process.returncode is None]

    def strike(self, *sides: Side, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal, now, and wait for nothing. By our own hand: subprocess would look whether they live, and take their exit codes."""
        for pid in self.pids(*sides):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def bury(self, *sides: Side) -> None:
        """Kill what is not dead yet, and wait for its end."""
        self.strike(*sides)
        for side in sides or self.sides:
            process = self._processes.pop(side, None)
            if process is not None:
                await process.wait()

    async def stop(self) -> dict[Side, int]:
        """SIGTERM for all; the exit codes."""
        self.strike(number=signal.SIGTERM)
        async with asyncio.timeout(25):
            codes = {side: await process.wait() for side, process in self._processes.items()}
        self._processes.clear()
        return codes

    async def end(self) -> None:
        """Leave nothing running."""
        self.strike(number=signal.SIGCONT)
        await self.bury(*list(self._processes))
        await asyncio.gather(*self._readers)

    # What may be done to the living

    def move_clock(self, microseconds: int) -> None:
        """Set it so far from the machine's, at once for all sides."""
        self._moved = microseconds
        daemon.move_clock(self._clock, microseconds, passed=self._passed)

    def let_pass(self, microseconds: int) -> None:
        """Let so much time pass in a moment, at once for all sides: no clock is moved by it."""
        self._passed += microseconds
        daemon.move_clock(self._clock, self._moved, passed=self._passed)

    def let_write(self, octets: int | None) -> None:
        """How far a file may reach that the gate writes to (RLIMIT_FSIZE); None: as far as it likes."""
        for pid in self.pids():
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if octets is None else octets, hard))

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [found for found in self.events if found["event"] == event]

    def complaints(self) -> list[str]:
        """What it logged that a human must look at, and what is no event at all."""
        return sorted({found.get("text") or json.dumps(found) for found in self.events if found.get("level", "error") == "error"})


def _event(line: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except ValueError:
        return {"event": "?", "text": line.decode(errors="replace")}


def free_port() -> int:
    """A port nobody listens on, below those that the system gives to clients: none of them can take it while the gate is dead."""
    while True:
        _FREE["next"] = port = 20_000 + (_FREE["next"] - 20_000 + 1) % 12_000
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


_FREE: Final = {"next": 20_000 + os.getpid() * 37 % 12_000}


async def a_template(folder: Path) -> Path:
    """The sample city, set up once to be copied."""
    await command(
        *("init", str(folder), "--domain", DOMAIN, "--public-url", "http://127.0.0.1:1", "--sample"),
        *("--smtp", "127.0.0.1:0", "--web", "127.0.0.1:0", "--relay", "127.0.0.1:1"),
    )
    return folder


def sample(name: str) -> Iterable[dict[str, str]]:
    """The rows of one of the sample city's files."""
    import csv

    with (ROOT / "data/sample" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
