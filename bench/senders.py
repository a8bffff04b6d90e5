"""Who sends: the reference, our drain, the same outbox by plain aiosmtplib, and Postfix with its queue. All of them to smtp-sink on the
same machine, with one recipient for each transaction and mails of one size; the rate is mails a second.

Ours counts from the confirmation, so the expansion of the audience is in it, to the last mark committed. The reference counts from the
start of its program to its end, Postfix from the moment its queue manager is let in until its queue is empty.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass

from bench import machine
from bench.gates import DOMAIN, Folder, Watch, drained
from bench.ground import SESSIONS, Ground, missing_tools
from bench.postfix import available, postfix
from bench.processes import Worker, finish, worker

Figures = Mapping[str, float]


async def source(port: int, count: int, *, kept: bool) -> float:
    """Let smtp-source send so many mails of 4 KB; how many seconds it took."""
    keep = ("-d",) if kept else ()
    return await finish(
        *("smtp-source", *keep, "-s", str(SESSIONS), "-m", str(count), "-l", "4096"),
        *("-f", f"a@{DOMAIN}", "-t", "b@docomo.ne.jp", f"127.0.0.1:{port}"),
    )


class Reference:
    """smtp-source on connections that it keeps."""

    key, title = "source", "`smtp-source -d`, the reference"

    def missing(self) -> str | None:
        return missing_tools()

    async def once(self, ground: Ground) -> Figures:
        count = ground.sizes.city
        async with ground.sink() as port:
            return {"rate": count / await source(port, count, kept=True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Our mail side sends one broadcast."""

    key: str
    title: str
    size: str  # which of Sizes says how many recipients
    signed: bool = False
    overlap: bool = False
    delay_ms: int = 0  # each way, between us and the next server
    connections: int = SESSIONS

    def missing(self) -> str | None:
        return missing_tools()

    async def once(self, ground: Ground) -> Figures:
        recipients: int = getattr(ground.sizes, self.size)
        async with AsyncExitStack() as stack:
            folder = await stack.enter_async_context(ground.gate(recipients))
            port = await stack.enter_async_context(ground.sink())
            if self.delay_ms:
                proxy = await stack.enter_async_context(worker("distance", port, self.delay_ms, log=ground.log))
                port = (await proxy.hear())["port"]
            folder.set_relay(port, connections=self.connections)
            if self.overlap:
                folder.set_overlap()
            if self.signed:
                await folder.sign()
            gate = await stack.enter_async_context(worker("gate", "serve", folder.path, log=ground.log))
            await gate.hear()
            return await _drain(folder, gate, recipients)


async def _drain(folder: Folder, gate: Worker, recipients: int) -> Figures:
    took, held = await _sent_by(gate, folder)
    late = await gate.ask("lateness")
    marks = drained(folder)
    assert marks.copies == recipients
    early = held[len(held) // 10] if held else 0.0
    return {
        "rate": recipients / took,
        "took_s": took,
        "memory_mib": machine.memory_mib(gate.pid)[1],
        "growth": held[-1] / early if early else 1.0,
        "first_rate": recipients / 10 / marks.first_tenth_s,
        "last_rate": recipients / 10 / marks.last_tenth_s if marks.last_tenth_s else 0.0,
        **{f"late_{name}_ms": value for name, value in late.items()},
    }


async def _sent_by(gate: Worker, folder: Folder) -> tuple[float, list[float]]:
    """Have the broadcast confirmed and look on: how many seconds until its last mark, and the memory meanwhile, in MiB."""
    confirmed_at: float = (await gate.ask("confirm"))["confirmed_at"]
    held: list[float] = []
    with closing(Watch(folder)) as watch:
        while not watch.owes_nothing():
            gate.check()
            held.append(machine.memory_mib(gate.pid)[0])
            await asyncio.sleep(0.01)
    return time.time() - confirmed_at, held


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """The same sender with aiosmtplib for its relay."""

    key: str
    title: str
    loop: str  # uvloop, asyncio

    def missing(self) -> str | None:
        return missing_tools()

    async def once(self, ground: Ground) -> Figures:
        recipients = ground.sizes.city
        async with ground.gate(recipients) as folder, ground.sink() as port:
            async with worker("plain", folder.path, port, self.loop, log=ground.log) as gate:
                await gate.hear()
                took, _ = await _sent_by(gate, folder)
            assert drained(folder).copies == recipients
        return {"rate": recipients / took}


class PostfixDrain:
    """Postfix drains a queue that holds the same mails: plain aiosmtplib has handed them in."""

    key, title = "postfix", "Postfix draining its own queue"

    def missing(self) -> str | None:
        return missing_tools() or available()

    async def once(self, ground: Ground) -> Figures:
        count = ground.sizes.queue
        async with ground.gate(count) as folder, ground.sink() as port, postfix(ground.new("postfix"), relay=port) as server:
            async with worker("plain", folder.path, server.port, "uvloop", log=ground.log) as gate:
                await gate.hear()
                await _sent_by(gate, folder)
            assert server.queued() == count
            begun = time.perf_counter()
            server.let_manager_in()
            await server.empty()
            return {"rate": count / (time.perf_counter() - begun)}
