import asyncio
import resource

import pytest
from structlog.testing import capture_logs

from mailgate.smtp.listener import LOOPBACK, Limits, _peer, _seat
from tests.wire.listener_tools import BOX, DOMAIN, MOMENT_S, Peer, RecordingDoor, a_gate


@pytest.fixture
def many_files() -> None:
    """Both ends of 900 connections are files of this one process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4_096)), hard))


@pytest.mark.usefixtures("many_files")
async def test_900_idle_connections_find_100_seats_and_the_rest_is_told_to_come_later() -> None:
    async with a_gate() as gate:
        peers = await asyncio.gather(*(gate.connect() for _ in range(900)))
        greetings = await asyncio.gather(*(peer.reply() for peer in peers))
        assert greetings.count(f"220 {DOMAIN} ESMTP") == 100
        assert greetings.count("421 4.7.0 Too many connections; please try again later") == 800
        turned_away = [peer for peer, greeting in zip(peers, greetings, strict=True) if greeting.startswith("421")]
        assert all(await asyncio.gather(*(peer.has_ended() for peer in turned_away)))
        assert gate.listener.seats_taken == 100


async def test_a_crowd_at_the_door_is_no_crowd_in_the_log() -> None:
    with capture_logs() as logs:
        async with a_gate(limits=Limits(connections=0)) as gate:
            for second in range(2):
                gate.clock.seconds = float(second)
                for _ in range(20):
                    assert (await (await gate.connect()).reply()).startswith("421 4.7.0")
    assert [(entry["event"], entry["connections"]) for entry in logs] == [
        ("listener.connection_refused", 1),
        ("listener.connection_refused", 20),
    ]


@pytest.mark.parametrize("limits", [Limits(connections=1), Limits(per_ip=1, exempt=())], ids=["in all", "per peer"])
async def test_a_seat_that_is_left_is_free_again(limits: Limits) -> None:
    async with a_gate(limits=limits) as gate:
        for _ in range(3):
            peer = await gate.greet()
            assert (await (await gate.connect()).reply()).startswith("421 4.7.0")
            assert (await peer.say("QUIT")).startswith("221")
            assert await gate.is_empty()


async def test_one_peer_has_a_few_seats_and_leaves_the_others_to_others() -> None:
    async with a_gate(limits=Limits(exempt=())) as gate:
        for _ in range(10):
            await gate.greet()
        assert (await (await gate.connect()).reply()).startswith("421 4.7.0 Too many connections from your network")
        other = await gate.connect(source="127.0.0.2")
        assert (await other.reply()).startswith("220 ")


@pytest.mark.parametrize(
    "host, peer, seat",
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::1", "fe80::/64"),
        ("::1", "::1", "::/64"),
    ],
)
def test_whose_seats_are_taken(host: str, peer: str, seat: str) -> None:
    assert str(_peer(host)) == peer
    assert _seat(_peer(host)) == seat


async def test_loopback_and_trusted_relays_are_free_of_the_limit_per_peer_only() -> None:
    async with a_gate(limits=Limits(per_ip=1, connections=3, exempt=LOOPBACK)) as gate:
        for _ in range(3):
            await gate.greet()
        assert (await (await gate.connect()).reply()).startswith("421 4.7.0 Too many connections;")


async def test_a_hundred_recipients_are_taken_and_the_rest_is_to_come_in_another_mail() -> None:
    door = RecordingDoor()
    async with a_gate(door) as gate:
        peer = await gate.greet()
        await peer.say("MAIL FROM:<a@docomo.ne.jp>")
        replies = [await peer.say(f"RCPT TO:<haishin+{number}@{DOMAIN}>") for number in range(150)]
        assert [reply[:9] for reply in replies] == ["250 2.1.5"] * 100 + ["452 4.5.3"] * 50
        assert (await peer.say("DATA")).startswith("354 ")
        assert (await peer.say(".")).startswith("250 2.0.0")
        assert len(door.mails[0].recipients) == 100


async def test_commands_without_a_mail_come_to_an_end() -> None:
    async with a_gate() as gate:
        peer = await gate.greet()
        for _ in range(99):
            assert (await peer.say("NOOP")).startswith("250 2.0.0")
        assert await peer.say("NOOP") == "421 4.7.0 Too many commands without a mail"
        assert await peer.has_ended()


async def test_a_mail_that_is_accepted_pays_for_its_commands() -> None:
    async with a_gate(limits=Limits(commands=6)) as gate:
        peer = await gate.greet()
        for _ in range(20):
            await peer.at_data()
            assert (await peer.say(".")).startswith("250 2.0.0")


async def test_errors_come_to_an_end() -> None:
    async with a_gate() as gate:
        peer = await gate.greet()
        await peer.say("MAIL FROM:<a@docomo.ne.jp>")
        for number in range(10):
            assert (await peer.say(f"RCPT TO:<guess{number}@{DOMAIN}>")).startswith("550 5.1.1")
        assert await peer.say(f"RCPT TO:<{BOX}>") == "250 2.1.5 Recipient OK"
        assert await peer.say("RCPT TO:<guess@elsewhere.test>") == "421 4.7.0 Too many errors"
        assert await peer.has_ended()


async def test_what_was_sent_ahead_of_a_last_reply_is_not_looked_at() -> None:
    async with a_gate(limits=Limits(errors=0)) as gate:
        peer = await gate.greet()
        peer.send(f"WHAT\r\nMAIL FROM:<a@docomo.ne.jp>\r\nRCPT TO:<{BOX}>\r\nDATA\r\n.\r\n".encode())
        assert (await peer.reply()).startswith("421 4.7.0")
        assert await peer.has_ended()
        assert await gate.is_empty()
        assert gate.door.mails == []


async def test_who_says_nothing_is_sent_away() -> None:
    async with a_gate(limits=Limits(idle_s=MOMENT_S)) as gate:
        peer = await gate.connect()
        await peer.reply()
        assert (await peer.reply()).startswith("421 4.4.2")
        assert await peer.has_ended()
        assert await gate.is_empty()


async def test_who_says_half_a_command_is_sent_away() -> None:
    async with a_gate(limits=Limits(idle_s=MOMENT_S)) as gate:
        peer = await gate.connect()
        peer.send(b"EHLO phone")
        await peer.reply()
        assert (await peer.reply()).startswith("421 4.4.2")


async def test_who_stops_in_the_middle_of_a_mail_is_sent_away_and_the_mail_never_happened() -> None:
    async with a_gate(limits=Limits(idle_s=MOMENT_S)) as gate:
        peer = await (await gate.greet()).at_data()
        peer.send(b"Subject: a\r\n\r\nhalf\r\n.")
        assert (await peer.reply()).startswith("421 4.4.2")
        assert await peer.has_ended()
        assert await gate.is_empty()
        assert gate.door.mails == []


async def test_a_mail_has_its_time_in_all_however_busy_the_peer_is() -> None:
    async with a_gate(limits=Limits(idle_s=60, data_s=MOMENT_S)) as gate:
        peer = await (await gate.greet()).at_data()

        async def dribble() -> None:
            while True:
                peer.send(b"x\r\n")
                await peer.drain()
                await asyncio.sleep(0)  # only lets the loop turn

        dribbling = asyncio.create_task(dribble())
        reply = await peer.reply()
        dribbling.cancel()
        # The peer may lose the words when it goes on sending into a closed connection, never the end of it.
        assert reply == "" or reply.startswith("421 4.4.2")
        assert await gate.is_empty()
        assert gate.door.mails == []


async def test_our_own_slowness_is_not_held_against_the_peer() -> None:
    door = RecordingDoor()
    door.open.clear()
    async with a_gate(door, Limits(idle_s=MOMENT_S, data_s=MOMENT_S)) as gate:
        peer = await (await gate.greet()).at_data()
        peer.send(b".\r\n")
        await door.entered.wait()
        other = await gate.connect()  # waits for as long as a peer may be idle, and longer
        await other.reply()
        assert (await other.reply()).startswith("421 4.4.2")
        assert await other.has_ended()
        door.open.set()
        assert (await peer.reply()).startswith("250 2.0.0")


# Size.


async def test_a_declared_size_over_what_is_advertised_is_refused_at_mail() -> None:
    async with a_gate(limits=Limits(size=1_000)) as gate:
        peer = await gate.greet()
        assert (await peer.say("MAIL FROM:<a@docomo.ne.jp> SIZE=1001")).startswith("552 5.3.4")
        assert (await peer.say("MAIL FROM:<a@docomo.ne.jp> SIZE=" + "9" * 1_900)).startswith("552 5.3.4")
        assert (await peer.say("MAIL FROM:<a@docomo.ne.jp> SIZE=1000")).startswith("250 2.1.0")


async def test_a_declared_size_over_what_these_boxes_take_is_refused_before_the_mail_is_sent() -> None:
    async with a_gate(RecordingDoor(size=500)) as gate:
        peer = await gate.greet()
        assert (await peer.say("MAIL FROM:<a@docomo.ne.jp> SIZE=501")).startswith("250 2.1.0")
        await peer.say(f"RCPT TO:<{BOX}>")
        assert (await peer.say("DATA")).startswith("552 5.3.4")
        await peer.at_data()


async def test_a_mail_over_the_size_is_read_dropped_and_refused_and_the_next_one_is_served() -> None:
    door = RecordingDoor(size=100_000)
    async with a_gate(door) as gate:
        peer = await (await gate.greet()).at_data()
        peer.send(b"x" * 98 + b"\r\n")
        for _ in range(30):
            peer.send(b"y" * 9_998 + b"\r\n")
        peer.send(b".\r\n")
        assert (await peer.reply()).startswith("552 5.3.4")
        await peer.at_data()
        peer.send((b"z" * 998 + b"\r\n") * 100 + b".\r\n")
        assert (await peer.reply()).startswith("250 2.0.0")
        assert [len(mail.content) for mail in door.mails] == [100_000]


async def test_the_listener_takes_no_more_than_it_advertises_whatever_the_door_says() -> None:
    async with a_gate(RecordingDoor(size=10**9), Limits(size=1_000)) as gate:
        peer = await (await gate.greet()).at_data()
        peer.send(b"x" * 1_000 + b"\r\n.\r\n")
        assert (await peer.reply()).startswith("552 5.3.4")


async def flood(peer: Peer, octets: int) -> int:
    """Send so much, or until the connection is cut; how much went out."""
    sent = 0
    try:
        while sent < octets:
            peer.send(b"x" * 65_536)
            sent += 65_536
            await peer.drain()
    except ConnectionError:
        pass
    return sent


async def test_a_mail_without_end_is_cut_soon_after_the_limit() -> None:
    async with a_gate(limits=Limits(size=1_000)) as gate:
        peer = await (await gate.greet()).at_data()
        assert await flood(peer, 2**28) < 2**26  # the sockets' buffers hold some of it
        assert await gate.is_empty()
        assert gate.door.mails == []


async def test_a_command_without_end_is_cut() -> None:
    async with a_gate() as gate:
        peer = await gate.greet()
        assert await flood(peer, 2**28) < 2**26
        assert await gate.is_empty()


@pytest.mark.parametrize("octets", [2_048, 2_049, 60_000])
async def test_a_command_line_has_its_length(octets: int) -> None:
    async with a_gate() as gate:
        peer = await gate.greet()
        reply = await peer.say("NOOP " + "x" * (octets - 5))
        assert reply.startswith("250 2.0.0" if octets == 2_048 else "500 5.5.2")
