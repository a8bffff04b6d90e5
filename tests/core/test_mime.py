from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.headers import scan
from mailgate.core.mime import MAX_DEPTH, MAX_PARTS, Part, leaves, type_of

MIB = 1 << 20
Timer = Callable[[Callable[[], object]], float]
SECONDS = 0.2  # twice MR-17: a busy machine is slower


def _bodies(mail: bytes) -> list[tuple[str, bytes]]:
    return [(part.type, part.body) for part in leaves(mail)]


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
def test_leaves_come_in_their_order_whatever_the_line_ends(end: bytes) -> None:
    mail = end.join(
        [
            b'Content-Type: multipart/mixed; boundary="out er"',
            b"",
            b"preamble",
            b"--out er  ",
            b"Content-Type: multipart/alternative; boundary=in",
            b"",
            b"--in",
            b"",
            b"plain",
            b"text",
            b"--in",
            b"Content-Type: TEXT/HTML; charset=x",
            b"",
            b"<p>",
            b"--in--",
            b"epilogue",
            b"--out er",
            b"Content-Type: image/png",
            b"",
            b"png",
            b"--out er--",
            b"epilogue",
        ]
    )
    assert _bodies(mail) == [("text/plain", b"plain" + end + b"text"), ("text/html", b"<p>"), ("image/png", b"png")]


@pytest.mark.parametrize(
    "mail, bodies",
    [
        (b"", [("text/plain", b"")]),
        (b"no headers", [("text/plain", b"no headers")]),
        (b"\n--\nx\n--\ny", [("text/plain", b"--\nx\n--\ny")]),
        (
            b"Content-Type: multipart/mixed; boundary=b\n\n--b\nX: " + b"y" * 1_500 + b"\nContent-Type: a/b\n\nx",
            [("a/b", b"x")],
        ),
        (b"Content-Type: nonsense\n\nx", [("text/plain", b"x")]),
        (b"Content-Type: message/rfc822\n\nSubject: x\n\ny", [("message/rfc822", b"Subject: x\n\ny")]),
        (b"Content-Type: multipart/mixed\n\n--b\n\nx", [("multipart/mixed", b"--b\n\nx")]),
        (b'Content-Type: multipart/mixed; boundary=""\n\nx', [("multipart/mixed", b"x")]),
        (b"Content-Type: multipart/mixed; boundary=b\n\nno parts", []),
        (b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nnever closed", [("text/plain", b"never closed")]),
        (b"Content-Type: multipart/mixed; boundary=b\n\n--b--\n--b\n\nx", []),
        (
            b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--bb\n--b",
            [("text/plain", b"x\n--bb"), ("text/plain", b"")],
        ),
        (b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx --b\n--b--", [("text/plain", b"x --b")]),
        (b"Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\nx", [("text/plain", b""), ("text/plain", b"x")]),
        (b"Content-Type: multipart/mixed;\n BOUNDARY = b ; x=y\n\n--b\n\nx", [("text/plain", b"x")]),
        (b'Content-Type: multipart/mixed; boundary*0="b"\n\n--b\n\nx', [("text/plain", b"x")]),
    ],
)
def test_broken_mails_have_the_leaves_one_would_expect(mail: bytes, bodies: list[tuple[str, bytes]]) -> None:
    assert _bodies(mail) == bodies


def test_the_walk_has_a_bottom() -> None:
    mail = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(2_000))
    (deepest,) = leaves(mail)
    assert deepest.parameter("boundary") == f"b{MAX_DEPTH}"


def test_the_walk_has_a_width() -> None:
    mail = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 1_000
    assert 0 < len(leaves(mail)) <= MAX_PARTS


@pytest.mark.parametrize(
    "encoding, body, payload",
    [
        (b"base64", b"YW\r\nJj", b"abc"),
        (b" BASE64 ", b"YWJj", b"abc"),
        (b"quoted-printable", b"a=3D=\r\nb=zz", b"a=b=zz"),
        (b"8bit", b"a=3D", b"a=3D"),
        (b"nonsense", b"a=3D", b"a=3D"),
    ],
)
def test_a_transfer_encoding_is_taken_off(encoding: bytes, body: bytes, payload: bytes) -> None:
    part = Part(headers=scan(b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n"), body=body)
    assert part.payload() == payload


def test_parameters_are_read_from_either_header() -> None:
    head = (
        b"Content-Type: text/plain; charset=\"x y\"; name=\nContent-Disposition: Attachment ;filename*=utf-8''a.txt\n\n"
    )
    part = Part(headers=scan(head), body=b"")
    assert part.parameter("charset") == "x y"
    assert part.parameter("filename") == "utf-8''a.txt"
    assert part.parameter("format") == ""
    assert part.disposition == "attachment"


def test_without_a_type_a_mail_is_plain_text() -> None:
    assert type_of(scan(b"")) == "text/plain"


def test_a_part_does_not_show_its_body() -> None:
    assert "secret" not in repr(leaves(b"\nsecret"))


@given(
    st.lists(st.sampled_from([b"--b", b"--", b"\r", b"\n", b"Content-Type: multipart/mixed; boundary=b", b"x", b"\0"]))
)
def test_walking_never_raises(pieces: list[bytes]) -> None:
    for part in leaves(b"Content-Type: multipart/mixed; boundary=b\n\n" + b"".join(pieces)):
        assert isinstance(part.payload(), bytes)


@pytest.mark.parametrize(
    "mail",
    [
        pytest.param(b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n" * 250_000, id="250,000 parts"),
        pytest.param(b"Content-Type: multipart/mixed; boundary=-\n\n" + b"-" * MIB, id="a boundary everywhere"),
        pytest.param(b"Content-Type: multipart/mixed; boundary=b\n\n" + b"\n--bb" * 200_000, id="near misses"),
        pytest.param(b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\r" * 200_000, id="carriage returns"),
        pytest.param(
            b"Content-Type: multipart/mixed; boundary=b\n\n" + (b"--b\n" + b"a:\n" * 7_000) * 49,
            id="headers everywhere",
        ),
        pytest.param(b"Content-Type: multipart/mixed" + b'; boundary="' * 5_000, id="boundaries that never end"),
        pytest.param(b"Content-Type: multipart/mixed;" + b" " * 60_000 + b"x", id="blanks"),
        pytest.param(
            b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(15))
            + b"\n"
            + b"--b1" * 200_000,
            id="15 deep and a long line",
        ),
    ],
)
def test_walking_1_mib_takes_no_time(mail: bytes, cpu_seconds: Timer) -> None:
    assert cpu_seconds(lambda: leaves(mail)) < SECONDS
