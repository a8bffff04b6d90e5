"""The sink as a test sees it: its process, the orders it takes, and the record of what it took.

The record is read from the file as it grows: what is in it happened, whatever has become of the gate since.
"""

import asyncio
import hashlib
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Literal, cast  # Any: what a JSON line holds

from tests.conftest import ROOT

Point = Literal["line", "dot", "answer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One copy that the sink took, whether or not it could say so."""

    number: int
    epoch: int
    sender: str
    recipient: str
    message_id: str
    date: str
    digest: str
    at: int
    size: int


class Record:
    """What the sink wrote down, read on."""

    def __init__(self, folder: Path) -> None:
        self._record = folder / "record.jsonl"
        self._contents = folder / "contents"
        self._offset = 0
        self._rest = b""
        self.copies: list[Copy] = []
        self.of: defaultdict[str, list[Copy]] = defaultdict(list)
        self.answered: set[int] = set()
        self.breaches: list[str] = []

    def read_on(self) -> None:
        with self._record.open("rb") as record, self._contents.open("rb") as contents:
            record.seek(self._offset)
            new = record.read()
            self._offset += len(new)
            *lines, self._rest = (self._rest + new).split(b"\n")
            for line in lines:
                self._note(json.loads(line), contents.fileno())

    def _note(self, line: dict[str, Any], contents: int) -> None:
        match line.pop("what"):
            case "copy":
                content = os.pread(contents, line["size"], line["at"])
                head = content.partition(b"\r\n\r\n")[0]
                copy = Copy(
                    message_id=_header(head, b"Message-ID"),
                    date=_header(head, b"Date"),
                    digest=hashlib.blake2b(content, digest_size=16).hexdigest(),
                    **line,
                )
                self.copies.append(copy)
                self.of[copy.recipient].append(copy)
            case "answer":
                self.answered.add(line["number"])
            case "breach":
                self.breaches.append(line["text"])

    def message(self, copy: Copy) -> EmailMessage:
        """A copy as its recipient reads it."""
        with self._contents.open("rb") as contents:
            return message_from_bytes(os.pread(contents.fileno(), copy.size, copy.at), policy=policy.default)

    async def until(self, holds: Callable[[], bool], *, what: str = "more copies", within_s: float = 45) -> None:
        """Read on until something holds."""
        deadline = time.monotonic() + within_s
        while True:
            self.read_on()
            if holds():
                return
            assert time.monotonic() < deadline, f"waited in vain for {what} at the sink"
            await asyncio.sleep(0.01)

    async def mail(self, recipient: str, *, saying: str, within_s: float = 45) -> EmailMessage:
        """The first mail to somebody with some words in its text."""
        seen = 0
        found: list[EmailMessage] = []

        def has_come() -> bool:
            nonlocal seen
            for copy in self.of[recipient][seen:]:
                message = self.message(copy)
                if saying in str(message.get_content()):
                    found.append(message)
            seen = len(self.of[recipient])
            return bool(found)

        await self.until(has_come, what=f"the mail that says {saying}", within_s=within_s)
        return found[0]


class NextServer:
    """The sink's process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._replies: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._one_order = asyncio.Lock()
        self._epoch = 0
        self.record = Record(folder)
        self.fired = asyncio.Event()

    async def start(self) -> int:
        """Start it; the port it listens on."""
        self._process: Process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.crash.sink", str(self._folder)), stdin=PIPE, stdout=PIPE, cwd=ROOT, start_new_session=True
        )
        self._input = cast("asyncio.StreamWriter", self._process.stdin)
        self._listening = asyncio.create_task(self._listen(), name="sink")
        return int((await self._replies.get())["port"])

    async def stop(self) -> None:
        self._input.close()
        await self._process.wait()
        await self._listening

    async def order(self, order: str, **words: object) -> None:
        """Give an order and wait until it is in force."""
        async with self._one_order, asyncio.timeout(10):
            self._input.write(json.dumps({"order": order, **words}).encode() + b"\n")
            await self._replies.get()

    async def kill_at(self, point: Point, *, nth: int, pids: Sequence[int]) -> None:
        """Let the sink kill somebody at the n-th line, dot or answer from now; `fired` says when it has."""
        self.fired.clear()
        await self.order("kill", at=point, nth=nth, pids=list(pids))

    async def next_epoch(self) -> int:
        """Somebody has died: what comes from now on comes from his successor. The epoch that has ended."""
        await self.order("epoch")
        self._epoch += 1
        return self._epoch - 1

    async def _listen(self) -> None:
        async for line in cast("asyncio.StreamReader", self._process.stdout):
            said = json.loads(line)
            if "fired" in said:
                self.fired.set()
            else:
                self._replies.put_nowait(said)


def _header(head: bytes, name: bytes) -> str:
    """A header that our own writer never folds."""
    return head.partition(b"\r\n" + name + b": ")[2].partition(b"\r\n")[0].decode("ascii")
