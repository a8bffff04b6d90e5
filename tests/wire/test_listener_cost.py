import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.wire.listener_tools import BOX, Peer

ROOT = Path(__file__).parents[2]
MIB = 2**20
STATUS = Path("/proc/self/status")

pytestmark = pytest.mark.skipif(not STATUS.exists(), reason="the peak of a process's memory is read from /proc")


@asynccontextmanager
async def a_process(size: int) -> AsyncIterator[tuple[int, int]]:
    """A listener in its own process: (port, process id)."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "tests/wire/listener_host.py"), str(size)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline()), process.pid
    finally:
        process.stdin.close()
        assert await process.wait() == 0


def peak(pid: int) -> int:
    """The most memory that the process ever had (VmHWM), in octets."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


async def one_mail(port: int) -> None:
    peer = await (await (await Peer.connect(port)).greeted()).at_data()
    assert (await peer.say(".")).startswith("250 2.0.0")
    assert (await peer.say("QUIT")).startswith("221 ")
    await peer.leave()


async def send_200_mib(peer: Peer, octets: bytes) -> int:
    sent = 0
    try:
        while sent < 200 * MIB:
            peer.send(octets)
            sent += len(octets)
            await peer.drain()
    except ConnectionError:
        pass
    return sent


@pytest.mark.parametrize(
    "octets", [b"x" * 65_536, b"x\r\n" * 20_000, b"\r\n.." * 16_384], ids=["no line end", "lines", "dots"]
)
@pytest.mark.parametrize("size", [MIB, 15 * MIB], ids=["1 MiB allowed", "15 MiB allowed"])
async def test_200_mib_in_one_mail_cost_less_than_16(size: int, octets: bytes) -> None:
    async with a_process(size) as (port, pid):
        await one_mail(port)
        before = peak(pid)
        peer = await (await (await Peer.connect(port)).greeted()).at_data()
        sent = await send_200_mib(peer, octets)
        await peer.leave()
        await one_mail(port)  # the next one is served
        cost = peak(pid) - before
    print(f"{sent / MIB:.0f} MiB sent until cut, {size // MIB} MiB allowed: {cost / MIB:.1f} MiB")  # noqa: T201
    assert cost < 16 * MIB
    assert sent < 200 * MIB


async def test_200_mib_in_one_command_cost_nearly_nothing() -> None:
    async with a_process(MIB) as (port, pid):
        await one_mail(port)
        before = peak(pid)
        peer = await (await Peer.connect(port)).greeted()
        assert await send_200_mib(peer, b"x" * 65_536) < 200 * MIB
        await peer.leave()
        await one_mail(port)
        assert peak(pid) - before < 2 * MIB


RECIPIENTS = [f"RCPT TO:<haishin+{number}@gate.example.jp>\r\n".encode() for number in range(5_000)]


async def say_recipients(port: int, at_once: int) -> list[str]:
    """Name them all, so many at once; the replies up to the end of the connection."""
    peer = await (await Peer.connect(port)).greeted()
    assert (await peer.say("MAIL FROM:<a@docomo.ne.jp>")).startswith("250 2.1.0")
    replies: list[str] = []
    for first in range(0, len(RECIPIENTS), at_once):
        peer.send(b"".join(RECIPIENTS[first : first + at_once]))
        for _ in range(at_once):
            reply = await peer.reply()
            if not reply:
                await peer.leave()
                return replies
            replies.append(reply)
    raise AssertionError("5,000 commands without a mail were answered")


@pytest.mark.parametrize("at_once", [1, 50, 5_000], ids=["one by one", "in packets", "in one writing"])
async def test_5000_recipients_in_one_mail_are_refused_in_words_and_cost_nearly_nothing(at_once: int) -> None:
    """A hundred are taken, the rest is to come in another mail; who does not listen is sent away, and the next peer is served."""
    async with a_process(MIB) as (port, pid):
        await one_mail(port)
        before = peak(pid)
        replies = await say_recipients(port, at_once)
        await one_mail(port)
        cost = peak(pid) - before
    codes = [reply[:9] for reply in replies]
    expected = ["250 2.1.5"] * 100 + ["452 4.5.3"] * 98 + ["421 4.7.0"]  # EHLO and MAIL are two of a hundred commands
    if at_once == len(RECIPIENTS):  # the end of the connection may overtake the last words to a peer that does not listen
        expected = expected[: len(codes)]
    assert codes == expected
    assert cost < 2 * MIB


async def test_500_mails_one_session_each_all_come_in() -> None:
    """The rate is told (pytest -rP) and not asserted: it is the machine's as much as ours."""
    said = f"EHLO a\r\nMAIL FROM:<a@docomo.ne.jp>\r\nRCPT TO:<{BOX}>\r\nDATA\r\nSubject: \r\n\r\n\r\n.\r\nQUIT\r\n".encode()

    async def session(port: int) -> str:
        peer = await Peer.connect(port)
        peer.send(said)
        replies = [await peer.reply() for _ in range(7)]
        await peer.leave()
        return replies[5]

    async def sender(port: int) -> list[str]:
        return [await session(port) for _ in range(125)]

    async with a_process(MIB) as (port, _):
        began = time.perf_counter()
        answers = await asyncio.gather(*(sender(port) for _ in range(4)))
        took = time.perf_counter() - began
    assert [answer[:9] for some in answers for answer in some] == ["250 2.0.0"] * 500
    print(f"500 mails, one session each: {500 / took:.0f} a second")  # noqa: T201
