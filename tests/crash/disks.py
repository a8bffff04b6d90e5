"""Disks of our own, to be filled and broken: a small tmpfs, and an ext4 in a file that turns read-only as real ones do.

Both need the right to mount. Nothing but what is mounted here is ever touched, and it is unmounted at the end.
"""

import contextlib
import fcntl
import os
import struct
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

# ext4's own way to be tested for this: EXT4_IOC_SHUTDOWN, and to drop the journal that is not written yet.
_SHUTDOWN: Final = 0x8004587D
_WITHOUT_FLUSHING: Final = struct.pack("=I", 2)


class NoDisk(Exception):
    """We may not mount here."""


class SmallDisk:
    """A disk that can be filled to the last block, and freed again."""

    def __init__(self, place: Path, *, octets: int) -> None:
        self.path = place / "small"
        self._octets = octets

    def __enter__(self) -> Self:
        self.path.mkdir()
        _run("mount", "-t", "tmpfs", "-o", f"size={self._octets}", "tmpfs", str(self.path))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _run("umount", str(self.path))

    def fill(self) -> None:
        """Leave nothing, whoever else is writing."""
        with (self.path / "filler").open("ab", buffering=0) as filler, contextlib.suppress(OSError):
            while filler.write(bytes(4096)):
                pass

    def free(self) -> None:
        """Take away what `fill` has put there."""
        (self.path / "filler").unlink(missing_ok=True)


class WornDisk:
    """An ext4 that goes read-only under whoever writes to it, or loses what was not yet written; `repair` mounts it anew."""

    def __init__(self, place: Path, *, octets: int) -> None:
        self.path = place / "worn"
        self._image = place / "worn.img"
        self._octets = octets

    def __enter__(self) -> Self:
        self.path.mkdir()
        with self._image.open("wb") as image:
            image.truncate(self._octets)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", str(self._image))
        self._mount()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _run("umount", str(self.path))

    def flush(self) -> None:
        """What has been put there is old, and on the disk."""
        _run("sync", "--file-system", str(self.path))

    def breaks(self) -> None:
        """The kernel meets an error, and lets nobody write any more (errors=remount-ro)."""
        device = _device_of(self.path)
        assert device.startswith("loop"), device  # nobody else's disk
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1")

    def loses_power(self) -> None:
        """Nothing more comes to the disk, also of what is still in memory: what was not synced is gone after `repair`."""
        assert _device_of(self.path).startswith("loop")
        folder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, _SHUTDOWN, _WITHOUT_FLUSHING)
        finally:
            os.close(folder)

    def repair(self) -> None:
        """What an operator does after nobody has it open any more."""
        _run("umount", str(self.path))
        # That it mended something is told by its exit code.
        subprocess.run(["e2fsck", "-p", "-f", str(self._image)], capture_output=True, check=False)
        self._mount()

    def _mount(self) -> None:
        _run("mount", "-o", "loop,errors=remount-ro", str(self._image), str(self.path))


def _device_of(path: Path) -> str:
    for line in Path("/proc/mounts").read_text().splitlines():
        device, place, *_ = line.split()
        if place == str(path):
            return device.rpartition("/")[2]
    raise NoDisk(f"nothing is mounted at {path}")


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoDisk(f"{command[0]} cannot be used here: {getattr(error, 'stderr', b'') or error}") from None
