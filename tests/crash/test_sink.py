"""The sink of the crash runs: pipelined or not, whole or octet by octet, it takes every copy, and says who speaks out of turn."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.crash.record import NextServer

ENVELOPE = b"MAIL FROM:<b+x@gate.example.jp>\r\nRCPT TO:<a..b@docomo.ne.jp>\r\nDATA\r\n"
CONTENT = b"To: <a..b@docomo.ne.jp>\r\nDate: today\r\nMessage-ID: <1@x>\r\n\r\n..dotted\r\n.\r\n"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NextServer]:
    sink = NextServer(tmp_path)
    yield sink
    await sink.stop()


class Peer:
    """Speaks as a test wants: so many octets at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.piece = 10_000

    async def says(self, words: bytes, *, hears: int) -> list[str]:
        """Send some octets, piece by piece, and read so many replies; their codes."""
        for start in range(0, len(words), self.piece):
            self._writer.write(words[start : start + self.piece])
            await asyncio.sleep(0)
        codes: list[str] = []
        while len(codes) < hears:
            line = await self._reader.readuntil(b"\r\n")
            if line[3:4] == b" ":
                codes.append(line[:3].decode())
        return codes

    async def leaves(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


@pytest.fixture
async def peer(server: NextServer) -> AsyncIterator[Peer]:
    """One that has said hello."""
    peer = Peer(*await asyncio.open_connection("127.0.0.1", await server.start()))
    assert await peer.says(b"EHLO gate.example.jp\r\n", hears=2) == ["220", "250"]
    yield peer
    await peer.leaves()


@pytest.mark.parametrize("piece", [1, 7, 10_000])
async def test_a_pipelined_transaction_is_one_copy(server: NextServer, peer: Peer, piece: int) -> None:
    peer.piece = piece
    assert await peer.says(ENVELOPE, hears=3) == ["250", "250", "354"]
    assert await peer.says(CONTENT + ENVELOPE, hears=4) == ["250", "250", "250", "354"]
    assert await peer.says(CONTENT + b"QUIT\r\n", hears=2) == ["250", "221"]
    server.record.read_on()
    first, second = server.record.copies
    assert (first.sender, first.recipient, first.message_id, first.date) == ("b+x@gate.example.jp", "a..b@docomo.ne.jp", "<1@x>", "today")
    assert first.digest == second.digest
    assert server.record.message(first).get_content() == ".dotted\r\n"
    assert server.record.answered == {1, 2}
    assert server.record.breaches == []


@pytest.mark.parametrize(
    "words, hears, breach",
    [
        (ENVELOPE + CONTENT, 4, "content before the 354"),
        (b"RCPT TO:<a@x>\r\n", 1, "out of order: RCPT"),
        (b"DATA\r\n", 1, "out of order: DATA"),
        (b"MAIL FROM:<a@x>\r\nMAIL FROM:<b@x>\r\n", 2, "out of order: MAIL"),
        (b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nRCPT TO:<c@x>\r\n", 3, "out of order: RCPT"),
        (b"VRFY a\r\n", 1, "out of order: VRFY"),
    ],
)
async def test_who_speaks_out_of_turn_is_written_down(server: NextServer, peer: Peer, words: bytes, hears: int, breach: str) -> None:
    await peer.says(words, hears=hears)
    await peer.leaves()
    await server.next_epoch()
    server.record.read_on()
    assert server.record.breaches == [breach]


async def test_a_copy_whose_answer_could_not_be_written_is_a_copy(server: NextServer, peer: Peer) -> None:
    await server.order("set", is_holding=True)
    assert await peer.says(ENVELOPE, hears=3) == ["250", "250", "354"]
    await peer.says(CONTENT, hears=0)
    await server.record.until(lambda: len(server.record.copies) == 1)
    await peer.leaves()
    assert await server.next_epoch() == 0
    await server.order("release")
    server.record.read_on()
    assert server.record.answered == set()


async def test_a_connection_belongs_to_the_epoch_in_which_it_was_opened(server: NextServer, peer: Peer) -> None:
    await peer.says(ENVELOPE, hears=3)
    await peer.says(CONTENT + b"QUIT\r\n", hears=2)
    assert [await server.next_epoch(), await server.next_epoch()] == [0, 1]
    server.record.read_on()
    assert [taken.epoch for taken in server.record.copies] == [0]
