"""The ground: the temporary folder that everything of a run lies in, and what the parties share there.

A gate with so many recipients is made once and copied for each measurement, so that every round begins with the same database.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from bench.gates import CITY, Folder, made
from bench.processes import LOOPBACK, free_port, running

SESSIONS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much of everything is measured."""

    rounds: int = 3
    city: int = CITY  # recipients
    slow: int = 12_000  # recipients where a whole city would take long
    queue: int = 6_000  # mails in Postfix's queue
    visitors: int = 3_000
    far: int = 1_500
    strokes: tuple[tuple[int, int], ...] = ((1, 8), (50, 300), (200, 800))  # blank mails a second, and how many
    claims: int = 40
    rows: tuple[int, int] = (1_000_000, 10_000_000)
    million: int = 0  # recipients of the great broadcast; 0: none


SMOKE: Final = Sizes(
    rounds=1, city=600, slow=300, queue=200, visitors=100, far=200, strokes=((1, 2), (50, 20), (200, 40)), claims=5, rows=(100_000, 200_000)
)  # whether everything works, in half a minute; the figures mean nothing


class Ground:
    """The folder of one run."""

    def __init__(self, path: Path, sizes: Sizes) -> None:
        self.path = path
        self.sizes = sizes
        self.log = path / "workers.log"
        self._numbers = count()
        self._moulds: dict[int, Folder] = {}

    def new(self, name: str) -> Path:
        """A path that nobody uses."""
        return self.path / f"{name}{next(self._numbers)}"

    @asynccontextmanager
    async def gate(self, recipients: int = 0) -> AsyncIterator[Folder]:
        """A gate of its own, for the block; what was written for it is on the disk before the block begins."""
        if recipients not in self._moulds:
            self._moulds[recipients] = await made(self.new("mould"), recipients=recipients)
        folder = self._moulds[recipients].copied(self.new("gate"))
        os.sync()
        try:
            yield folder
        finally:
            folder.removed()

    @asynccontextmanager
    async def sink(self) -> AsyncIterator[int]:
        """smtp-sink, for the block; its port."""
        port = free_port()
        user = ("-u", "nobody") if os.geteuid() == 0 else ()
        async with running("smtp-sink", *user, "-h", "sink.example", f"{LOOPBACK}:{port}", "512", port=port):
            yield port


def missing_tools() -> str | None:
    """Why there can be no reference here, or None."""
    missing = [name for name in ("smtp-source", "smtp-sink") if shutil.which(name) is None]
    return f"{' and '.join(missing)} not installed (Debian: postfix)" if missing else None
