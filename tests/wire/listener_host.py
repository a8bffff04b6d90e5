"""A listener in a process of its own, so that what it costs can be read from outside: says its port, ends with its standard input."""

import asyncio
import sys
from collections.abc import Sequence

from mailgate.core.addresses import Address, NullPath
from mailgate.core.admission import Admission
from mailgate.core.inbound import Inbound
from mailgate.runtime import SystemClock
from mailgate.smtp.listener import Limits, Listener


class OpenDoor:
    """Takes everything and keeps nothing."""

    def __init__(self, size: int) -> None:
        self._size = size

    def admits(self, recipient: Address) -> Admission:
        return Admission.OURS

    async def size_limit(self, sender: Address | NullPath, recipients: Sequence[Address]) -> int:
        return self._size

    async def receive(self, mail: Inbound) -> None:
        return None


async def main(size: int) -> None:
    listener = Listener(OpenDoor(size), Limits(), hostname="gate.example.jp", tls=None, clock=SystemClock())
    (port,) = await listener.start([("127.0.0.1", 0)])
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await listener.close(grace_s=5)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
