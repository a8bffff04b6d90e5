"""One sender: an flock on a file in the state folder. The kernel gives it back when the process dies, however it dies."""

import fcntl
from pathlib import Path
from typing import Self


class AlreadyRunning(Exception):
    """Another process of this gate holds the lock."""


class SenderLock:
    """Held for the life of the mail side."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        self._file = self._path.open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise AlreadyRunning(f"another mail side runs already: it holds {self._path}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
