"""Waking the sender across processes: an empty datagram to a socket in the state folder. A lost one costs a second: the sender polls."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path


class WakeSocket:
    """The mail side's ear."""

    def __init__(self, path: Path, heard: Callable[[], None]) -> None:
        path.unlink(missing_ok=True)  # the sender's lock is held: nobody else listens here
        self._path = path
        self._heard = heard
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(path))
        path.chmod(0o660)
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)

    def close(self) -> None:
        """Listen no more."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _read(self) -> None:
        try:
            while True:
                self._socket.recv(1)
        except BlockingIOError:
            self._heard()


def ring(path: Path) -> None:
    """Wake the mail side, if it is there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ringing:
        ringing.setblocking(False)
        try:
            ringing.sendto(b"", str(path))
        except OSError:
            return  # not there, or awake already: its queue is full
