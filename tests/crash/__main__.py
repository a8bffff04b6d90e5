"""`make crash N=500`: that many kills, in several gates at once; progress while it runs, a table at the end, 1 if anything was lost.

Each worker is a process with a gate and a sink of its own, and takes a new folder for every twenty kills. The folder of a fault is kept.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final  # Any: what a worker says

from tests.conftest import ROOT
from tests.crash.series import Round, Series, dealt
from tests.crash.verdict import WINDOW
from tests.crash.victim import a_template

_IN_ONE_FOLDER: Final = 20
_TELL_S: Final = 15.0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def work(folder: Path, *, seed: str, instants: list[str]) -> None:
    """One worker: series after series; a JSON line for each round and each series."""

    def tell(done: Round) -> None:
        say(json.dumps({
            "deaths": [["+".join(death.victims), death.kind, death.start_s, death.doubled] for death in done.deaths],
            "faults": done.faults,
        }))  # fmt: skip

    template = await a_template(folder / "template")
    for number, first in enumerate(range(0, len(instants), _IN_ONE_FOLDER)):
        place = folder / f"series-{number}"
        series = Series(place, template, seed=f"{seed}.{number}", one=number % 3 == 2)
        outcome = await series.run(instants[first : first + _IN_ONE_FOLDER], tell=tell)
        verdict = outcome.verdict
        say(json.dumps({"copies": verdict.copies, "recipients": verdict.recipients, "promises": outcome.promises}))
        if outcome.faults:
            say(json.dumps({"kept": str(place), "faults": outcome.faults}))
            return
        shutil.rmtree(place)


@dataclass(slots=True)
class Tally:
    """What all workers have said."""

    wanted: int
    deaths: list[tuple[str, str, float | None, int]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    sums: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    begun: float = field(default_factory=time.monotonic)

    def hear(self, said: dict[str, Any]) -> list[str]:
        """What is wrong and was not known yet."""
        self.deaths += [tuple(death) for death in said.get("deaths", ())]
        new = [fault for fault in said.get("faults", ()) if fault not in self.faults]
        if "kept" in said:
            new.append(f"kept: {said['kept']}")
        self.faults += new
        for name in ("copies", "recipients", "promises"):
            self.sums[name] += said.get(name, 0)
        return new

    @property
    def pace(self) -> float:
        return len(self.deaths) * 60 / (time.monotonic() - self.begun)

    def progress(self) -> str:
        doubled = [death[3] for death in self.deaths]
        return (
            f"{len(self.deaths):5} of {self.wanted} kills, {self.pace:.1f} a minute, "
            f"faults {len(self.faults)}, copies twice {sum(doubled)}, at most {max(doubled, default=0)} by one kill"
        )

    def table(self) -> str:
        rows: defaultdict[tuple[str, str], list[tuple[str, str, float | None, int]]] = defaultdict(list)
        for death in self.deaths:
            rows["who", death[0]].append(death)
            rows["when", death[1]].append(death)
        lines = [_row("", "kills", "copies twice", "at most", "served again: median", "longest")]
        for kind in ("who", "when"):
            lines.append("-" * len(lines[0]))
            lines += [_line(name, rows[each, name]) for each, name in sorted(rows) if each == kind]
        return "\n".join([*lines, "-" * len(lines[0]), _line("all", self.deaths)])


def _line(name: str, deaths: Sequence[tuple[str, str, float | None, int]]) -> str:
    starts = [death[2] for death in deaths if death[2] is not None] or [0.0]
    doubled = [death[3] for death in deaths]
    return _row(name, len(deaths), sum(doubled), max(doubled, default=0), f"{median(starts):.2f} s", f"{max(starts):.2f} s")


def _row(name: str, *cells: object) -> str:
    widths = (7, 14, 9, 22, 9)
    return f"{name:34}" + "".join(f"{cell!s:>{width}}" for cell, width in zip(cells, widths, strict=True))


async def _worker(tally: Tally, folder: Path, arguments: Sequence[str]) -> None:
    """Run a worker and hear what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.crash", str(tally.wanted), "--folder", str(folder), *arguments),
        stdout=PIPE,
        cwd=ROOT,
        start_new_session=True,  # Ctrl-C is for the leader
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            for fault in tally.hear(json.loads(line)):
                say(f"LOST OR WRONG: {fault}")
        if await process.wait() != 0:
            tally.faults.append(f"a worker ended with {process.returncode}; kept: {folder}")
    finally:
        if process.returncode is None:
            process.kill()  # its gates and its sink end with it


async def _tell(tally: Tally) -> None:
    told = time.monotonic()
    while True:
        await asyncio.sleep(0.2)
        if time.monotonic() - told > _TELL_S:
            told = time.monotonic()
            say(tally.progress())


async def lead(kills: int, workers: int, seed: str) -> int:
    """Let all workers work; the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="mailgate-crash-"))
    tally = Tally(kills)
    say(f"{kills} kills by {workers} workers, seed {seed}, window {WINDOW}")
    telling = asyncio.create_task(_tell(tally))
    try:
        async with asyncio.TaskGroup() as group:
            for share in range(workers):
                arguments = ["--seed", seed, "--share", f"{share}/{workers}"]
                group.create_task(_worker(tally, folder / f"worker-{share}", arguments))
    finally:  # also when somebody has had enough
        telling.cancel()
        say(f"\n{tally.table()}\n")
    minutes = (time.monotonic() - tally.begun) / 60
    say(f"{len(tally.deaths)} kills in {minutes:.1f} minutes, {tally.pace:.1f} a minute.")
    say(f"{tally.sums['promises']} answers that promise something; {tally.sums['recipients']} deliveries, {tally.sums['copies']} copies.")
    if tally.faults or len(tally.deaths) < kills:
        say("\n".join(["LOST OR WRONG:", *tally.faults]))
        return 1
    say("Lost: 0. Every second copy was the same mail, and no kill made more of them than the window.")
    shutil.rmtree(folder)
    return 0


def main() -> int:
    """Lead, or with `--share`, work."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("kills", type=int)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", default=str(time.time_ns() % 100_000))
    parser.add_argument("--share", help="I/N: be the I-th of N workers")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    try:
        if given.share is None:
            return asyncio.run(lead(given.kills, min(given.workers, given.kills), given.seed))
        share, _, workers = given.share.partition("/")
        instants = dealt(given.kills, seed=given.seed)[int(share) :: int(workers)]
        asyncio.run(work(given.folder, seed=f"{given.seed}.{share}", instants=instants))
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
