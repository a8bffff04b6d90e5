import base64
import quopri
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.reports import Report, read_report

MIB = 1 << 20
Timer = Callable[[Callable[[], object]], float]
SECONDS = 0.2  # twice MR-17: a busy machine is slower

FIELDS = """Reporting-MTA: dns; mx.example.jp
Arrival-Date: Tue, 24 Nov 2026 07:00:00 +0900

Final-Recipient: rfc822; taro..y@docomo.ne.jp
Original-Recipient: rfc822;taro..y@docomo.ne.jp
Action: failed
Status: 5.1.1
Remote-MTA: dns; mfsmax.docomo.ne.jp
Diagnostic-Code: smtp; 550 5.1.1 <taro..y@docomo.ne.jp>:
    Recipient address rejected: User unknown
"""
FAILED = Report(
    action="failed",
    status="5.1.1",
    reply_code=550,
    diagnostic="550 5.1.1 <***>: Recipient address rejected: User unknown",
)


def _dsn(fields: str | bytes, *, encoding: str = "7bit", type_: str = "message/delivery-status") -> bytes:
    status = fields if isinstance(fields, bytes) else fields.encode()
    return (
        b"From: MAILER-DAEMON@mx.example.jp\nSubject: Undelivered Mail Returned to Sender\n"
        b'Content-Type: multipart/report; report-type=delivery-status;\n\tboundary="b/1"\n\n'
        b"This is the mail system.\n\n--b/1\nContent-Type: text/plain\n\nAction: delivered\n\n--b/1\n"
        + f"Content-Description: Delivery report\nContent-Transfer-Encoding: {encoding}\nContent-Type: {type_}\n\n".encode()
        + status
        + b"\n--b/1\nContent-Type: message/rfc822\n\nAction: delivered\nStatus: 2.0.0\n\nx\n--b/1--\n"
    )


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_report_is_read_whatever_its_line_ends(end: bytes) -> None:
    assert read_report(_dsn(FIELDS).replace(b"\n", end)) == FAILED


@pytest.mark.parametrize(
    "encoding, encode",
    [("base64", base64.encodebytes), ("quoted-printable", quopri.encodestring), ("8bit", bytes)],
)
def test_a_report_is_read_through_its_transfer_encoding(encoding: str, encode: type[bytes]) -> None:
    assert read_report(_dsn(encode(FIELDS.encode()), encoding=encoding)) == FAILED


@pytest.mark.parametrize("type_", ["Message/Delivery-Status; charset=x", "message/global-delivery-status"])
def test_a_report_is_known_by_its_type(type_: str) -> None:
    assert read_report(_dsn(FIELDS, type_=type_)) == FAILED


def test_a_report_may_be_the_whole_mail() -> None:
    assert read_report(b"Content-Type: message/delivery-status\n\n" + FIELDS.encode()) == FAILED


@pytest.mark.parametrize(
    "fields, expected",
    [
        ("Action: failed", ("failed", None, None, "")),
        ("Action: FAILED (bad mailbox)\nStatus: 5.0.0 (unknown)", ("failed", "5.0.0", None, "")),
        ("Action: Relayed (onwards)", ("relayed", None, None, "")),
        ("Action: delayed\nStatus: 4.2.2", ("delayed", "4.2.2", None, "")),
        ("Action: delivered\nStatus: 2.1.5", ("delivered", "2.1.5", None, "")),
        ("Action: relayed\nStatus: 2.0.0", ("relayed", "2.0.0", None, "")),
        ("Action: expanded", ("expanded", None, None, "")),
        ("Status: 5.1.1", ("failed", "5.1.1", None, "")),
        ("Action: what\nStatus: 4.4.7", ("delayed", "4.4.7", None, "")),
        ("Status: 2.0.0", ("delivered", "2.0.0", None, "")),
        ("Diagnostic-Code: smtp; 550 5.7.1 no", ("failed", "5.7.1", 550, "550 5.7.1 no")),
        ("Action: failed\nDiagnostic-Code: SMTP ;550-5.1.1 a", ("failed", "5.1.1", 550, "550-5.1.1 a")),
        ("Action: failed\nDiagnostic-Code: smtp;550", ("failed", None, 550, "550")),
        ("Action: failed\nDiagnostic-Code: 550 no kind", ("failed", None, 550, "550 no kind")),
        (
            "Action: failed\nDiagnostic-Code: X-Postfix; host not found",
            ("failed", None, None, "X-Postfix; host not found"),
        ),
        ("Action: failed\nDiagnostic-Code: smtp; 550 : User unknown", ("failed", None, 550, "550 : User unknown")),
        ("Action: failed\nDiagnostic-Code: smtp; 10.2.550.1 x", ("failed", None, None, "10.2.550.1 x")),
        ("Action: failed\nDiagnostic-Code: smtp; =?utf-8?q?550_=E7=99=BB?=", ("failed", None, 550, "550 登")),
        ("Action: delayed\n\nAction: failed\nStatus: 5.1.1", ("failed", "5.1.1", None, "")),
        ("Action: delayed\n\nAction: relayed", ("delayed", None, None, "")),
        ("\n\n\nAction: failed", ("failed", None, None, "")),
        ("Action: failed\nno field\nStatus: 5.1.1", ("failed", None, None, "")),
    ],
)
def test_what_servers_leave_out_is_made_up_for(fields: str, expected: tuple[str, str | None, int | None, str]) -> None:
    action, status, code, diagnostic = expected
    assert read_report(_dsn(fields)) == Report(action=action, status=status, reply_code=code, diagnostic=diagnostic)


@pytest.mark.parametrize(
    "diagnostic",
    [
        "550 5.1.1 <taro..y@docomo.ne.jp>: unknown",
        "550 Unknown user taro..y@docomo.ne.jp",
        '550 "taro..y"@docomo.ne.jp unknown',
        "550 taro..y@docomo.ne.jp",
        "550 taro..y: no such user",
        "550 =?utf-8?q?taro..y=40docomo.ne.jp?= unknown",
        "550 TARO..Y@DOCOMO.NE.JP unknown",
    ],
)
@pytest.mark.parametrize("recipient", ["taro..y@docomo.ne.jp", '"taro..y"@docomo.ne.jp'])
def test_no_address_is_kept(diagnostic: str, recipient: str) -> None:
    report = read_report(
        _dsn(f"Final-Recipient: rfc822; {recipient}\nAction: failed\nDiagnostic-Code: smtp; {diagnostic}")
    )
    assert report is not None
    assert report.reply_code == 550
    assert "taro" not in report.diagnostic.lower()
    assert "docomo" not in report.diagnostic.lower()


def test_a_report_is_found_below_a_long_text_and_many_fields() -> None:
    mail = _dsn(b"X-Note: " + b"y" * 20_000 + b"\n\n" + FIELDS.encode())
    assert read_report(mail.replace(b"This is the mail system.", b"This is the mail system.\n" * 8_000)) == FAILED


def test_a_long_diagnostic_is_cut() -> None:
    report = read_report(_dsn("Action: failed\nDiagnostic-Code: smtp; 550 " + "x" * 5_000))
    assert report is not None
    assert len(report.diagnostic) <= 200


@pytest.mark.parametrize(
    "mail",
    [
        b"",
        b"Subject: hello\n\nAction: failed\nStatus: 5.1.1\n",
        b"Content-Type: text/plain\n\nContent-Type: message/delivery-status\n\nAction: failed\n",
        b"Content-Type: message/delivery-status\n\n",
        b"Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nFinal-Recipient: rfc822; a@x.jp\n",
        b"Content-Type: message/delivery-status\n\nAction: whatever\nStatus: 9.9.9\n",
        b"Content-Type: message/delivery-status\n\nStatus: 5.1.1.1\n",
        b"Content-Type: multipart/report; boundary=b\n\n--b\n\nAction: failed\n--b--\n",
        b"Content-Type: message/disposition-notification\n\nAction: failed\n",
        b"Content-Type: message/delivery-status\n\n" + b"X: y\n\n" * 30 + b"Action: failed\n",
    ],
)
def test_what_is_no_report_is_none(mail: bytes) -> None:
    assert read_report(mail) is None


@given(st.binary())
def test_reading_never_raises(data: bytes) -> None:
    read_report(data)
    read_report(_dsn(data))
    read_report(_dsn(data, encoding="base64"))


@pytest.mark.parametrize(
    "fields",
    [
        b"a:\n" * 300_000,
        b"a:\n\n" * 300_000,
        b"\n" * MIB,
        b"Action: failed\nDiagnostic-Code: smtp; " + b"a@" * 400_000,
        b"Action: failed\nDiagnostic-Code: smtp; " + b'"' * 400_000,
        b"Action: failed\nStatus: " + b"5.5." * 200_000,
        b"Final-Recipient: x;" + b"a" * 20_000 + b"@x\nAction: failed\nDiagnostic-Code: smtp; " + b"a" * 9_000,
    ],
    ids=["fields", "groups", "line feeds", "at-signs", "quotes", "codes", "a long recipient"],
)
def test_reading_1_mib_takes_no_time(fields: bytes, cpu_seconds: Timer) -> None:
    mail = _dsn(fields)
    assert cpu_seconds(lambda: read_report(mail)) < SECONDS
