import asyncio
import sqlite3

import pytest
from structlog.testing import capture_logs

from mailgate.core.outages import StoreFull
from mailgate.smtp.conversation import Conversation
from mailgate.smtp.listener import Limits, Listener
from tests.wire.listener_tools import BOX, DOMAIN, MOMENT_S, PATIENCE_S, Gate, Peer, RecordingDoor, StillClock, a_gate

SECRET = "no such row: hahaoya@docomo.ne.jp in /var/lib/guardians.db"
FAULTS = [
    RuntimeError(SECRET),
    sqlite3.OperationalError(SECRET),
    OSError(28, SECRET),
    AssertionError(SECRET),
    TimeoutError(),
    ConnectionResetError(SECRET),  # of the store's connection, not of the peer's
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("place", ["admits", "size_limit", "receive"])
async def test_a_fault_of_ours_is_temporary_and_keeps_its_words(place: str, fault: Exception) -> None:
    door = RecordingDoor()
    {"admits": door.admission_faults, "size_limit": door.size_faults, "receive": door.faults}[place].append(fault)
    with capture_logs() as logs:
        async with a_gate(door) as gate:
            peer = await gate.greet()
            replies = [await peer.say("MAIL FROM:<a@docomo.ne.jp>"), await peer.say(f"RCPT TO:<{BOX}>")]
            replies += [await peer.say("DATA"), await peer.say(".")]
            assert "451 4.3.0 Temporary failure; please try again later" in replies
            assert door.mails == []
            await peer.say("RSET")
            await peer.at_data()
            assert (await peer.say(".")).startswith("250 2.0.0")
    told = [entry for entry in logs if entry["event"] == "listener.fault_caught"]
    assert len(told) == 1
    assert type(fault).__name__ in told[0]["fault"]
    assert "docomo" not in str(logs)


@pytest.mark.parametrize("place", ["size_limit", "receive"])
async def test_a_full_store_asks_the_peer_to_come_back(place: str) -> None:
    door = RecordingDoor()
    {"size_limit": door.size_faults, "receive": door.faults}[place].append(StoreFull())
    with capture_logs() as logs:
        async with a_gate(door) as gate:
            peer = await gate.greet()
            await peer.say("MAIL FROM:<a@docomo.ne.jp>")
            await peer.say(f"RCPT TO:<{BOX}>")
            assert "452 4.3.1" in (await peer.say("DATA")) + (await peer.say("."))
            assert door.mails == []
    assert {"event": "mail.deferred", "reason": "store_full", "log_level": "warning"} in logs


async def test_no_250_is_said_before_the_door_has_returned() -> None:
    door = RecordingDoor()
    door.open.clear()
    async with a_gate(door) as gate:
        peer = await (await gate.greet()).at_data()
        peer.send(b".\r\n")
        await door.entered.wait()
        reply = asyncio.create_task(peer.reply())
        other = await gate.greet()  # others are served meanwhile
        assert (await other.say("NOOP")).startswith("250 2.0.0")
        assert not reply.done()
        door.open.set()
        assert (await reply).startswith("250 2.0.0")


async def test_one_slow_mail_does_not_hold_up_the_next_connection() -> None:
    door = RecordingDoor()
    door.open.clear()
    async with a_gate(door) as gate:
        peers = [await (await gate.greet()).at_data(sender=f"a{number}@docomo.ne.jp") for number in range(20)]
        for peer in peers:
            peer.send(b".\r\n")
        await door.entered.wait()
        door.open.set()
        assert all([(await peer.reply()).startswith("250 2.0.0") for peer in peers])
        assert len(door.mails) == 20


# Where a client may vanish: what it has sent, and how many mails are taken then.
STEPS = [
    ("before it says a word", b"", 0),
    ("after EHLO", b"EHLO a\r\n", 0),
    ("after MAIL", b"EHLO a\r\nMAIL FROM:<a@docomo.ne.jp>\r\n", 0),
    ("after RCPT", f"EHLO a\r\nMAIL FROM:<a@docomo.ne.jp>\r\nRCPT TO:<{BOX}>\r\n".encode(), 0),
]
AT_DATA = STEPS[-1][1] + b"DATA\r\n"
STEPS += [
    ("after DATA", AT_DATA, 0),
    ("in the content", AT_DATA + b"Subject: a\r\n\r\nhal", 0),
    ("in the last line", AT_DATA + b"Subject: a\r\n\r\n.", 0),
    ("before the last octet", AT_DATA + b"Subject: a\r\n\r\n.\r", 0),
]


async def hear(peer: Peer, replies: int) -> None:
    for _ in range(replies):
        assert await peer.reply()


@pytest.mark.parametrize("ending", ["leave", "vanish", "half_close"])
@pytest.mark.parametrize("step, said, mails", STEPS, ids=[step for step, _, _ in STEPS])
async def test_a_mail_that_is_not_whole_never_happened(step: str, said: bytes, mails: int, ending: str) -> None:
    async with a_gate() as gate:
        peer = await gate.connect()
        peer.send(said)
        lines = said.split(b"DATA\r\n")[0].count(b"\n") + (b"DATA" in said)
        await hear(peer, 1 + lines)
        if ending == "half_close":
            peer.half_close()
        else:
            await getattr(peer, ending)()
        assert await gate.is_empty()
        assert len(gate.door.mails) == mails


@pytest.mark.parametrize("ending", ["leave", "vanish"])
async def test_a_mail_on_its_way_to_commit_gets_there_once_though_its_peer_is_gone(ending: str) -> None:
    """The peer heard no 250 and comes again: the second is known by its digest. A broken-off COMMIT would help nobody."""
    door = RecordingDoor()
    door.open.clear()
    async with a_gate(door, Limits(connections=1)) as gate:
        peer = await (await gate.greet()).at_data()
        peer.send(b"Subject: a\r\n\r\n.\r\n")
        await door.entered.wait()
        await getattr(peer, ending)()
        assert (await (await gate.connect()).reply()).startswith("421 4.7.0")  # its seat is taken as long as it works
        door.open.set()
        assert await gate.is_empty()
        assert len(door.mails) == 1


async def test_a_fault_after_the_peer_is_gone_is_told_and_hurts_nobody() -> None:
    door = RecordingDoor()
    door.faults.append(RuntimeError(SECRET))
    door.open.clear()
    with capture_logs() as logs:
        async with a_gate(door) as gate:
            peer = await (await gate.greet()).at_data()
            peer.send(b".\r\n")
            await door.entered.wait()
            await peer.vanish()
            door.open.set()
            assert await gate.is_empty()
            await gate.greet()
    assert [entry["event"] for entry in logs].count("listener.fault_caught") == 1
    assert "docomo" not in str(logs)


@pytest.mark.parametrize("ending", ["leave", "vanish"])
async def test_a_client_may_go_without_a_word_after_the_250(ending: str) -> None:
    async with a_gate() as gate:
        peer = await (await gate.greet()).at_data()
        assert (await peer.say(".")).startswith("250 2.0.0")
        await getattr(peer, ending)()
        assert await gate.is_empty()
        assert len(gate.door.mails) == 1


async def test_a_mail_whose_peer_is_known_to_be_gone_is_left_to_come_again() -> None:
    async with a_gate() as gate:
        await (await gate.greet()).at_data()
        (conversation,) = gate.listener._seats
        conversation._reader.feed_data(b".\r\n")  # the last octets come in the very moment
        conversation._writer.close()
        assert await gate.is_empty()
        assert gate.door.mails == []


# Start and stop.


async def test_several_sockets_are_one_listener() -> None:
    door = RecordingDoor()
    listener = Listener(door, Limits(), hostname=DOMAIN, tls=None, clock=StillClock())
    ports = await listener.start([("127.0.0.1", 0), ("127.0.0.2", 0)])
    assert len(set(ports)) == 2
    peer = await Peer.connect(ports[0])
    await (await peer.greeted()).at_data()
    await peer.leave()
    await listener.close(grace_s=5)


async def test_when_one_socket_cannot_be_had_none_is_left_open() -> None:
    async with a_gate() as gate:
        listener = Listener(gate.door, Limits(), hostname=DOMAIN, tls=None, clock=StillClock())
        with pytest.raises(OSError, match="address already in use"):
            await listener.start([("127.0.0.1", 0), ("127.0.0.1", gate.port)])
        assert not any(server.sockets for server in listener._servers)


async def test_at_a_stop_nobody_comes_in_and_the_idle_are_sent_away() -> None:
    async with a_gate() as gate:
        idle = await gate.greet()
        after_mail = await (await gate.greet()).at_data()
        await after_mail.say(".")
        await gate.listener.close(grace_s=5)
        for peer in (idle, after_mail):
            assert (await peer.reply()).startswith("421 4.3.2")
            assert await peer.has_ended()
        with pytest.raises(ConnectionRefusedError):
            await gate.connect()


async def test_what_comes_in_the_very_moment_of_a_stop_is_not_begun() -> None:
    async with a_gate() as gate:
        peer = await gate.greet()
        (conversation,) = gate.listener._seats
        conversation._reader.feed_data(f"MAIL FROM:<a@docomo.ne.jp>\r\nRCPT TO:<{BOX}>\r\nDATA\r\n.\r\n".encode())
        conversation.stop()
        assert (await peer.reply()).startswith("421 4.3.2")
        assert await peer.has_ended()
        assert await gate.is_empty()
        assert gate.door.offered == []


async def test_who_comes_in_while_the_gate_is_closing_is_sent_away() -> None:
    async with a_gate() as gate:
        gate.listener._is_stopping = True
        assert (await (await gate.connect()).reply()).startswith("421 4.3.2")


async def test_who_is_gone_before_coming_in_takes_no_seat() -> None:
    class GoneTransport(asyncio.Transport):
        aborted = False

        def abort(self) -> None:
            self.aborted = True

    async with a_gate() as gate:
        transport = GoneTransport()
        gate.listener.enter(transport)
        assert transport.aborted
        assert gate.listener.seats_taken == 0


@pytest.mark.parametrize("rest", ["RSET", "EHLO again", "DATA"])
async def test_at_a_stop_a_mail_under_way_may_end(rest: str) -> None:
    async with a_gate() as gate:
        peer = await gate.greet()
        await peer.say("MAIL FROM:<a@docomo.ne.jp>")
        await peer.say(f"RCPT TO:<{BOX}>")
        closing = asyncio.create_task(gate.listener.close(grace_s=5))
        assert (await peer.say(rest))[:3] in {"250", "354"}
        if rest == "DATA":
            assert (await peer.say(".")).startswith("250 2.0.0")
        assert (await peer.reply()).startswith("421 4.3.2")
        await closing
        assert len(gate.door.mails) == (rest == "DATA")
        assert gate.listener.seats_taken == 0


async def test_at_a_stop_a_mail_on_its_way_to_commit_gets_there() -> None:
    door = RecordingDoor()
    door.open.clear()
    async with a_gate(door) as gate:
        peer = await (await gate.greet()).at_data()
        peer.send(b".\r\n")
        await door.entered.wait()
        closing = asyncio.create_task(gate.listener.close(grace_s=5))
        await asyncio.sleep(0)
        door.open.set()
        assert (await peer.reply()).startswith("250 2.0.0")
        assert (await peer.reply()).startswith("421 4.3.2")
        await closing
        assert len(door.mails) == 1


@pytest.mark.parametrize("place", ["content", "commit"])
async def test_after_the_grace_it_is_cut_and_no_250_was_said(place: str) -> None:
    door = RecordingDoor()
    door.open.clear()
    async with a_gate(door) as gate:
        peer = await (await gate.greet()).at_data()
        if place == "commit":
            peer.send(b".\r\n")
            await door.entered.wait()
        await gate.listener.close(grace_s=MOMENT_S)
        assert await peer.reply() == ""
        assert gate.listener.seats_taken == 0
        assert door.mails == []


async def deafen(gate: Gate, peer: Peer) -> Conversation:
    """Shut the peer's window: what we say stays with us, and the farewell too."""
    (conversation,) = gate.listener._seats
    peer.deafen()
    conversation._writer.write(b"x" * 2**24)  # more than the sockets hold
    return conversation


@pytest.mark.parametrize("said", [b"NOOP\r\n", b"", b"NOOP\r\n" * 50, b"QUIT\r\n", b"\n"])
async def test_a_peer_that_takes_no_reply_does_not_keep_its_seat(said: bytes) -> None:
    async with a_gate(limits=Limits(idle_s=MOMENT_S, linger_s=MOMENT_S)) as gate:
        peer = await gate.greet()
        await deafen(gate, peer)
        peer.send(said)
        assert await gate.is_empty()


async def test_who_vanishes_while_we_wait_to_be_heard_gives_back_the_seat() -> None:
    async with a_gate() as gate:
        peer = await gate.greet()
        conversation = await deafen(gate, peer)
        peer.send(b"NOOP\r\n")
        while not conversation._commands > 1:  # EHLO was the first
            await asyncio.sleep(0)  # only lets the loop turn
        await peer.vanish()
        assert await gate.is_empty()


async def test_a_seat_is_taken_until_the_connection_is_closed() -> None:
    async with a_gate(limits=Limits(linger_s=MOMENT_S)) as gate:
        peer = await gate.greet()
        conversation = await deafen(gate, peer)
        peer.send(b"QUIT\r\n")
        while not conversation._writer.is_closing():
            await asyncio.sleep(0)  # only lets the loop turn
        for _ in range(5):
            await asyncio.sleep(0)
        assert gate.listener.seats_taken == 1
        assert await gate.is_empty()


async def test_a_deaf_peer_does_not_hold_up_a_stop() -> None:
    async with a_gate(limits=Limits(linger_s=MOMENT_S)) as gate:
        conversation = await deafen(gate, await gate.greet())
        conversation._reader.feed_data(b"NOOP\r\n" * 10)  # there is more to answer, to nobody
        async with asyncio.timeout(PATIENCE_S):
            await gate.listener.close(grace_s=PATIENCE_S * 2)
