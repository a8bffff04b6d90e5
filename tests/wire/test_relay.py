"""The relay against real sockets: what goes over the wire, and what every fault at every point of the conversation becomes."""

import asyncio
import inspect
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiosmtplib
import pytest
from aiosmtplib import errors
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from mailgate.core.relay import Accepted, Copy, Deferred, Outcome, Phase, Refused, Relay
from mailgate.smtp.relay import MAILS_EACH, NextServer, Patience, SmtpRelay, negative, outcome_of, stuffed, unfit
from tests.fakes import FakeClock, ScriptedRelay
from tests.wire.scripted_server import Act, ScriptedServer, Step

SENDER = "b+mfrggzdfmztwq2lknnwg23tpob@gate.example"
RECIPIENT = "hanako.yamada@docomo.example"
CONTENT = b"Subject: x\r\n\r\nhello\r\n"
IN_A_HURRY = Patience(connect=0.3, command=0.3, final_dot=0.3, goodbye=0.3)
# Where nothing is to time out, however slow the machine is.
AT_LEISURE = Patience(connect=20, command=20, final_dot=20)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate that nobody vouches for, and its key: two file names."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay.example")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(signed.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(folder / "cert.pem"), str(folder / "key.pem")


def server_context(certificate: tuple[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    return context


def a_copy(number: int = 1, *, recipient: str = RECIPIENT, sender: str = SENDER, content: bytes = CONTENT) -> Copy:
    return Copy(id=number, sender=sender, recipient=recipient, content=content)


@asynccontextmanager
async def a_relay(
    server: ScriptedServer, patience: Patience = AT_LEISURE, clock: FakeClock | None = None, **settings: Any
) -> AsyncIterator[SmtpRelay]:
    """A relay that speaks with a server of ours."""
    next_server = NextServer(**{"host": "127.0.0.1", "port": server.port, "helo": "gate.example", **settings})
    relay = SmtpRelay(next_server, clock=clock or FakeClock(), patience=patience)
    try:
        yield relay
    finally:
        await relay.close()


async def one_outcome(
    script: Mapping[str, Sequence[Step]],
    patience: Patience = AT_LEISURE,
    *,
    always: Mapping[str, Step] | None = None,
    **settings: Any,
) -> Outcome:
    """What becomes of one copy at a server with that script."""
    async with ScriptedServer(script, always or {}).running() as server, a_relay(server, patience, **settings) as relay:
        return await relay.hand_over(a_copy())


async def test_a_mail_goes_over_the_wire_as_it_was_made() -> None:
    async with ScriptedServer().running() as server, a_relay(server) as relay:
        outcome = await relay.hand_over(a_copy())
    assert outcome == Accepted(code=250, text="2.0.0 taken")
    assert server.said == [["EHLO gate.example", f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{RECIPIENT}>", "DATA", "QUIT"]]
    assert [mail.content for mail in server.taken] == [CONTENT]


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
async def test_a_recipient_is_on_the_wire_exactly_as_in_the_copy(recipient: str) -> None:
    async with ScriptedServer().running() as server, a_relay(server) as relay:
        outcome = await relay.hand_over(a_copy(recipient=recipient))
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
    async with ScriptedServer().running() as server, a_relay(server) as relay:
        outcome = await relay.hand_over(a_copy(recipient=recipient))
    assert isinstance(outcome, Refused)
    assert outcome.phase is Phase.INTERNAL
    assert server.said == []


async def test_a_sender_that_is_no_address_never_reaches_the_wire() -> None:
    async with ScriptedServer().running() as server, a_relay(server) as relay:
        outcome = await relay.hand_over(a_copy(sender="b+x@gate.example> SIZE=1"))
    assert isinstance(outcome, Refused)
    assert server.said == []


@pytest.mark.parametrize("content", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\n.\nb\r\n", b"a\r\r\nb\r\n"])
def test_content_that_could_smuggle_a_mail_is_unfit(content: bytes) -> None:
    assert unfit(a_copy(content=content)) is not None


@pytest.mark.parametrize(
    "content, wire",
    [
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b"", b"\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"..a\r\n.b\r\n", b"...a\r\n..b\r\n.\r\n"),
        (b"a\r\n.\r\n.\r\nb.\r\n", b"a\r\n..\r\n..\r\nb.\r\n.\r\n"),
    ],
)
def test_dots_are_stuffed_once(content: bytes, wire: bytes) -> None:
    assert stuffed(content) == wire


async def test_a_mail_with_lone_dots_arrives_whole_and_the_next_one_too() -> None:
    async with ScriptedServer().running() as server, a_relay(server) as relay:
        await relay.hand_over(a_copy(1, content=b"a\r\n.\r\nQUIT\r\n"))
        await relay.hand_over(a_copy(2))
    assert [mail.content for mail in server.taken] == [b"a\r\n..\r\nQUIT\r\n", CONTENT]


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
    script: Mapping[str, Sequence[Step]], phase: Phase, code: int | None, enhanced: str | None
) -> None:
    outcome = await one_outcome(script)
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


@pytest.mark.parametrize("script, phase, code, enhanced", REFUSED)
async def test_a_refusal_of_the_copy_is_refused(
    script: Mapping[str, Sequence[Step]], phase: Phase, code: int | None, enhanced: str | None
) -> None:
    outcome = await one_outcome(script)
    assert isinstance(outcome, Refused)
    assert (outcome.phase, outcome.code, outcome.enhanced) == (phase, code, enhanced)


SILENT = {
    "greeting": Phase.CONNECT,
    "EHLO": Phase.EHLO,
    "MAIL": Phase.MAIL,
    "RCPT": Phase.RCPT,
    "DATA": Phase.DATA,
    "eod": Phase.EOD,
}


@pytest.mark.parametrize("name, phase", SILENT.items())
async def test_silence_is_deferred_when_patience_ends(name: str, phase: Phase) -> None:
    outcome = await one_outcome({name: [Act.SILENCE]}, IN_A_HURRY)
    assert isinstance(outcome, Deferred)
    assert outcome.phase is phase


async def test_nobody_listening_is_deferred() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        async with a_relay(ScriptedServer(port=reserved.getsockname()[1])) as relay:
            outcome = await relay.hand_over(a_copy())
    assert isinstance(outcome, Deferred)
    assert outcome.phase is Phase.CONNECT


def test_the_final_dot_is_waited_for_ten_minutes() -> None:
    assert Patience().final_dot >= 600


async def test_replies_of_several_lines_are_read_as_one() -> None:
    script = {"MAIL": ["250-one\r\n250-two\r\n250 three"], "eod": ["250-2.0.0 taken\r\n250 2.0.0 as 77"]}
    assert await one_outcome(script) == Accepted(code=250, text="2.0.0 taken 2.0.0 as 77")


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
    async with server, a_relay(ScriptedServer(port=server.sockets[0].getsockname()[1])) as relay:
        assert await relay.hand_over(a_copy()) == Accepted(code=250, text="2.0.0 ta ken")


async def test_a_server_that_knows_no_ehlo_is_greeted_the_old_way() -> None:
    assert isinstance(await one_outcome({"EHLO": ["502 what?"]}), Accepted)


async def test_a_reply_is_kept_without_the_address_it_quotes() -> None:
    outcome = await one_outcome({"RCPT": [f"550 5.1.1 <{RECIPIENT}>: hanako.yamada is unknown"]})
    assert outcome == Refused(phase=Phase.RCPT, code=550, enhanced="5.1.1", text="5.1.1 <***>: *** is unknown")


async def test_a_connection_is_kept_and_greets_once() -> None:
    async with ScriptedServer().running() as server, a_relay(server) as relay:
        for number in range(3):
            await relay.hand_over(a_copy(number))
    assert [commands.count("EHLO gate.example") for commands in server.said] == [1]
    assert len(server.taken) == 3


async def test_a_connection_is_replaced_after_so_many_mails() -> None:
    async with ScriptedServer().running() as server, a_relay(server) as relay:
        for number in range(MAILS_EACH + 1):
            await relay.hand_over(a_copy(number))
        assert [commands.count("DATA") for commands in server.said] == [MAILS_EACH, 1]
    assert server.said[0][-1] == "QUIT"


async def test_a_connection_that_rested_too_long_is_replaced() -> None:
    clock = FakeClock()
    async with ScriptedServer().running() as server, a_relay(server, clock=clock) as relay:
        await relay.hand_over(a_copy(1))
        clock.pass_(61_000_000)
        assert isinstance(await relay.hand_over(a_copy(2)), Accepted)
        assert [commands.count("DATA") for commands in server.said] == [1, 1]


async def test_no_more_connections_are_opened_than_set() -> None:
    async with ScriptedServer().running() as server, a_relay(server, connections=2) as relay:
        outcomes = await asyncio.gather(*[relay.hand_over(a_copy(number)) for number in range(20)])
        assert len(server.said) == 2
    assert [type(outcome) for outcome in outcomes] == [Accepted] * 20
    assert len(server.taken) == 20


@pytest.mark.parametrize("refused", ["RCPT", "DATA"])
async def test_an_open_envelope_is_reset_and_the_connection_kept(refused: str) -> None:
    async with ScriptedServer({refused: ["550 no"]}).running() as server, a_relay(server) as relay:
        assert isinstance(await relay.hand_over(a_copy(1)), Refused)
        assert isinstance(await relay.hand_over(a_copy(2)), Accepted)
    assert len(server.said) == 1
    assert server.said[0].count("RSET") == 1


async def test_an_envelope_that_ended_is_not_reset() -> None:
    async with ScriptedServer({"MAIL": ["550 no"], "eod": ["550 no"]}).running() as server, a_relay(server) as relay:
        outcomes = [await relay.hand_over(a_copy(number)) for number in range(3)]
    assert [type(outcome) for outcome in outcomes] == [Refused, Refused, Accepted]
    assert server.said[0].count("RSET") == 0


@pytest.mark.parametrize("reset", ["451 no", "421 closing(hang up)", Act.HANG_UP, Act.RESET])
async def test_a_connection_that_cannot_be_reset_is_replaced(reset: Step) -> None:
    async with ScriptedServer({"RCPT": ["550 no"], "RSET": [reset]}).running() as server, a_relay(server) as relay:
        await relay.hand_over(a_copy(1))
        assert isinstance(await relay.hand_over(a_copy(2)), Accepted)
        assert len(server.said) == 2


@pytest.mark.parametrize(
    "step", ["421 4.4.2 idle too long(hang up)", "421 4.4.2 idle too long", Act.HANG_UP, Act.RESET, "503 what?"]
)
async def test_a_kept_connection_that_went_stale_costs_the_copy_nothing(step: Step) -> None:
    """The server had closed it, and we learn so at the next MAIL: no copy is put off for that."""
    async with ScriptedServer({"MAIL": ["250 ok", step]}).running() as server, a_relay(server) as relay:
        await relay.hand_over(a_copy(1))
        assert isinstance(await relay.hand_over(a_copy(2)), Accepted)
        assert len(server.said) == 2


async def test_a_kept_connection_that_the_server_closed_is_not_used() -> None:
    async with ScriptedServer().running() as server, a_relay(server) as relay:
        await relay.hand_over(a_copy(1))
        server.hang_up_all()
        assert isinstance(await relay.hand_over(a_copy(2)), Accepted)
        assert len(server.said) == 2


async def test_a_copy_is_not_said_twice_once_its_recipient_was_named() -> None:
    async with ScriptedServer({"RCPT": ["250 ok", Act.RESET]}).running() as server, a_relay(server) as relay:
        await relay.hand_over(a_copy(1))
        assert isinstance(await relay.hand_over(a_copy(2)), Deferred)
        assert len(server.said) == 1


@pytest.mark.parametrize("name", ["MAIL", "RCPT", "DATA", "eod"])
async def test_421_anywhere_closes_that_connection(name: str) -> None:
    async with ScriptedServer({name: ["421 4.3.2 closing"]}).running() as server, a_relay(server) as relay:
        assert isinstance(await relay.hand_over(a_copy(1)), Deferred)
        assert isinstance(await relay.hand_over(a_copy(2)), Accepted)
        assert [commands.count("DATA") > 0 for commands in server.said][1:] == [True]


async def test_who_cancels_closes_the_connection() -> None:
    async with ScriptedServer({"RCPT": [Act.SILENCE]}).running() as server, a_relay(server) as relay:
        task = asyncio.create_task(relay.hand_over(a_copy(1)))
        await server.heard(f"RCPT TO:<{RECIPIENT}>")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert isinstance(await relay.hand_over(a_copy(2)), Accepted)
        assert len(server.said) == 2


async def test_a_cancellation_is_never_lost_however_far_the_copy_has_come() -> None:
    """asyncio.wait_for of Python 3.11 loses one that comes together with the answer it waits for."""
    async with ScriptedServer(always={"eod": Act.SILENCE}).running() as server, a_relay(server) as relay:
        for steps in range(120):
            task = asyncio.create_task(relay.hand_over(a_copy()))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_a_silent_goodbye_is_not_waited_for_long() -> None:
    async with ScriptedServer(always={"QUIT": Act.SILENCE}).running() as server, a_relay(server, IN_A_HURRY) as relay:
        assert isinstance(await relay.hand_over(a_copy()), Accepted)


async def test_starttls_is_used_when_offered(certificate: tuple[str, str]) -> None:
    offer: dict[str, Step] = {"EHLO": "250-relay.example\r\n250 STARTTLS"}
    async with (
        ScriptedServer(always=offer, tls=server_context(certificate)).running() as server,
        a_relay(server) as relay,
    ):
        assert isinstance(await relay.hand_over(a_copy()), Accepted)
    assert [command.split()[0] for command in server.said[0]] == [
        "EHLO",
        "STARTTLS",
        "EHLO",
        "MAIL",
        "RCPT",
        "DATA",
        "QUIT",
    ]


async def test_starttls_is_left_alone_when_set_so(certificate: tuple[str, str]) -> None:
    offer: dict[str, Step] = {"EHLO": "250-relay.example\r\n250 STARTTLS"}
    async with (
        ScriptedServer(always=offer, tls=server_context(certificate)).running() as server,
        a_relay(server, tls="none") as relay,
    ):
        assert isinstance(await relay.hand_over(a_copy()), Accepted)
    assert "STARTTLS" not in server.said[0]


async def test_a_certificate_is_checked_when_set_so(certificate: tuple[str, str]) -> None:
    offer: dict[str, Step] = {"EHLO": "250-relay.example\r\n250 STARTTLS"}
    async with (
        ScriptedServer(always=offer, tls=server_context(certificate)).running() as server,
        a_relay(server, verify=True) as relay,
    ):
        outcome = await relay.hand_over(a_copy())
    assert isinstance(outcome, Deferred)
    assert outcome.phase is Phase.TLS
    assert server.taken == []


TLS_FAULTS: list[tuple[Mapping[str, Step], dict[str, Any]]] = [
    ({}, {"tls": "required"}),
    ({}, {"tls": "offered", "username": "gate", "password": "secret"}),
    ({"EHLO": "250-x\r\n250 STARTTLS", "STARTTLS": "454 4.7.0 not now"}, {}),
    ({"EHLO": "250-x\r\n250 STARTTLS", "STARTTLS": Act.TLS}, {}),
    ({"EHLO": "250-x\r\n250 STARTTLS", "STARTTLS": Act.HANG_UP}, {}),
]


@pytest.mark.parametrize("always, settings", TLS_FAULTS)
async def test_no_tls_where_it_is_wanted_is_deferred(always: Mapping[str, Step], settings: dict[str, Any]) -> None:
    outcome = await one_outcome({}, always=always, **settings)
    assert isinstance(outcome, Deferred)
    assert outcome.phase is Phase.TLS


LOGIN: dict[str, Any] = {"tls": "none", "username": "gate", "password": "secret"}


async def test_we_log_in_where_a_name_is_set() -> None:
    offer: dict[str, Step] = {"EHLO": "250-relay.example\r\n250 AUTH PLAIN"}
    async with ScriptedServer(always=offer).running() as server, a_relay(server, **LOGIN) as relay:
        assert isinstance(await relay.hand_over(a_copy()), Accepted)
    assert [command.split()[0] for command in server.said[0]] == ["EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"]


@pytest.mark.parametrize("answer", ["535 5.7.8 wrong password", "454 4.7.0 later", Act.HANG_UP, "334 !"])
async def test_a_login_that_fails_puts_the_copy_off(answer: Step) -> None:
    outcome = await one_outcome({}, always={"EHLO": "250-x\r\n250 AUTH PLAIN", "AUTH": answer}, **LOGIN)
    assert isinstance(outcome, Deferred)
    assert outcome.phase is Phase.AUTH


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(NextServer(host="h", port=25, helo="g", password="secret"))


def an_error(kind: type[Exception], code: int) -> Exception:
    """An exception of the library, whatever it is made of."""
    values: dict[str, Any] = {
        "code": code,
        "message": "5.1.1 words",
        "sender": "s@x.example",
        "recipient": "r@x.example",
    }
    values["recipients"] = [errors.SMTPRecipientRefused(code, "5.1.1 words", "r@x.example")]
    return kind(*[values[name] for name in inspect.signature(kind).parameters])


ALL_ERRORS = [getattr(errors, name) for name in errors.__all__]
WITH_A_REPLY = [
    kind for kind in ALL_ERRORS if issubclass(kind, errors.SMTPResponseException | errors.SMTPRecipientsRefused)
]


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_every_error_of_the_library_has_an_outcome(kind: type[Exception], phase: Phase) -> None:
    assert isinstance(outcome_of(an_error(kind, 450), phase=phase), Deferred)


@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_an_error_of_the_library_refuses_a_copy_only_if_a_server_said_so(kind: type[Exception]) -> None:
    outcome = outcome_of(an_error(kind, 550), phase=Phase.RCPT)
    assert isinstance(outcome, Refused if kind in WITH_A_REPLY else Deferred)
    assert outcome.phase is Phase.RCPT


def test_nobody_refused_by_name_is_deferred() -> None:
    assert isinstance(outcome_of(errors.SMTPRecipientsRefused([]), phase=Phase.RCPT), Deferred)


@pytest.mark.parametrize(
    "error", [OSError("x"), TimeoutError(), ConnectionResetError(), ValueError(), RuntimeError("no"), TypeError()]
)
def test_every_other_fault_is_deferred_with_something_to_read(error: Exception) -> None:
    outcome = outcome_of(error, phase=Phase.EOD)
    assert isinstance(outcome, Deferred)
    assert outcome.text


@pytest.mark.parametrize("phase", [Phase.CONNECT, Phase.EHLO, Phase.TLS, Phase.AUTH])
@pytest.mark.parametrize("code", range(200, 600, 7))
def test_nothing_that_is_said_before_a_copy_is_named_refuses_it(phase: Phase, code: int) -> None:
    assert isinstance(negative(phase, code, "no"), Deferred)


@pytest.mark.parametrize("code", [-1, 0, 99, 200, 354, 399, 400, 499, 600, 999])
def test_only_5xx_refuses(code: int) -> None:
    assert isinstance(negative(Phase.RCPT, code, "no"), Deferred)


def test_the_library_is_new_enough() -> None:
    """Older ones let a recipient inject commands (MR-45)."""
    assert tuple(int(part) for part in aiosmtplib.__version__.split(".")[:3]) >= (5, 1, 3)


@pytest.mark.parametrize("kind", ["real", "scripted"])
async def test_the_fake_relay_keeps_the_promises_of_the_real_one(kind: str) -> None:
    async with ScriptedServer({"RCPT": ["450 later", "550 no"]}).running() as server:
        later = Deferred(phase=Phase.RCPT, code=450, enhanced=None, text="later")
        never = Refused(phase=Phase.RCPT, code=550, enhanced=None, text="no")
        next_server = NextServer(host="127.0.0.1", port=server.port, helo="gate.example")
        relay: Relay = SmtpRelay(next_server, clock=FakeClock()) if kind == "real" else ScriptedRelay([later, never])
        outcomes = [await relay.hand_over(a_copy(number)) for number in range(3)]
        await relay.close()
    assert outcomes[:2] == [later, never]
    assert isinstance(outcomes[2], Accepted)
