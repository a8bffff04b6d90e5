"""The whole gate as operators run it: a folder made by `init`, processes started and killed, mail over SMTP, pages over HTTP."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.journeys.sink import Caught

DOMAIN = "gate.example.jp"
MAILGATE = (sys.executable, "-m", "mailgate")
BLANK = b"\r\n"


async def command(*arguments: str, config: Path | None = None) -> Any:
    """Run a command; its JSON, or its text. A failure is the test's."""
    given = [] if config is None else ["-c", str(config)]
    process = await asyncio.create_subprocess_exec(*MAILGATE, *given, *arguments, stdout=PIPE, stderr=PIPE)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out) if "--json" in arguments else out.decode()


class Gate:
    """One gate in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder.parent / f"{folder.name}.log"
        self._processes: dict[str, Process] = {}
        self.smtp = self.web = 0

    @property
    def config(self) -> Path:
        return self.folder / "mailgate.toml"

    async def make(
        self, *, relay: int, sample: bool = False, domain: str = DOMAIN, dns: str = "none", trusted: str = ""
    ) -> None:
        """`init` the folder. Ports are found by the system at the first start and stay. No name server is asked unless it is named."""
        await command(
            "init", str(self.folder), "--domain", domain, "--public-url", "http://127.0.0.1:1",
            "--smtp", "127.0.0.1:0", "--web", "127.0.0.1:0", "--relay", f"127.0.0.1:{relay}",
            *(["--sample"] if sample else []),
        )  # fmt: skip
        text = self.config.read_text(encoding="utf-8")
        servers = json.dumps(dns if dns == "none" else [dns])
        text = text.replace('\nservers = "system"', f"\nservers = {servers}")
        text = text.replace("\ntrusted_relays = []", f"\ntrusted_relays = {json.dumps([trusted] if trusted else [])}")
        self.config.write_text(text, encoding="utf-8")

    @staticmethod
    def free_port() -> int:
        with socket.create_server(("127.0.0.1", 0)) as server:
            return int(server.getsockname()[1])

    def set(self, section: str, key: str, value: str) -> None:
        """Change one key of the configuration; `value` as TOML."""
        head, name, rest = self.config.read_text(encoding="utf-8").partition(f"[{section}]")
        changed, count = re.subn(rf"^{key} = [^#\n]*", f"{key} = {value} ", rest, count=1, flags=re.MULTILINE)
        assert count == 1
        self.config.write_text(head + name + changed, encoding="utf-8")

    async def run(self, *arguments: str) -> Any:
        return await command(*arguments, config=self.config)

    async def start(self, side: str = "both") -> None:
        """Start a side and wait until it says that it serves."""
        with self.log.open("ab") as log:
            offset = log.tell()
            process = await asyncio.create_subprocess_exec(
                *MAILGATE, "-c", str(self.config), "serve", side, stdin=DEVNULL, stdout=DEVNULL, stderr=log,
                env={**os.environ, "PYTHONDEVMODE": ""},
            )  # fmt: skip
        self._processes[side] = process
        async with asyncio.timeout(20):
            while (started := self._started(offset, process)) is None:
                await asyncio.sleep(0.02)
        self.smtp = started.get("smtp", [self.smtp])[0]
        self.web = started.get("web", self.web)

    def _started(self, offset: int, process: Process) -> dict[str, Any] | None:
        assert process.returncode is None, self.log.read_text()
        for line in self.log.read_bytes()[offset:].splitlines():
            event = json.loads(line)
            if event["event"] == "gate.started":
                return dict(event)
        return None

    async def kill(self, side: str = "both") -> None:
        """SIGKILL, and wait until it is dead."""
        process = self._processes.pop(side)
        process.kill()
        await process.wait()

    async def stop(self, side: str = "both") -> int:
        """SIGTERM; the exit code."""
        process = self._processes.pop(side)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            return await process.wait()

    async def end(self) -> None:
        """Stop whatever runs."""
        for side in list(self._processes):
            await self.stop(side)

    async def mail(self, sender: str, recipients: str | Sequence[str], content: bytes = BLANK) -> str:
        """Hand a mail in over SMTP, bytes as they are; the last reply."""
        to = [recipients] if isinstance(recipients, str) else recipients
        reader, writer = await asyncio.open_connection("127.0.0.1", self.smtp)
        try:
            lines = [b"EHLO phone.example", b"MAIL FROM:<%b>" % sender.encode()]
            lines += [b"RCPT TO:<%b>" % recipient.encode() for recipient in to]
            reply = await _reply(reader)
            for line in [*lines, b"DATA"]:
                writer.write(line + b"\r\n")
                reply = await _reply(reader)
                if reply[0] not in "23":
                    return reply
            stuffed = content.replace(b"\r\n.", b"\r\n..")
            writer.write((b"." if stuffed.startswith(b".") else b"") + stuffed + b"\r\n.\r\n")
            return await _reply(reader)
        finally:
            writer.close()

    def page(self, link: str) -> str:
        """A link as it was mailed, at the port that the pages really have."""
        return link.replace("http://127.0.0.1:1/", f"http://127.0.0.1:{self.web}/")

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.web}", follow_redirects=False)


def staff_mail(sender: str, to: str, subject: str, text: str, message_id: str = "<1@kyoiku.example.jp>") -> bytes:
    """A plain staff mail in UTF-8."""
    head = f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: {message_id}\r\n"
    return (head + "Content-Type: text/plain; charset=UTF-8\r\n\r\n" + text.replace("\n", "\r\n")).encode()


def link_in(mail: Caught) -> str:
    return mail.line("http://")


async def _reply(reader: asyncio.StreamReader) -> str:
    lines = []
    while True:
        line = (await reader.readline()).decode()
        lines.append(line)
        if line[3:4] != "-":
            return "".join(lines)
