"""A Postfix of our own: its configuration and its queue lie in a temporary folder, it listens on the loopback only, and the system's
Postfix is neither used nor started.

It is set up to look well: no log daemon, no lookups, no limits on clients, connections kept, no pause on a full queue. A mail that it has
said 250 to is in a queue file on the disk, as a mail of ours is in the database. While it runs without a queue manager, nothing leaves: so
the queue can be filled, and the drain begins when the manager is let in.
"""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bench.processes import LOOPBACK, Failed, end, finish, free_port

_MAIN: Final = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
myhostname = postfix.example.jp
mydestination =
local_recipient_maps =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
relayhost = [127.0.0.1]:{relay}
smtp_dns_support_level = disabled
smtp_host_lookup = native
in_flow_delay = 0
initial_destination_concurrency = 20
disable_vrfy_command = yes
"""
# The services of the stock master.cf that a mail passes, none of them in a chroot.
_MASTER: Final = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
"""
_MANAGER: Final = "qmgr unix n - n 300 1 qmgr\n"
_QUEUES: Final = ("maildrop", "incoming", "active", "deferred")


class Postfix:
    """One instance."""

    def __init__(self, folder: Path, process: Process, port: int) -> None:
        self._folder = folder
        self._process = process
        self.port = port

    def let_manager_in(self) -> None:
        """The queue begins to drain."""
        with (self._folder / "master.cf").open("a") as services:
            services.write(_MANAGER)
        self._process.send_signal(signal.SIGHUP)

    def queued(self) -> int:
        """How many mails are in its queue."""
        return sum(_files(self._folder / "queue" / name) for name in _QUEUES)

    async def empty(self, within_s: float = 300) -> None:
        """Wait until the queue is empty."""
        async with asyncio.timeout(within_s):
            while self.queued():  # noqa: ASYNC110  another program's folder has no event to wait for
                await asyncio.sleep(0.02)


def _files(folder: str | Path) -> int:
    """Regular files below a folder; one that leaves while we look is gone."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        return sum(_files(entry.path) if entry.is_dir() else 1 for entry in entries)
    return 0


def available() -> str | None:
    """Why there can be no Postfix here, or None."""
    if shutil.which("postfix") is None:
        return "postfix is not installed"
    return "only root may run Postfix" if os.geteuid() != 0 else None


@asynccontextmanager
async def postfix(folder: Path, *, relay: int) -> AsyncIterator[Postfix]:
    """An instance with an empty queue that relays to a port of the loopback, without its queue manager."""
    port = free_port()
    folder.mkdir(mode=0o755)
    (folder / "queue").mkdir()
    (folder / "data").mkdir(mode=0o700)
    os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
    (folder / "main.cf").write_text(_MAIN.format(folder=folder, relay=relay))
    (folder / "master.cf").write_text(_MASTER.format(port=port))
    await finish("postfix", "-c", str(folder), "check")  # makes the queue's folders
    daemons = await _setting(folder, "daemon_directory")
    process = await asyncio.create_subprocess_exec(
        *(f"{daemons}/master", "-c", str(folder), "-d"), stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True
    )
    try:
        await _greeting(port)
        yield Postfix(folder, process, port)
    finally:
        await end(process)
        shutil.rmtree(folder)


async def _setting(folder: Path, name: str) -> str:
    process = await asyncio.create_subprocess_exec("postconf", "-c", str(folder), "-h", name, stdout=PIPE, stderr=DEVNULL)
    said, _ = await process.communicate()
    return said.decode().strip()


async def _greeting(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_connection(LOOPBACK, port)
                greeting = await reader.readline()
            writer.close()
            if greeting.startswith(b"220"):
                return
        await asyncio.sleep(0.05)
    raise Failed("postfix does not greet")
