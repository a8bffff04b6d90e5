"""What a stranger may write, and how long the event loop stands still over it: everything else waits meanwhile, an alarm too."""

import asyncio
import base64
import time

import pytest

from mailgate.core.instants import HOUR
from mailgate.core.returnpath import Slot
from mailgate.journeys.inbox import ORDINARY_SIZE
from mailgate.smtp.listener import Limits, Listener
from tests.builders import DOMAIN, TEACHER, Town
from tests.wire.listener_tools import Peer

TICK_S = 0.005
STALL_S = 0.1
RUNS = 3
KILO = 1_000
BIG = 900 * KILO
WRITER = "a..b@docomo.ne.jp"
FROM = f"From: {WRITER}\r\n".encode()


def a_nest(depth: int) -> bytes:
    heads = (b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (level, level) for level in range(depth))
    return b"".join(heads)[: BIG + 100 * KILO]


def a_flat_nest(depth: int) -> bytes:
    """All levels share one boundary: each holds all the others."""
    return (b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" * depth)[: BIG + 100 * KILO]


def a_report(fields: bytes) -> bytes:
    head = b"Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x\r\n"
    return head + b"Content-Type: message/delivery-status\r\n\r\n" + fields + b"\r\n--x--\r\n"


def a_subject(words: bytes) -> bytes:
    return FROM + b"Subject: " + words + b"\r\n\r\nhello\r\n"


HOSTILE = {
    "one line": FROM + b"\r\n" + b"x" * BIG,
    "one header": FROM + b"Subject: " + b"x" * BIG,
    "300000 headers": b"a:\n" * 300_000 + b"\r\n",
    "300000 lines of one header": FROM + b"Subject: a\r\n" + b" \r\n" * 300_000 + b"\r\n",
    "20000 multiparts in each other": a_nest(20_000),
    "20000 multiparts with one boundary": a_flat_nest(20_000),
    "180000 delimiters": FROM + b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n" * 180_000,
    "encoded words in Subject": a_subject(b"=?utf-8?q?=e3=81=82?= " * 40_000),
    "encoded words in Subject, folded": a_subject(b"=?utf-8?b?44GC?=\r\n " * 45_000),
    "one encoded word in Subject": a_subject(b"=?iso-2022-jp?b?" + base64.b64encode(b"\x1b$B" + b'$"' * 300 * KILO) + b"?="),
    "beginnings of encoded words": a_subject(b"=?a?q?" * 150_000),
    "angles in From": b"From: " + b"<" * BIG + b"\r\n\r\n",
    "at signs in From": b"From: " + b"@" * BIG + b"\r\n\r\n",
    "pairs in From": b"From: " + b"<@>," * 225_000 + b"\r\n\r\n",
    "parentheses in From": b"From: " + b"(" * BIG + b"\r\n\r\n",
    "quotes in From": b"From: " + b'"' * BIG + b"\r\n\r\n",
    "base64": FROM + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(b"hello " * 110 * KILO),
    "quoted-printable": FROM + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=e3=81=82=\r\n" * 75_000,
    "base64 in JIS": FROM
    + b"Content-Type: text/plain; charset=iso-2022-jp\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(b'\x1b$B$"\x1b(B' * 70_000),
    "a page of tags": FROM + b"Content-Type: text/html\r\n\r\n" + b"<b>" * 300_000,
    "a page of angles": FROM + b"Content-Type: text/html\r\n\r\n" + b"<div " * 180_000,
    "a report with 100000 fields": a_report(b"To: x\r\n" * 100_000),
    "a report with 28000 groups": a_report(b"Action: failed\r\nStatus: 5.1.1\r\n\r\n" * 28_000),
    "a report of one line": a_report(b"Action: failed\r\nDiagnostic-Code: smtp; 550 " + b"a@" * 400_000),
    "blank lines": FROM + b"\r\n" + b"\r\n" * 450_000,
    "blank lines of blanks": FROM + b"\r\n" + b"          \r\n" * 75_000,
    "marks of quotes": FROM + b"\r\n" + b"> \r\n" * 225_000,
    "rules": FROM + b"\r\n" + (b"-" * 70 + b"\r\n") * 12_500,
    "introductions": FROM + b"\r\n" + b"On 2026/1 a@b wrote:\r\n" * 40_000,
    "dots": FROM + b"\r\n" + b".\r\n" * 300_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_all_of_them_are_small_enough_to_be_taken(name: str) -> None:
    assert len(HOSTILE[name]) < ORDINARY_SIZE


class Ticker:
    """Asks the loop for a tick every 5 ms and notes how late each one comes."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.longest = 0.0
        self._next()

    def _next(self) -> None:
        self._due = time.perf_counter() + TICK_S
        self._timer = self._loop.call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        self.longest = max(self.longest, time.perf_counter() - self._due)
        self._next()

    def stop(self) -> float:
        """How late the latest was, one that is due by now among them."""
        self._timer.cancel()
        return max(self.longest, time.perf_counter() - self._due)


class Way:
    """The way into a town's inbox, through a real listener."""

    def __init__(self, town: Town, port: int) -> None:
        self._town = town
        self._port = port
        self._mails = 0

    async def longest_stall(self, sender: str, box: str, content: bytes) -> float:
        """Hand a mail in as ever: how long the loop stood still from the first octet to the last reply."""
        self._mails += 1
        self._town.clock.pass_(HOUR)
        peer = await (await (await Peer.connect(self._port)).greeted()).at_data(sender=sender, recipient=f"{box}@{DOMAIN}")
        unlike = b"X-Number: %d\r\n" % self._mails
        stuffed = (unlike + content).replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n"
        ticker = Ticker()
        for at in range(0, len(stuffed), 65_536):  # as a network brings it
            peer.send(stuffed[at : at + 65_536])
            await peer.drain()
        reply = await peer.reply()
        longest = ticker.stop()
        assert reply.startswith("250 2.0.0")
        await peer.say("QUIT")
        await peer.leave()
        return longest

    async def stalls(self, sender: str, box: str, content: bytes) -> bool:
        """Whether the loop stands still for too long each time: once may be the machine's fault."""
        for _ in range(RUNS):
            if await self.longest_stall(sender, box, content) <= STALL_S:
                return False
        return True


@pytest.mark.parametrize("name", HOSTILE)
async def test_no_mail_of_a_stranger_stops_the_loop_for_a_tenth_of_a_second(town: Town, name: str) -> None:
    await town.a_school()
    await town.enrolled()
    await town.a_contact(WRITER)
    await town.confirmed("kita-es", subject="【緊急連絡】休業")
    await town.expanded()
    (copy,) = await town.sent()
    tokens = town.links.tokens(copy.row.id)
    listener = Listener(town.inbox, Limits(), hostname=DOMAIN, tls=None, clock=town.clock)
    (port,) = await listener.start([("127.0.0.1", 0)])
    way = Way(town, port)
    boxes = {
        "touroku": WRITER,
        "renraku": WRITER,
        f"k+{tokens[Slot.RECEIPT]}": WRITER,
        f"b+{tokens[Slot.BOUNCE]}": "",
        "haishin+kita-es": TEACHER,
        "postmaster": WRITER,
    }
    contents = {sender: HOSTILE[name].replace(FROM, b"From: %b\r\n" % sender.encode()) for sender in boxes.values()}
    try:
        stalled = [box for box, sender in boxes.items() if await way.stalls(sender, box, contents[sender])]
    finally:
        await listener.close(grace_s=5)
    assert stalled == []
