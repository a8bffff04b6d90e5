"""How a connection comes to where mails may begin: TLS, login, the old greeting, and the transport that changes hands."""

import asyncio
import inspect
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import aiosmtplib
import pytest
import uvloop
from aiosmtplib import errors
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from mailgate.core.relay import BEFORE_ANY_COPY, Accepted, Deferred, Phase
from mailgate.smtp.opening import NextServer, outcome_of
from tests.wire.relay_tools import CONTENT, IN_A_HURRY, a_copy, a_hand, one_outcome
from tests.wire.scripted_server import Act, ScriptedServer, Step

OFFER: dict[str, Step] = {"EHLO": "250-relay.example\r\n250-PIPELINING\r\n250 STARTTLS"}


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


async def mails_go_over_tls(certificate: tuple[str, str]) -> None:
    server = ScriptedServer(always=OFFER, tls=server_context(certificate))
    async with server.running(), a_hand(server, connections=2) as hand:
        outcomes = await asyncio.gather(*[hand.give(a_copy(number, content=CONTENT * 2000)) for number in range(20)])
    assert [type(outcome) for outcome in outcomes] == [Accepted] * 20
    assert [mail.content for mail in server.taken] == [CONTENT * 2000] * 20
    words = [command.split()[0] for command in server.said[0]]
    assert words[:6] == ["EHLO", "STARTTLS", "EHLO", "MAIL", "RCPT", "DATA"]
    assert words[-1] == "QUIT"


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_starttls_is_used_when_offered(certificate: tuple[str, str], loop: Any) -> None:
    """On both loops: the transport that changes hands is one of TLS."""
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(mails_go_over_tls(certificate))


@pytest.mark.parametrize("step", [Act.HANG_UP, Act.RESET, "421 closing(hang up)"])
async def test_a_connection_lost_under_tls_puts_the_copy_off(certificate: tuple[str, str], step: Step) -> None:
    server = ScriptedServer({"eod": [step]}, always=OFFER, tls=server_context(certificate))
    async with server.running(), a_hand(server) as hand:
        outcome = await hand.over()
        assert isinstance(outcome, Deferred)
        assert outcome.phase is Phase.EOD
        assert isinstance(await hand.over(), Accepted)


async def test_starttls_is_left_alone_when_set_so(certificate: tuple[str, str]) -> None:
    server = ScriptedServer(always=OFFER, tls=server_context(certificate))
    async with server.running(), a_hand(server, tls="none") as hand:
        assert isinstance(await hand.over(), Accepted)
    assert "STARTTLS" not in server.said[0]


async def test_a_certificate_is_checked_when_set_so(certificate: tuple[str, str]) -> None:
    server = ScriptedServer(always=OFFER, tls=server_context(certificate))
    async with server.running(), a_hand(server, verify=True) as hand:
        outcome = await hand.over()
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


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("step", [Act.SILENCE, Act.STALL], ids=["at the command", "at the handshake"])
def test_silence_where_tls_begins_is_deferred_when_patience_ends(step: Step, loop: Any) -> None:
    always = {**OFFER, "STARTTLS": step}
    with asyncio.Runner(loop_factory=loop) as runner:
        outcome = runner.run(one_outcome({}, always=always, patience=IN_A_HURRY))
    assert isinstance(outcome, Deferred)
    assert outcome.phase is Phase.TLS


LOGIN: dict[str, Any] = {"tls": "none", "username": "gate", "password": "secret"}


async def test_we_log_in_where_a_name_is_set() -> None:
    offer: dict[str, Step] = {"EHLO": "250-relay.example\r\n250 AUTH PLAIN"}
    async with ScriptedServer(always=offer).running() as server, a_hand(server, **LOGIN) as hand:
        assert isinstance(await hand.over(), Accepted)
    assert [command.split()[0] for command in server.said[0]] == ["EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"]


@pytest.mark.parametrize("answer", ["535 5.7.8 wrong password", "454 4.7.0 later", Act.HANG_UP, "334 !"])
async def test_a_login_that_fails_puts_the_copy_off(answer: Step) -> None:
    outcome = await one_outcome({}, always={"EHLO": "250-x\r\n250 AUTH PLAIN", "AUTH": answer}, **LOGIN)
    assert isinstance(outcome, Deferred)
    assert outcome.phase is Phase.AUTH


@pytest.mark.parametrize("says", [{"AUTH": Act.SILENCE}, {"AUTH": "334 UGFzc3dvcmQ6", "C2VJ": Act.SILENCE}], ids=["name", "password"])
async def test_silence_at_a_login_is_deferred_when_patience_ends(says: Mapping[str, Step]) -> None:
    """C2VJ is how the password begins in base64: the second line of the login, and a command to our server."""
    outcome = await one_outcome({}, always={"EHLO": "250-x\r\n250 AUTH LOGIN", **says}, patience=IN_A_HURRY, **LOGIN)
    assert isinstance(outcome, Deferred)
    assert outcome.phase is Phase.AUTH
    assert outcome.text == "TimeoutError"


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(NextServer(host="h", port=25, helo="g", password="secret"))


async def test_a_server_that_knows_no_ehlo_is_greeted_the_old_way() -> None:
    assert isinstance(await one_outcome({"EHLO": ["502 what?"]}), Accepted)


# The transport changes hands


@pytest.mark.parametrize("behind", ["250 and one more", "421 closing", "2"])
async def test_what_stands_behind_the_last_answer_is_not_taken_for_the_next(behind: str) -> None:
    """The library keeps it in its buffer; there it would be lost, and everything after it one answer late."""
    outcome = await one_outcome({"EHLO": [f"250 relay.example\r\n{behind}"]})
    assert outcome == Deferred(phase=Phase.EHLO, code=None, enhanced=None, text="the server spoke without being asked")


async def test_a_server_that_hangs_up_right_after_its_last_answer_puts_the_copy_off() -> None:
    outcome = await one_outcome({"EHLO": ["250 relay.example(hang up)"]})
    assert isinstance(outcome, Deferred)
    assert outcome.phase in (Phase.EHLO, Phase.MAIL)


# Whatever goes wrong is put off: no copy was named yet


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


@pytest.mark.parametrize("phase", sorted(BEFORE_ANY_COPY))
@pytest.mark.parametrize("code", [-1, 421, 450, 550])
@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_every_error_of_the_library_puts_the_copy_off(kind: type[Exception], code: int, phase: Phase) -> None:
    outcome = outcome_of(an_error(kind, code), phase=phase)
    assert isinstance(outcome, Deferred)
    assert outcome.phase is phase
    assert outcome.text


@pytest.mark.parametrize("kind", [kind for kind in ALL_ERRORS if issubclass(kind, errors.SMTPResponseException)])
def test_what_the_server_said_is_kept(kind: type[Exception]) -> None:
    outcome = outcome_of(an_error(kind, 550), phase=Phase.AUTH)
    assert (outcome.code, outcome.enhanced, outcome.text) == (550, "5.1.1", "5.1.1 words")


@pytest.mark.parametrize(
    "error", [OSError("x"), TimeoutError(), ConnectionResetError(), ValueError(), RuntimeError("no"), TypeError()]
)
def test_every_other_fault_is_put_off_with_something_to_read(error: Exception) -> None:
    outcome = outcome_of(error, phase=Phase.CONNECT)
    assert (outcome.phase, outcome.code) == (Phase.CONNECT, None)
    assert outcome.text


def test_the_library_is_new_enough() -> None:
    """Older ones let a recipient inject commands (MR-45)."""
    assert tuple(int(part) for part in aiosmtplib.__version__.split(".")[:3]) >= (5, 1, 3)
