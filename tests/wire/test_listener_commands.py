import inspect
import logging
import re

import pytest
from aiosmtpd import smtp as aiosmtpd_smtp

from mailgate.smtp import replies
from mailgate.smtp.commands import Commands
from mailgate.smtp.conversation import _COMMANDS, Conversation
from mailgate.smtp.hooks import Hooks
from mailgate.smtp.replies import Reply
from tests.wire.listener_tools import BOX, DOMAIN, NOON, RecordingDoor, a_gate

TABLE = {name: value for name, value in vars(replies).items() if isinstance(value, Reply)}


def test_every_hook_has_a_name_that_aiosmtpd_calls() -> None:
    source = inspect.getsource(aiosmtpd_smtp)
    known = set(re.findall(r"""(?:_call_handler_hook|_handle_hooks\.get)\(\s*["'](\w+)["']""", source)) | {"exception"}
    ours = {name.removeprefix("handle_") for name in dir(Hooks) if name.startswith("handle_")}
    assert {"MAIL", "RCPT", "DATA", "exception"} <= known
    assert ours == {"MAIL", "RCPT", "exception"}
    assert ours <= known


def test_what_is_replaced_of_aiosmtpd_is_there_to_be_replaced() -> None:
    base = aiosmtpd_smtp.SMTP
    ours = {name for name in (vars(Conversation) | vars(Commands)) if name.startswith("smtp_")}
    replaced = {"_getaddr", "_handle_client", "_timeout_cb", "push", "connection_lost", "eof_received"}
    assert ours == {f"smtp_{name}" for name in ("HELO", "EHLO", "DATA", "STARTTLS", "VRFY", "EXPN", "HELP", "AUTH")}
    assert replaced <= set(vars(Conversation))
    assert ours | replaced <= set(dir(base))


def test_every_command_of_aiosmtpd_is_in_our_table_and_none_is_searched_for() -> None:
    """Its search through all names took a third of a millisecond for each connection."""
    assert {f"smtp_{name}" for name in _COMMANDS} == {name for name in dir(aiosmtpd_smtp.SMTP) if name.startswith("smtp_")}
    assert dir(object.__new__(Conversation)) == []
    assert dir(object.__new__(Hooks)) == ["handle_MAIL", "handle_RCPT", "handle_exception"]


@pytest.mark.parametrize("name", TABLE)
def test_a_reply_has_an_enhanced_code_of_its_own_class(name: str) -> None:
    reply = TABLE[name]
    if reply.code == 354:
        return
    code, status, text = reply.split(" ", 2)
    assert re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", status)
    assert status[0] == code[0]
    assert text.isascii()
    assert len(reply) <= 510  # RFC 5321 section 4.5.3.1.5


@pytest.mark.parametrize("said", ["500 Error: (RuntimeError) secret path", "999 what", "", "words", b"250 OK"])
def test_no_word_of_aiosmtpd_leaves(said: str | bytes) -> None:
    assert replies.leaving(said) in TABLE.values()


async def test_a_mail_goes_its_way_and_all_of_it_is_told_to_the_door() -> None:
    async with a_gate() as gate:
        peer = await gate.connect()
        assert await peer.reply() == f"220 {DOMAIN} ESMTP"
        assert await peer.say("EHLO phone.example.jp") == "\n".join(
            [
                f"250-{DOMAIN}",
                "250-SIZE 15728640",
                "250-8BITMIME",
                "250-PIPELINING",
                "250 ENHANCEDSTATUSCODES",
            ]
        )
        assert await peer.say("mail from:<hahaoya@docomo.ne.jp> BODY=8BITMIME SIZE=100") == "250 2.1.0 Sender OK"
        assert await peer.say(f"rcpt to: <{BOX}>") == "250 2.1.5 Recipient OK"
        assert (await peer.say("data")).startswith("354 ")
        assert await peer.say("Subject: \r\n\r\n.") == "250 2.0.0 Accepted: it is kept"
        assert await peer.say("QUIT") == "221 2.0.0 Goodbye"
        assert await peer.has_ended()
        (mail,) = gate.door.mails
        assert (mail.peer, mail.received_at, mail.content) == ("127.0.0.1", NOON, b"Subject: \r\n\r\n")
        assert gate.door.asked == [(mail.sender, mail.recipients)]


async def test_helo_is_enough() -> None:
    async with a_gate() as gate:
        peer = await gate.connect()
        await peer.reply()
        assert await peer.say("HELO old.example.jp") == f"250 {DOMAIN}"
        assert (await peer.say("MAIL FROM:<a@docomo.ne.jp> SIZE=1")).startswith("501 5.5.4")
        await peer.at_data()


async def test_several_mails_go_over_one_connection() -> None:
    async with a_gate() as gate:
        peer = await gate.greet()
        for number in range(3):
            await peer.at_data(sender=f"a{number}@docomo.ne.jp")
            assert (await peer.say(".")).startswith("250 2.0.0")
        assert len(gate.door.mails) == 3


async def test_a_whole_conversation_may_be_sent_ahead() -> None:
    async with a_gate() as gate:
        peer = await gate.connect()
        mail = f"MAIL FROM:<a@docomo.ne.jp>\r\nRCPT TO:<{BOX}>\r\nRCPT TO:<x@{DOMAIN}>\r\nDATA\r\nfirst\r\n.\r\n"
        peer.send(f"EHLO a\r\n{mail}{mail.replace('first', 'second')}QUIT\r\n".encode())
        codes = [(await peer.reply())[:3] for _ in range(13)]
        assert codes == ["220", "250", *["250", "250", "550", "354", "250"] * 2, "221"]
        assert [mail.content for mail in gate.door.mails] == [b"first\r\n", b"second\r\n"]


async def test_who_sends_all_and_says_no_more_still_hears_the_answers() -> None:
    async with a_gate() as gate:
        peer = await gate.connect()
        peer.send(f"EHLO a\r\nMAIL FROM:<a@docomo.ne.jp>\r\nRCPT TO:<{BOX}>\r\nDATA\r\nx\r\n.\r\n".encode())
        peer.half_close()
        assert [(await peer.reply())[:3] for _ in range(6)] == ["220", "250", "250", "250", "354", "250"]
        assert await peer.has_ended()


REFUSED = [
    ("MAIL", "501 5.5.4"),
    ("MAIL TO:<a@docomo.ne.jp>", "501 5.5.4"),
    ("MAIL FROM:<a@docomo.ne.jp> SIZE=x", "501 5.5.4"),
    ("MAIL FROM:<a@docomo.ne.jp> SIZE", "501 5.5.4"),
    ("MAIL FROM:<a@docomo.ne.jp> BODY=BINARYMIME", "501 5.5.4"),
    ("MAIL FROM:<a@docomo.ne.jp> SMTPUTF8", "501 5.5.4"),
    ("MAIL FROM:<a@docomo.ne.jp> RET=FULL", "555 5.5.4"),
    ("MAIL FROM:<a@docomo.ne.jp> AUTH=<>", "555 5.5.4"),
    ("RCPT TO:<touroku@gate.example.jp>", "503 5.5.1"),
    ("DATA", "503 5.5.1"),
    ("EHLO", "501 5.5.4"),
    ("HELO", "501 5.5.4"),
    ("EXPN guardians", "502 5.5.1"),
    ("AUTH PLAIN AGEAYg==", "502 5.5.1"),
    ("STARTTLS", "454 4.7.0"),
    ("STARTTLS now", "501 5.5.4"),
    ("BDAT 3 LAST", "500 5.5.2"),
    ("XCLIENT ADDR=192.0.2.1", "500 5.5.2"),
    ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2", "500 5.5.2"),
    ("GET / HTTP/1.1", "500 5.5.2"),
    ("", "500 5.5.2"),
    ("\x82\xa0", "500 5.5.2"),
    ("RSET now", "501 5.5.4"),
    ("QUIT now", "501 5.5.4"),
    ("NOOP " + "x" * 2_100, "500 5.5.2"),
]


@pytest.mark.parametrize("line, expected", REFUSED)
async def test_what_is_not_understood_gets_its_code_and_the_conversation_goes_on(line: str, expected: str) -> None:
    async with a_gate() as gate:
        peer = await gate.greet()
        assert (await peer.say(line)).startswith(expected)
        assert (await peer.say("NOOP")).startswith("250 2.0.0")
        await peer.at_data()


@pytest.mark.parametrize("line", ["MAIL FROM:<a@docomo.ne.jp>", f"RCPT TO:<{BOX}>", "DATA"])
async def test_who_does_not_greet_is_not_served(line: str) -> None:
    async with a_gate() as gate:
        peer = await gate.connect()
        await peer.reply()
        assert (await peer.say(line)).startswith("503 5.5.1")


async def test_the_order_of_commands_is_kept() -> None:
    async with a_gate() as gate:
        peer = await gate.greet()
        await peer.say("MAIL FROM:<a@docomo.ne.jp>")
        assert (await peer.say("MAIL FROM:<b@docomo.ne.jp>")).startswith("503 5.5.1")
        await peer.say(f"RCPT TO:<{BOX}>")
        assert (await peer.say("DATA now")).startswith("501 5.5.4")
        assert (await peer.say("RSET")).startswith("250 2.0.0")
        assert (await peer.say("DATA")).startswith("503 5.5.1")
        await peer.say("MAIL FROM:<a@docomo.ne.jp>")
        await peer.say("EHLO again.example.jp")
        assert (await peer.say(f"RCPT TO:<{BOX}>")).startswith("503 5.5.1")


@pytest.mark.parametrize("name", ["touroku", "nobody", "postmaster", "", "<touroku@gate.example.jp>"])
@pytest.mark.parametrize("command", ["VRFY", "EXPN", "HELP"])
async def test_nobody_learns_who_is_here_or_what_runs_here(command: str, name: str) -> None:
    async with a_gate() as gate:
        peer = await gate.greet()
        reply = await peer.say(f"{command} {name}")
        assert reply == {"VRFY": replies.NOT_VERIFIED, "EXPN": replies.NOT_IMPLEMENTED, "HELP": replies.HELP}[command]


@pytest.mark.parametrize(
    "octets", [b"NOOP\n", b"NOOP\nNOOP\r\n", b"MAIL FROM:<a@docomo.ne.jp>\nRCPT TO:<b@docomo.ne.jp>\r\n", b"\n"]
)
async def test_a_bare_line_feed_ends_no_command_but_the_conversation(octets: bytes) -> None:
    async with a_gate() as gate:
        peer = await gate.greet()
        peer.send(octets + b"NOOP\r\n")
        assert await peer.reply() == "521 5.5.2 Lines end with <CR><LF>"
        assert await peer.has_ended()


async def test_a_bare_carriage_return_ends_nothing() -> None:
    async with a_gate() as gate:
        peer = await gate.greet()
        assert (await peer.say(b"RSET\rNOOP")).startswith("500 5.5.2")
        assert (await peer.say(b"MAIL FROM:<a@docomo.ne.jp>\rRCPT")).startswith("553 5.1.3")


async def test_aiosmtpd_writes_no_address_to_any_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with a_gate(RecordingDoor()) as gate:
        logging.getLogger("mail.log").warning("not even this")
        peer = await (await gate.greet()).at_data()
        await peer.say(".")
        await peer.say("QUIT")
    assert "docomo" not in caplog.text
    assert not [record for record in caplog.records if record.name.startswith("mail")]
