import asyncio
import ssl
from pathlib import Path

import pytest
import uvloop

from mailgate.smtp.listener import Limits
from mailgate.smtp.tls import server_context
from tests.wire.listener_tools import BOX, MOMENT_S, a_gate, write_certificate


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return server_context(*write_certificate(tmp_path_factory.mktemp("tls")))


def test_old_versions_of_tls_are_not_spoken(context: ssl.SSLContext) -> None:
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_certificate_that_cannot_be_read_is_found_at_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        server_context(tmp_path / "none.pem", tmp_path / "none.key")


async def test_a_mail_comes_in_by_tls(context: ssl.SSLContext) -> None:
    async with a_gate(tls=context) as gate:
        peer = await gate.connect()
        await peer.reply()
        assert (await peer.say("EHLO a")).endswith("250 STARTTLS")
        assert await peer.say("STARTTLS") == "220 2.0.0 Ready to start TLS"
        await peer.secure()
        features = await peer.say("EHLO a")
        assert "STARTTLS" not in features
        assert "AUTH" not in features
        assert (await peer.say("AUTH PLAIN AGEAYg==")).startswith("502 5.5.1")
        assert (await peer.say("STARTTLS")).startswith("503 5.5.1")
        await peer.at_data()
        peer.send(b"x" * 300_000 + b"\r\n.\r\n")
        assert (await peer.reply()).startswith("250 2.0.0")
        assert (await peer.say("QUIT")).startswith("221 2.0.0")
        await peer.leave()
        assert await gate.is_empty()
        assert len(gate.door.mails[0].content) == 300_002


async def test_after_starttls_everything_begins_anew(context: ssl.SSLContext) -> None:
    async with a_gate(tls=context) as gate:
        peer = await gate.greet()
        await peer.say("MAIL FROM:<a@docomo.ne.jp>")
        await peer.say(f"RCPT TO:<{BOX}>")
        await peer.say("STARTTLS")
        await peer.secure()
        assert (await peer.say("DATA")).startswith("503 5.5.1")
        assert (await peer.say("MAIL FROM:<a@docomo.ne.jp>")).startswith("503 5.5.1")
        await peer.say("EHLO a")
        assert (await peer.say(f"RCPT TO:<{BOX}>")).startswith("503 5.5.1")
        await peer.at_data()


@pytest.mark.parametrize(
    "injected",
    [b"NOOP\r\n", b"EHLO evil\r\nMAIL FROM:<evil@example.jp>\r\n", b"EHLO evil\r\nMAIL FROM:<", b"NOOP\r\n" * 20_000],
    ids=["a command", "an envelope", "half a command", "very much"],
)
async def test_what_was_sent_in_the_clear_behind_starttls_is_dropped(context: ssl.SSLContext, injected: bytes) -> None:
    async with a_gate(tls=context, limits=Limits(idle_s=2)) as gate:
        peer = await gate.greet()
        peer.send(b"STARTTLS\r\n" + injected)
        await peer.drain()
        assert (await peer.reply()).startswith("220 2.0.0")
        try:
            await peer.secure()
        except (OSError, asyncio.IncompleteReadError):
            pass  # what came too late for the buffer is no TLS: the handshake fails, which is as good
        else:
            assert (await peer.say("RSET")).startswith("250 2.0.0")
            assert (await peer.say("MAIL FROM:<a@docomo.ne.jp>")).startswith("503 5.5.1")
            await peer.say("EHLO a")
            await peer.at_data()
        await peer.leave()
        assert await gate.is_empty()
        assert gate.door.mails == []


@pytest.mark.parametrize("ending", ["leave", "vanish", "half_close"])
async def test_who_vanishes_in_the_handshake_gives_back_the_seat(context: ssl.SSLContext, ending: str) -> None:
    async with a_gate(tls=context, limits=Limits(connections=1)) as gate:
        peer = await gate.greet()
        await peer.say("STARTTLS")
        if ending == "half_close":
            peer.half_close()
        else:
            await getattr(peer, ending)()
        assert await gate.is_empty()
        await gate.greet()


async def test_who_speaks_no_tls_after_starttls_is_cut(context: ssl.SSLContext) -> None:
    async with a_gate(tls=context) as gate:
        peer = await gate.greet()
        await peer.say("STARTTLS")
        peer.send(b"EHLO in the clear\r\n")
        await gate.is_empty()


async def test_who_dawdles_in_the_handshake_is_cut(context: ssl.SSLContext) -> None:
    async with a_gate(tls=context, limits=Limits(idle_s=MOMENT_S)) as gate:
        peer = await gate.greet()
        await peer.say("STARTTLS")
        assert await gate.is_empty()


@pytest.mark.parametrize("ending", ["leave", "vanish"])
async def test_a_mail_that_breaks_off_inside_tls_never_happened(
    context: ssl.SSLContext, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_gate(tls=context) as gate:
        peer = await gate.greet()
        await peer.say("STARTTLS")
        await peer.secure()
        await peer.say("EHLO a")
        await peer.at_data()
        peer.send(b"Subject: a\r\n\r\n.\r")
        await getattr(peer, ending)()
        assert await gate.is_empty()
        assert gate.door.mails == []
    assert caplog.records == []  # asyncio has nothing to complain of either


@pytest.mark.parametrize("said", [b"", b"NOOP\r\n", b"QUIT\r\n"])
async def test_who_is_deaf_inside_tls_does_not_keep_the_seat(context: ssl.SSLContext, said: bytes) -> None:
    """TLS would wait half a minute for the other side's farewell."""
    async with a_gate(tls=context, limits=Limits(idle_s=MOMENT_S, linger_s=MOMENT_S)) as gate:
        peer = await gate.greet()
        await peer.say("STARTTLS")
        await peer.secure()
        peer.deafen()
        peer.send(said)
        assert await gate.is_empty()


async def test_a_conversation_inside_tls_may_be_closed_twice(context: ssl.SSLContext) -> None:
    """As after a flood: once with the last reply, once when the command loop ends. asyncio's transport would lose its other half."""
    async with a_gate(tls=context, limits=Limits(linger_s=MOMENT_S)) as gate:
        peer = await gate.greet()
        await peer.say("STARTTLS")
        await peer.secure()
        await peer.say("EHLO a")
        peer.deafen()
        (conversation,) = gate.listener._seats
        conversation._close()
        conversation._close()
        assert await gate.is_empty()


async def test_a_stop_reaches_peers_inside_tls(context: ssl.SSLContext) -> None:
    async with a_gate(tls=context) as gate:
        peer = await gate.greet()
        await peer.say("STARTTLS")
        await peer.secure()
        await peer.say("EHLO a")
        closing = asyncio.create_task(gate.listener.close(grace_s=5))
        assert (await peer.reply()).startswith("421 4.3.2")
        await peer.leave()
        await closing
        assert gate.listener.seats_taken == 0


def test_the_same_is_so_on_uvloop(context: ssl.SSLContext) -> None:
    """The loop that serves in production has transports of its own."""

    async def scenario() -> None:
        async with a_gate(tls=context, limits=Limits(connections=2, idle_s=5)) as gate:
            peers = [await gate.greet() for _ in range(2)]
            assert (await (await gate.connect()).reply()).startswith("421 4.7.0")
            for peer in peers:
                assert (await peer.say("STARTTLS")).startswith("220 2.0.0")
            await peers[0].vanish()
            await peers[1].secure()
            await peers[1].say("EHLO a")
            await peers[1].at_data()
            peers[1].send(b"x" * 100_000 + b"\r\n.\r\n")
            assert (await peers[1].reply()).startswith("250 2.0.0")
            await peers[1].leave()
            assert await gate.is_empty()
            assert len(gate.door.mails) == 1
            await gate.greet()  # and leaves in the very moment of the stop

    uvloop.run(scenario())
