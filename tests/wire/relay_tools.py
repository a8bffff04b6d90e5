"""What the relay's tests stand on: a source that hands out copies one by one, and a relay that speaks with a server of ours."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from mailgate.core.lines import lines
from mailgate.core.relay import Copy, Outcome, Relay
from mailgate.smtp.opening import NextServer, Patience
from mailgate.smtp.relay import SmtpRelay
from tests.wire.scripted_server import ScriptedServer, Step

SENDER = "b+mfrggzdfmztwq2lknnwg23tpob@gate.example"
RECIPIENT = "hanako.yamada@docomo.example"
CONTENT = b"Subject: x\r\n\r\nhello\r\n"
IN_A_HURRY = Patience(connect=0.3, command=0.3, final_dot=0.3, goodbye=0.3)
# Where nothing is to time out, however slow the machine is.
AT_LEISURE = Patience(connect=20, command=20, final_dot=20)
PIPELINING: dict[str, Step] = {"EHLO": "250-relay.example\r\n250-PIPELINING\r\n250 SIZE 10000000"}
MODES = {"one by one": {}, "pipelined": PIPELINING}


def a_copy(number: int = 1, *, recipient: str = RECIPIENT, sender: str = SENDER, content: bytes = CONTENT) -> Copy:
    return Copy(id=number, sender=sender, recipient=recipient, content=lines(content))


class Hand:
    """A source (core.relay.Source): hands copies to a relay, and knows what became of each. A copy that is answered twice is an error."""

    def __init__(self, relay: Relay, *, window: int = 1000) -> None:
        self._relay = relay
        self._window = window
        self._waiting: deque[Copy] = deque()
        self._taken: dict[int, asyncio.Future[Outcome]] = {}
        self.taken: list[int] = []
        self.outcomes: list[Outcome] = []
        self.faults: list[str] = []
        relay.start(self)

    def take(self) -> Copy | None:
        if not self._waiting or len(self.taken) - len(self.outcomes) >= self._window:
            return None
        self.taken.append(self._waiting[0].id)
        return self._waiting.popleft()

    def done(self, copy: Copy, outcome: Outcome) -> None:
        future = self._taken.get(id(copy))
        if future is None or future.done():
            self.faults.append(f"copy {copy.id} was answered twice, or never given")
        else:
            self.outcomes.append(outcome)
            future.set_result(outcome)

    def give(self, copy: Copy) -> asyncio.Future[Outcome]:
        """Have a copy for the relay; what becomes of it."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._taken[id(copy)] = future
        self._waiting.append(copy)
        self._relay.nudge()
        return future

    async def over(self, copy: Copy | None = None) -> Outcome:
        """Hand a copy over."""
        return await self.give(copy or a_copy())

    async def close(self, grace_s: float = 20) -> None:
        """Close the relay. Everything it took has been answered then."""
        await self._relay.close(grace_s)
        assert self.faults == []
        assert len(self.outcomes) == len(self.taken)


@asynccontextmanager
async def a_hand(
    *servers: ScriptedServer,
    patience: Patience = AT_LEISURE,
    connections: int = 16,
    rate: float = 0,
    overlap: bool = False,
    **settings: Any,
) -> AsyncIterator[Hand]:
    """Hands copies to a relay that speaks with servers of ours, the first of which should have all mail."""
    known: dict[str, Any] = {"host": "127.0.0.1", "helo": "gate.example", **settings}
    next_servers = [NextServer(port=server.port, **known) for server in servers]
    relay = SmtpRelay(next_servers, connections=connections, rate=rate, overlap=overlap, patience=patience)
    hand = Hand(relay)
    try:
        yield hand
    finally:
        await hand.close()


async def one_outcome(
    script: Mapping[str, Sequence[Step]],
    *,
    always: Mapping[str, Step] | None = None,
    patience: Patience = AT_LEISURE,
    **settings: Any,
) -> Outcome:
    """What becomes of one copy at a server with that script."""
    async with ScriptedServer(script, always or {}).running() as server, a_hand(server, patience=patience, **settings) as hand:
        return await hand.over()
