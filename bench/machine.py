"""The machine: what it is, and how much of it other programs took while we measured.

On a machine that others use, a figure says little. What was used in all comes from the kernel, what we used ourselves from the times of
this process and of all children it has waited for; the rest was others'. A measurement ends every process that it has started, so the
sum is right at its end.
"""

import asyncio
import os
import platform
import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
CORES: Final = os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a figure was measured on."""

    processor: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    sqlite: str
    filesystem: str  # of the temporary folder, where databases and queues lie
    fsync_ms: float


def machine(folder: Path) -> Machine:
    """This one."""
    return Machine(
        processor=_processor(),
        cores=CORES,
        memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        filesystem=_filesystem(folder),
        fsync_ms=_fsync_ms(folder),
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _filesystem(folder: Path) -> str:
    """The type of the longest mount point above a folder."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(where, kind) for where, kind in mounts if folder.is_relative_to(where)]
    return max(above, key=lambda mount: len(mount[0]))[1]


def _fsync_ms(folder: Path) -> float:
    """The median of a few: 4 KB appended, then fsync."""
    times = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(50):
            begun = time.perf_counter()
            os.write(file.fileno(), bytes(4096))
            os.fsync(file.fileno())
            times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1e3


def memory_mib(pid: int) -> tuple[float, float]:
    """What a process holds now, and the most it ever held."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    now, most = (int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, most


def others_share() -> Callable[[], float]:
    """Begins to watch; what it gives tells, when asked, the share of all cores that other programs have taken since."""
    begun, used, ours = time.perf_counter(), _used_s(), _ours_s()

    def share() -> float:
        took = (time.perf_counter() - begun) * CORES
        return max(0.0, (_used_s() - used) - (_ours_s() - ours)) / took if took else 0.0

    return share


def _used_s() -> float:
    user, nice, system, _idle, _waiting, *rest = (int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9])
    return (user + nice + system + sum(rest)) / _TICKS


def _ours_s() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


async def quiet(within_s: float) -> None:
    """Wait, so long at most, until others have left the machine alone for a second."""
    deadline = time.perf_counter() + within_s
    while time.perf_counter() < deadline:
        share = others_share()
        await asyncio.sleep(1)
        if share() < 0.1:
            return
