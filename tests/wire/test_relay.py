"""The relay against real sockets: what goes over the wire, and what every fault at every point of the conversation becomes."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import uvloop

from mailgate.core.relay import CUT, Accepted, Deferred, Outcome, Phase, Refused
from mailgate.smtp.opening import Patience
from tests.fakes import ScriptedRelay
from tests.wire.relay_tools import (
    CONTENT,
    IN_A_HURRY,
    MODES,
    PIPELINING,
    RECIPIENT,
    SENDER,
    Hand,
    a_copy,
    a_hand,
    one_outcome,
)
from tests.wire.scripted_server import Act, ScriptedServer, Step


@pytest.fixture(params=MODES)
def always(request: pytest.FixtureRequest) -> Mapping[str, Step]:
    """A server that takes commands one by one only, and one that announces PIPELINING."""
    return MODES[request.param]


async def test_a_mail_goes_over_the_wire_as_it_was_made(always: Mapping[str, Step]) -> None:
    async with ScriptedServer(always=always).running() as server, a_hand(server) as hand:
        outcome = await hand.over()
    assert outcome == Accepted(code=250, text="2.0.0 taken")
    assert server.said == [["EHLO gate.example", f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{RECIPIENT}>", "DATA", "QUIT"]]
    assert [mail.content for mail in server.taken] == [CONTENT]


@pytest.mark.parametrize("pipelining", [True, False])
async def test_an_envelope_is_said_in_one_write_where_the_server_says_that_it_may_be(pipelining: bool) -> None:
    """RFC 2920. A server that answers nothing before it has heard DATA shows it."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.readuntil(b"\r\n")
        writer.write(b"250-relay.example\r\n250 PIPELINING\r\n" if pipelining else b"250 relay.example\r\n")
        heard.append(await reader.readuntil(b"DATA\r\n" if pipelining else b"\r\n"))
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening, a_hand(ScriptedServer(port=listening.sockets[0].getsockname()[1])) as hand:
        await hand.over()
    assert heard[0].count(b"\r\n") == (3 if pipelining else 1)


@pytest.mark.parametrize(
    "recipient",
    [
        "a..b@docomo.ne.jp",
        ".a@docomo.ne.jp",
        "a.@ezweb.ne.jp",
        "a...b..@ezweb.ne.jp",
        "-a@ezweb.ne.jp",
        "_a__b--@docomo.ne.jp",
        "a/b?c@docomo.ne.jp",
        "a%b&c+t@docomo.ne.jp",
        '"a..b"@docomo.ne.jp',
        "CaseIsKept@docomo.ne.jp",
    ],
)
async def test_a_recipient_is_on_the_wire_exactly_as_in_the_copy(recipient: str, always: Mapping[str, Step]) -> None:
    async with ScriptedServer(always=always).running() as server, a_hand(server) as hand:
        outcome = await hand.over(a_copy(recipient=recipient))
    assert isinstance(outcome, Accepted)
    assert server.said[0][2] == f"RCPT TO:<{recipient}>"


@pytest.mark.parametrize(
    "recipient",
    [
        "a[b@softbank.ne.jp",
        "a,b@x.jp",
        "",
        "a",
        "a@x.jp\r\nRCPT TO:<v@y.jp>",
        "a@x.jp>",
        "<a@x.jp>",
        "a b@x.jp",
        "ユーザ@x.jp",
        "a@x.jp\0",
    ],
)
async def test_what_is_no_address_never_reaches_the_wire(recipient: str) -> None:
    async with ScriptedServer().running() as server, a_hand(server) as hand:
        outcome = await hand.over(a_copy(recipient=recipient))
    assert isinstance(outcome, Refused)
    assert outcome.phase is Phase.INTERNAL
    assert server.said == []


async def test_a_sender_that_is_no_address_never_reaches_the_wire() -> None:
    async with ScriptedServer().running() as server, a_hand(server) as hand:
        outcome = await hand.over(a_copy(sender="b+x@gate.example> SIZE=1"))
    assert outcome == Refused(phase=Phase.INTERNAL, code=None, enhanced=None, text="the envelope is not one that we send")
    assert server.said == []


async def test_a_mail_with_lone_dots_arrives_whole_and_the_next_one_too(always: Mapping[str, Step]) -> None:
    async with ScriptedServer(always=always).running() as server, a_hand(server) as hand:
        await hand.over(a_copy(1, content=b"a\r\n.\r\nQUIT\r\n"))
        await hand.over(a_copy(2))
    assert [mail.content for mail in server.taken] == [b"a\r\n..\r\nQUIT\r\n", CONTENT]


async def test_a_mail_of_a_megabyte_arrives_whole(always: Mapping[str, Step]) -> None:
    """Far more than a socket takes at once."""
    content = b"x" * 76 + b"\r\n"
    async with ScriptedServer(always=always).running() as server, a_hand(server) as hand:
        assert isinstance(await hand.over(a_copy(content=content * 13_000)), Accepted)
    assert [len(mail.content) for mail in server.taken] == [13_000 * 78]


# The protocol points of MR-52 and what each fault there becomes. (script, phase, code, enhanced)
DEFERRED = [
    ({"greeting": ["421 4.3.2 too many"]}, Phase.CONNECT, 421, "4.3.2"),
    ({"greeting": ["554 5.3.2 no mail here"]}, Phase.CONNECT, 554, "5.3.2"),
    ({"greeting": ["nonsense"]}, Phase.CONNECT, None, None),
    ({"greeting": [Act.HANG_UP]}, Phase.CONNECT, None, None),
    ({"greeting": [Act.RESET]}, Phase.CONNECT, None, None),
    ({"EHLO": ["421 4.3.2 closing"]}, Phase.EHLO, None, None),
    ({"EHLO": ["502 what?"], "HELO": ["550 5.7.1 go away"]}, Phase.EHLO, 550, "5.7.1"),
    ({"EHLO": [Act.HANG_UP]}, Phase.EHLO, None, None),
    ({"EHLO": [Act.RESET]}, Phase.EHLO, None, None),
    ({"MAIL": ["421 4.3.2 closing"]}, Phase.MAIL, 421, "4.3.2"),
    ({"MAIL": ["452 4.3.1 disk full"]}, Phase.MAIL, 452, "4.3.1"),
    ({"MAIL": ["530 5.7.0 must issue STARTTLS first"]}, Phase.MAIL, 530, "5.7.0"),
    ({"MAIL": [Act.HANG_UP]}, Phase.MAIL, None, None),
    ({"MAIL": [Act.RESET]}, Phase.MAIL, None, None),
    ({"MAIL": ["two hundred and fifty"]}, Phase.MAIL, None, None),
    ({"MAIL": ["354 eh?"]}, Phase.MAIL, 354, None),
    ({"MAIL": ["250 ok(hang up)"]}, Phase.RCPT, None, None),
    ({"RCPT": ["450 4.2.0 greylisted"]}, Phase.RCPT, 450, "4.2.0"),
    ({"RCPT": ["451 later"]}, Phase.RCPT, 451, None),
    ({"RCPT": ["421 4.7.0 slow down(hang up)"]}, Phase.RCPT, 421, "4.7.0"),
    ({"RCPT": ["503 5.5.1 MAIL first"]}, Phase.RCPT, 503, "5.5.1"),
    ({"RCPT": [Act.RESET]}, Phase.RCPT, None, None),
    ({"RCPT": ["999 what"]}, Phase.RCPT, None, None),
    ({"DATA": ["451 4.3.0 not now"]}, Phase.DATA, 451, "4.3.0"),
    ({"DATA": ["250 ok"]}, Phase.DATA, 250, None),
    ({"DATA": [Act.HANG_UP]}, Phase.DATA, None, None),
    ({"DATA": [Act.RESET]}, Phase.DATA, None, None),
    ({"DATA": ["354 go on\r\n250 2.0.0 taken"]}, Phase.DATA, None, None),
    ({"DATA": ["354 go on(hang up)"]}, Phase.EOD, None, None),
    ({"eod": ["452 4.2.2 mailbox full"]}, Phase.EOD, 452, "4.2.2"),
    ({"eod": ["421 4.3.2 closing(hang up)"]}, Phase.EOD, 421, "4.3.2"),
    ({"eod": [Act.HANG_UP]}, Phase.EOD, None, None),
    ({"eod": [Act.RESET]}, Phase.EOD, None, None),
    ({"eod": ["354 more?"]}, Phase.EOD, 354, None),
    ({"eod": ["x" * 40_000]}, Phase.EOD, None, None),
]


@pytest.mark.parametrize("script, phase, code, enhanced", DEFERRED)
async def test_a_fault_that_may_pass_is_deferred(
    script: Mapping[str, Sequence[Step]], phase: Phase, code: int | None, enhanced: str | None, always: Mapping[str, Step]
) -> None:
    outcome = await one_outcome(script, always=always)
    assert isinstance(outcome, Deferred)
    assert (outcome.phase, outcome.code, outcome.enhanced) == (phase, code, enhanced)


REFUSED = [
    ({"MAIL": ["550 5.7.1 sender not wanted"]}, Phase.MAIL, 550, "5.7.1"),
    ({"RCPT": ["550 5.1.1 no such user"]}, Phase.RCPT, 550, "5.1.1"),
    ({"RCPT": ["501 5.1.3 bad address"]}, Phase.RCPT, 501, "5.1.3"),
    ({"RCPT": ["552 too much mail data"]}, Phase.RCPT, 552, None),
    ({"DATA": ["554 5.5.1 no valid recipients"]}, Phase.DATA, 554, "5.5.1"),
    ({"eod": ["550 Unknown user"]}, Phase.EOD, 550, None),
    ({"eod": ["554-5.7.1 spam\r\n554 5.7.1 says who?"]}, Phase.EOD, 554, "5.7.1"),
    ({"eod": ["500 Line too long"]}, Phase.EOD, 500, None),
]


@pytest.mark.parametrize("script, phase, code, enhanced", DEFERRED)
def test_on_the_loop_of_production_it_is_the_same(
    script: Mapping[str, Sequence[Step]], phase: Phase, code: int | None, enhanced: str | None
) -> None:
    """The transports of uvloop are taken over from the library too, and end in other ways."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(one_outcome(script, always=PIPELINING))
    assert isinstance(outcome, Deferred)
    assert (outcome.phase, outcome.code, outcome.enhanced) == (phase, code, enhanced)


@pytest.mark.parametrize("script, phase, code, enhanced", REFUSED)
async def test_a_refusal_of_the_copy_is_refused(
    script: Mapping[str, Sequence[Step]], phase: Phase, code: int | None, enhanced: str | None, always: Mapping[str, Step]
) -> None:
    outcome = await one_outcome(script, always=always)
    assert isinstance(outcome, Refused)
    assert (outcome.phase, outcome.code, outcome.enhanced) == (phase, code, enhanced)


async def test_no_content_is_sent_for_a_refused_recipient(always: Mapping[str, Step]) -> None:
    """Even if DATA is answered by 354: then a lone dot ends a mail to nobody (RFC 2920 section 3.1)."""
    async with ScriptedServer({"RCPT": ["550 no"]}, always).running() as server, a_hand(server, connections=1) as hand:
        assert isinstance(await hand.over(a_copy(1)), Refused)
        assert isinstance(await hand.over(a_copy(2)), Accepted)
    assert [mail.content for mail in server.taken if mail.content] == [CONTENT]
    assert len(server.said) == 1


SILENT = {
    "greeting": Phase.CONNECT,
    "EHLO": Phase.EHLO,
    "MAIL": Phase.MAIL,
    "RCPT": Phase.RCPT,
    "DATA": Phase.DATA,
    "eod": Phase.EOD,
}


@pytest.mark.parametrize("name, phase", SILENT.items())
async def test_silence_is_deferred_when_patience_ends(name: str, phase: Phase, always: Mapping[str, Step]) -> None:
    outcome = await one_outcome({name: [Act.SILENCE]}, always=always, patience=IN_A_HURRY)
    assert isinstance(outcome, Deferred)
    assert outcome.phase is phase


async def test_nobody_listening_is_deferred() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        async with a_hand(ScriptedServer(port=reserved.getsockname()[1])) as hand:
            outcome = await hand.over()
    assert isinstance(outcome, Deferred)
    assert outcome.phase is Phase.CONNECT


def test_the_final_dot_is_waited_for_ten_minutes() -> None:
    assert Patience().final_dot >= 600


async def test_the_final_dot_is_waited_for_longer_than_a_command(always: Mapping[str, Step]) -> None:
    """One timer serves both: the one that was set for the command must not end the wait for the other."""
    patience = Patience(command=0.3, final_dot=20)
    async with ScriptedServer({"eod": [Act.SILENCE]}, always).running() as server, a_hand(server, patience=patience) as hand:
        outcome = hand.give(a_copy())
        await server.heard("DATA")
        for _ in range(8):
            await asyncio.sleep(0.1)
        assert not outcome.done()
        await hand.close(0)


async def test_replies_of_several_lines_are_read_as_one(always: Mapping[str, Step]) -> None:
    script = {"MAIL": ["250-one\r\n250-two\r\n250 three"], "eod": ["250-2.0.0 taken\r\n250 2.0.0 as 77"]}
    assert await one_outcome(script, always=always) == Accepted(code=250, text="2.0.0 taken 2.0.0 as 77")


async def test_a_reply_in_pieces_is_read_as_one() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        replies = ["220 hello", "250 ok", "250 ok", "250 ok", "354 go on", "250-2.0.0 ta\r\n250 ken", "221 bye"]
        for reply in replies:
            for octet in f"{reply}\r\n".encode():
                writer.write(bytes([octet]))
                await asyncio.sleep(0)
            await reader.readuntil(b"\r\n.\r\n" if reply.startswith("354") else b"\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, a_hand(ScriptedServer(port=server.sockets[0].getsockname()[1])) as hand:
        assert await hand.over() == Accepted(code=250, text="2.0.0 ta ken")


async def test_a_yes_before_the_content_has_left_is_not_believed() -> None:
    """A server that says 354, and 250 a little later, without having read anything."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in ["220 hello", "250-relay\r\n250 PIPELINING", "250 ok\r\n250 ok\r\n354 go on"]:
            writer.write(f"{reply}\r\n".encode())
            await reader.readuntil(b"\r\n")
        reader._transport.pause_reading()  # type: ignore[attr-defined]  # it has no other way to stop reading
        await asyncio.sleep(0.1)
        writer.write(b"250 2.0.0 taken\r\n")
        await over.wait()
        writer.transport.abort()

    over = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1000)
    async with server, a_hand(ScriptedServer(port=server.sockets[0].getsockname()[1])) as hand:
        outcome = await hand.over(a_copy(content=(b"x" * 76 + b"\r\n") * 200_000))
        over.set()
    assert outcome == Deferred(phase=Phase.EOD, code=250, enhanced="2.0.0", text="2.0.0 taken")


async def test_a_reply_is_kept_without_the_address_it_quotes(always: Mapping[str, Step]) -> None:
    outcome = await one_outcome({"RCPT": [f"550 5.1.1 <{RECIPIENT}>: hanako.yamada is unknown"]}, always=always)
    assert outcome == Refused(phase=Phase.RCPT, code=550, enhanced="5.1.1", text="5.1.1 <***>: *** is unknown")


# SIZE


@pytest.mark.parametrize("announced, is_taken", [("20", False), ("21", True), ("0", True), ("", True), ("plenty", True), ("-1", True)])
@pytest.mark.parametrize("overlap", [True, False])
async def test_a_mail_larger_than_the_server_takes_is_refused_without_a_word(announced: str, is_taken: bool, overlap: bool) -> None:
    """RFC 1870. The next mail goes on over the same connection."""
    always: dict[str, Step] = {"EHLO": f"250-relay.example\r\n250-PIPELINING\r\n250 SIZE {announced}".rstrip()}
    small = b"\r\n"
    async with ScriptedServer(always=always).running() as server, a_hand(server, connections=1, overlap=overlap) as hand:
        outcomes = await asyncio.gather(
            *[hand.give(a_copy(number, content=content)) for number, content in enumerate([CONTENT[:21], small, CONTENT[:21], small])]
        )
    size = len(CONTENT[:21])
    assert size == 21
    if is_taken:
        assert [type(outcome) for outcome in outcomes] == [Accepted] * 4
    else:
        refusal = Refused(phase=Phase.INTERNAL, code=None, enhanced="5.3.4", text="the mail has 21 octets and the server takes 20")
        assert [outcomes[0], outcomes[2]] == [refusal] * 2
        assert [mail.content for mail in server.taken] == [small] * 2
    assert len(server.said) == 1


# Two writings of odd dots (MR-54)

PLAIN, QUOTED = "a..b@docomo.ne.jp", '"a..b"@docomo.ne.jp'


def asked(server: ScriptedServer) -> list[str]:
    """The recipients as they were on the wire."""
    return [command.removeprefix("RCPT TO:<").removesuffix(">") for said in server.said for command in said if command.startswith("RCPT")]


@pytest.mark.parametrize("answer", ["501 5.1.3 bad address", "553 not a mailbox", "550 5.1.3 bad destination syntax", "501 what?"])
@pytest.mark.parametrize("written, other", [(PLAIN, QUOTED), (QUOTED, PLAIN)])
async def test_odd_dots_refused_in_one_writing_go_in_the_other(
    answer: str, written: str, other: str, always: Mapping[str, Step]
) -> None:
    async with ScriptedServer({"RCPT": [answer]}, always).running() as server, a_hand(server) as hand:
        assert isinstance(await hand.over(a_copy(recipient=written)), Accepted)
        assert asked(server) == [written, other]
        for recipient in (written, other, "a.b@docomo.ne.jp", '"a.b"@docomo.ne.jp', ".c@docomo.ne.jp"):
            await hand.over(a_copy(recipient=recipient))
    quotes = other == QUOTED
    assert asked(server)[2:] == [
        other, other, "a.b@docomo.ne.jp", '"a.b"@docomo.ne.jp', '".c"@docomo.ne.jp' if quotes else ".c@docomo.ne.jp",
    ]  # fmt: skip
    assert len(server.said) == 1


async def test_odd_dots_that_no_writing_helps_are_refused_after_two(always: Mapping[str, Step]) -> None:
    script = {"RCPT": ["501 5.1.3 no", "553 5.1.3 no and no"]}
    async with ScriptedServer(script, always).running() as server, a_hand(server) as hand:
        outcome = await hand.over(a_copy(recipient=PLAIN))
        assert outcome == Refused(phase=Phase.RCPT, code=553, enhanced="5.1.3", text="5.1.3 no and no")
        await hand.over(a_copy(recipient=PLAIN))
    assert asked(server) == [PLAIN, QUOTED, PLAIN]


async def test_what_was_learnt_is_unlearnt_when_it_does_not_work_any_more(always: Mapping[str, Step]) -> None:
    script = {"RCPT": ["501 no", "250 ok", "501 no", "250 ok", "250 ok"]}
    async with ScriptedServer(script, always).running() as server, a_hand(server) as hand:
        for _ in range(3):
            assert isinstance(await hand.over(a_copy(recipient=PLAIN)), Accepted)
    assert asked(server) == [PLAIN, QUOTED, QUOTED, PLAIN, PLAIN]


@pytest.mark.parametrize("answer", ["550 5.1.1 no such user", "450 4.2.0 later", "554 5.7.1 no"])
async def test_odd_dots_refused_for_another_reason_are_not_rewritten(answer: str, always: Mapping[str, Step]) -> None:
    async with ScriptedServer({"RCPT": [answer]}, always).running() as server, a_hand(server) as hand:
        await hand.over(a_copy(recipient=PLAIN))
    assert asked(server) == [PLAIN]


@pytest.mark.parametrize("recipient", [RECIPIENT, "-a@ezweb.ne.jp"])
async def test_ordinary_dots_refused_are_refused(recipient: str, always: Mapping[str, Step]) -> None:
    async with ScriptedServer({"RCPT": ["501 5.1.3 bad address"]}, always).running() as server, a_hand(server) as hand:
        assert isinstance(await hand.over(a_copy(recipient=recipient)), Refused)
    assert asked(server) == [recipient]


async def test_the_first_refusal_stands_when_there_is_no_second_try(always: Mapping[str, Step]) -> None:
    script: dict[str, list[Step]] = {"RCPT": ["501 5.1.3 bad address"], "RSET": [Act.HANG_UP], "eod": [Act.HANG_UP]}
    outcome = await one_outcome_of_odd_dots(script, always)
    assert outcome == Refused(phase=Phase.RCPT, code=501, enhanced="5.1.3", text="5.1.3 bad address")


async def one_outcome_of_odd_dots(script: Mapping[str, Sequence[Step]], always: Mapping[str, Step]) -> Outcome:
    async with ScriptedServer(script, always).running() as server, a_hand(server) as hand:
        return await hand.over(a_copy(recipient=PLAIN))


async def test_odd_dots_refused_behind_a_content_are_rewritten_too() -> None:
    script = {"RCPT": ["250 ok", "501 no"]}
    async with ScriptedServer(script, PIPELINING).running() as server, a_hand(server, connections=1, overlap=True) as hand:
        copies = [a_copy(1), a_copy(2, recipient=PLAIN), a_copy(3)]
        outcomes = await asyncio.gather(*[hand.give(copy) for copy in copies])
    assert [type(outcome) for outcome in outcomes] == [Accepted] * 3
    assert asked(server) == [RECIPIENT, PLAIN, QUOTED, RECIPIENT]


# Overlap


async def test_the_next_envelope_goes_out_behind_a_content_where_that_is_set(always: Mapping[str, Step]) -> None:
    async with ScriptedServer(always=always).running() as server, a_hand(server, connections=1, overlap=True) as hand:
        copies = [a_copy(number, content=b"%d\r\n" % number) for number in range(5)]
        outcomes = await asyncio.gather(*[hand.give(copy) for copy in copies])
    assert [type(outcome) for outcome in outcomes] == [Accepted] * 5
    assert [mail.content for mail in server.taken] == [b"%d\r\n" % number for number in range(5)]
    assert len(server.said) == 1


@pytest.mark.parametrize("overlap", [True, False])
async def test_it_does_not_where_that_is_not_set(overlap: bool) -> None:
    """A server that looks what has come before it answers the content."""
    behind: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError):  # the second copy is cut off at the end
            for reply in ["220 hello", "250-relay\r\n250 PIPELINING", "250 ok\r\n250 ok\r\n354 go on"]:
                writer.write(f"{reply}\r\n".encode())
                await reader.readuntil(b"DATA\r\n" if "PIPELINING" in reply else b"\r\n.\r\n" if "354" in reply else b"\r\n")
            behind.append(bytes(reader._buffer))  # type: ignore[attr-defined]  # it has no other way to look without waiting

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, a_hand(ScriptedServer(port=server.sockets[0].getsockname()[1]), connections=1, overlap=overlap) as hand:
        first, _ = hand.give(a_copy(1)), hand.give(a_copy(2))
        await first
        await hand.close(0)
    assert behind[0].count(b"\r\n") == (3 if overlap else 0)


# Faults of ours


class Evil(bytes):
    """Content that makes whoever sends it stumble."""

    def startswith(self, *_: Any) -> bool:
        raise RuntimeError("of ours: hanako@docomo.example")


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_an_exception_of_ours_comes_back_with_its_copy_and_the_next_goes_on(
    always: Mapping[str, Step], loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(an_exception_of_ours(always))


async def an_exception_of_ours(always: Mapping[str, Step]) -> None:
    async with ScriptedServer(always=always).running() as server, a_hand(server, connections=1) as hand:
        outcome = await hand.over(a_copy(1, content=Evil(CONTENT)))
        assert outcome == Deferred(phase=Phase.INTERNAL, code=None, enhanced=None, text="RuntimeError")
        assert isinstance(await hand.over(a_copy(2)), Accepted)
    assert len(server.taken) == 1


@pytest.mark.parametrize("kind", ["real", "scripted"])
async def test_the_fake_relay_keeps_the_promises_of_the_real_one(kind: str) -> None:
    later = Deferred(phase=Phase.RCPT, code=450, enhanced=None, text="later")
    never = Refused(phase=Phase.RCPT, code=550, enhanced=None, text="no")
    script: dict[str, list[Step]] = {"RCPT": ["450 later", "550 no"]}
    always: dict[str, Step] = {"eod": "250 2.0.0 ok"}
    async with ScriptedServer(script, always).running() as server, a_hand(server, connections=3) as real:
        hand = real if kind == "real" else Hand(ScriptedRelay([later, never], connections=3))
        assert [await hand.over(a_copy(number)) for number in range(3)] == [later, never, Accepted(code=250, text="2.0.0 ok")]
        several = [hand.give(a_copy(number)) for number in range(20)]
        assert len(hand.taken) - len(hand.outcomes) == 3  # as many as it has connections, at once, and no more
        assert [type(await outcome) for outcome in several] == [Accepted] * 20
        await hand.close()
        left = hand.give(a_copy(99))
        await hand.close(0)
        assert not left.done()  # it takes nothing any more
        assert isinstance(hand._relay, ScriptedRelay if kind == "scripted" else object)


@pytest.mark.parametrize("kind", ["real", "scripted"])
async def test_what_does_not_end_within_the_grace_is_cut_off_by_both(kind: str) -> None:
    async with ScriptedServer(always={"eod": Act.SILENCE}).running() as server, a_hand(server) as real:
        scripted = ScriptedRelay()
        scripted.hold()
        hand = real if kind == "real" else Hand(scripted)
        outcome = hand.give(a_copy())
        if kind == "real":
            await server.heard("DATA")
        await hand.close(0.05)
        assert await outcome is CUT
