"""The gate under show: a folder made by `mailgate init`, a process of `mailgate serve`, and `mailgate` commands beside it."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from typing import Any, Final  # Any: what commands print as JSON

from mailgate.demo.story import Amiss

DOMAIN: Final = "gate.example.jp"
_MAILGATE: Final = (sys.executable, "-m", "mailgate")
_START_S: Final = 30.0
_LOOK_S: Final = 0.05
# The gate promises to end within 20 seconds of a SIGTERM.
_STOP_S: Final = 20.0


class Gate:
    """One gate in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder
        self.log: Final = folder / "mailgate.log"
        self.smtp_port, self.web_port = _free_ports(2)
        self._process: Process | None = None
        self._begun = asyncio.Event()

    @property
    def public_url(self) -> str:
        """Where its pages are."""
        return f"http://127.0.0.1:{self.web_port}"

    async def init(self, *, relay_port: int) -> None:
        """Make the folder, with the sample city."""
        await _output(
            *("init", str(self.folder), "--sample", "--domain", DOMAIN, "--public-url", self.public_url),
            *("--smtp", f"127.0.0.1:{self.smtp_port}", "--web", f"127.0.0.1:{self.web_port}"),
            *("--relay", f"127.0.0.1:{relay_port}"),
        )

    async def start(self) -> None:
        """Serve; returns when the log says that mail and pages are served."""
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *_MAILGATE,
                "serve",
                "-c",
                str(self.folder / "mailgate.toml"),
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=log,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the demo, which then ends the gate in order
            )
        self._begun.set()
        try:
            async with asyncio.timeout(_START_S):
                while not self.has_logged("gate.started"):  # noqa: ASYNC110  # another process writes it: there is nothing to wait on
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            raise Amiss(f"the gate did not start within {_START_S:.0f} s; its log is {self.log}") from None

    def has_logged(self, event: str) -> bool:
        """Whether the log has an event."""
        return f'"event": "{event}"'.encode() in self.log.read_bytes()

    async def ended(self) -> None:
        """Wait for its end, which is always too early.

        Raises:
            Amiss: it came.
        """
        await self._begun.wait()
        assert self._process is not None
        code = await self._process.wait()
        last = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
        raise Amiss("\n     ".join([f"the gate ended by itself with exit code {code}; its last words:", *last]))

    async def stop(self) -> None:
        """SIGTERM, and wait until it has ended.

        Raises:
            Amiss: not in order, or not in time; then it was killed.
        """
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_S):
                code = await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise Amiss(f"the gate did not stop within {_STOP_S:.0f} s of a SIGTERM and was killed") from None
        if code != 0:
            raise Amiss(f"the gate ended with exit code {code} after a SIGTERM; its log is {self.log}")

    async def listed(self, *words: str) -> Any:
        """What a command prints with --json."""
        return json.loads(await _output(*words, "--json", "-c", str(self.folder / "mailgate.toml")))


async def _output(*words: str) -> str:
    """Run a command of mailgate to its end; what it printed."""
    process = await asyncio.create_subprocess_exec(
        *_MAILGATE, *words, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=_environment(), start_new_session=True
    )
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise Amiss(f"mailgate {words[0]} ended with {process.returncode}: {err.decode('utf-8', 'replace').strip()}")
    return out.decode("utf-8")


def _environment() -> dict[str, str]:
    """Ours without what would lead the gate to another configuration or other keys; it speaks UTF-8 whatever the terminal does."""
    strange = ("MAILGATE_CONFIG", "CREDENTIALS_DIRECTORY")
    return {**{name: value for name, value in os.environ.items() if name not in strange}, "PYTHONUTF8": "1"}


def _free_ports(count: int) -> list[int]:
    """So many different ports of the loopback that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
