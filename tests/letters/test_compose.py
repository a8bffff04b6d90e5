import base64
import email
import email.policy
from email.message import EmailMessage
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgate.letters.compose import (
    MAX_ATTACHED,
    OCTETS,
    Layout,
    Parcel,
    Segments,
    attachable,
    base64_lines,
    mark,
    wire,
)

OWN = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=80)


def check_base64(encoded: bytes) -> None:
    """The law of a base64 body: full lines but the last, ended by CRLF, padding at the very end only."""
    *lines, last = encoded.split(b"\r\n")
    assert last == b""
    assert all(len(line) == 76 and b"=" not in line for line in lines[:-1])
    assert all(0 < len(line) <= 76 and len(line) % 4 == 0 for line in lines[-1:])


@given(st.binary(max_size=400))
def test_lines_of_base64_read_back(octets: bytes) -> None:
    encoded = base64_lines(octets)
    check_base64(encoded)
    assert base64.b64decode(encoded.replace(b"\r\n", b""), validate=True) == octets


@pytest.mark.parametrize("left_over", range(OCTETS))
@settings(max_examples=25)
@given(whole=st.integers(min_value=0, max_value=3), link=OWN, names=st.lists(OWN, max_size=3), text=OWN)
def test_a_copy_is_the_shared_text_and_its_own_whatever_is_left_over(
    left_over: int, whole: int, link: str, names: list[str], text: str
) -> None:
    shared = "x" * (whole * OCTETS + left_over)
    tail = "".join(mark(place) + text for place in range(1, len(names) + 1))
    segments = Segments.of(f"{shared}{mark(0)}\n{tail}")
    assert len(segments.encoded) == whole * 78
    assert segments.tail.octets.partition(b"%b")[0] == b"x" * left_over
    body = segments.filled([value.encode() for value in (link, *names)])
    check_base64(body)
    told = base64.b64decode(body.replace(b"\r\n", b""), validate=True)
    assert told.decode() == f"{shared}{link}\r\n" + "".join(name + text for name in names)


def test_a_text_without_marks_is_shared_whole() -> None:
    segments = Segments.of("あ\nい\n")
    assert base64.b64decode(segments.filled([])) == "あ\r\nい\r\n".encode()


def test_a_value_may_stand_in_two_places_and_in_any_order() -> None:
    segments = Segments.of(f"{mark(11)}-{mark(0)}-{mark(11)}")
    values = [f"v{place}".encode() for place in range(12)]
    assert base64.b64decode(segments.filled(values)) == b"v11-v0-v11"


def test_what_two_copies_share_is_encoded_once() -> None:
    segments = Segments.of("x" * 5_000 + mark(0))
    one, other = segments.filled([b"a"]), segments.filled([b"b"])
    assert one[: len(segments.encoded)] == other[: len(segments.encoded)] == segments.encoded
    assert len(one) - len(segments.encoded) < 100


SHARED = st.lists(st.sampled_from([b"%", b"%b", b"%%", b"%s", b"%(a)b", b"a", b"0", b"\r\n", b"\xe3"]), max_size=6).map(b"".join)
FILLED = st.lists(st.sampled_from([b"%", b"%b", b"%%", b"\x000\x00", b"\x00", b"7", b"\r\n", b"\xe3"]), max_size=5).map(b"".join)


@settings(max_examples=500)
@given(
    values=st.lists(FILLED, min_size=1, max_size=12),
    start=SHARED,
    rest=st.lists(st.tuples(st.integers(min_value=0, max_value=11), st.integers(min_value=3, max_value=30), SHARED), max_size=8),
)
def test_a_layout_filled_is_what_it_shares_with_each_value_in_its_place_untouched(
    values: list[bytes], start: bytes, rest: list[tuple[int, int, bytes]]
) -> None:
    places = [(place % len(values), width, shared) for place, width, shared in rest]
    layout = Layout.of(start + b"".join(mark(place, width=width).encode() + shared for place, width, shared in places))
    assert layout.filled(values) == start + b"".join(values[place] + shared for place, _, shared in places)
    assert layout.places == tuple(place for place, _, _ in places)


@pytest.mark.parametrize("width", [3, 4, 26, 78])
@pytest.mark.parametrize("place", [0, 3, 9])
def test_a_mark_is_as_wide_as_the_value_it_stands_for(place: int, width: int) -> None:
    assert len(mark(place, width=width)) == width
    assert Layout.of(mark(place, width=width).encode()) == Layout(b"%b", (place,))


def test_lines_end_on_the_wire_as_mail_ends_them() -> None:
    assert wire("a\n\nb") == b"a\r\n\r\nb"


ORIGINALS = st.one_of(
    st.binary(max_size=300),
    st.lists(st.text(st.characters(max_codepoint=127, exclude_characters="\r\n\0"), max_size=90)).map(
        lambda lines: "\r\n".join(lines).encode()
    ),
)


def unwrapped(parcel: Parcel) -> tuple[EmailMessage, EmailMessage, bytes]:
    """The two parts of a parcel, and the octets that stand in the second one."""
    mail = f"MIME-Version: 1.0\r\nContent-Type: {parcel.media}\r\n\r\n".encode() + parcel.body
    message = email.message_from_bytes(mail, policy=email.policy.default)
    assert not message.defects
    text, attachment = cast("list[EmailMessage]", message.get_payload())
    boundary = message.get_boundary()
    assert boundary is not None
    _, _, second, last = parcel.body.split(f"--{boundary}".encode())
    assert last == b"--\r\n"
    return text, attachment, second.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")


@given(ORIGINALS)
def test_a_mail_that_is_handed_on_arrives_octet_by_octet(content: bytes) -> None:
    text, attachment, octets = unwrapped(Parcel.of("見てください。\n", content))
    assert text.get_content().replace("\r\n", "\n") == "見てください。\n"
    assert attachment.get_filename() == "original.eml"
    if attachment.get_content_type() == "message/rfc822":
        assert octets == content
    else:
        assert attachment.get_content_type() == "application/octet-stream"
        assert attachment.get_content() == content


@pytest.mark.parametrize(
    "content, media",
    [
        (b"", "message/rfc822"),
        (b"Subject: a\r\n\r\nb\r\n", "message/rfc822"),
        (b"Subject: a\r\n\r\n" + b"b" * 998, "message/rfc822"),
        (b"Subject: a\r\n\r\n" + b"b" * 999, "application/octet-stream"),
        (b"Subject: a\r\n\r\n" + b"b" * 998 + b"\r\nc", "message/rfc822"),
        (b"Subject: a\r\n\r\n" + b"b" * 999 + b"\r\nc", "application/octet-stream"),
        (b"Subject: a\n\nb\n", "application/octet-stream"),
        (b"a\rb", "application/octet-stream"),
        (b"a\0b", "application/octet-stream"),
        ("Subject: あ\r\n\r\n".encode("cp932"), "application/octet-stream"),
        (b"a\r\n" * 20_000 + b"\xe3", "application/octet-stream"),
    ],
)
def test_a_mail_goes_as_a_mail_where_it_may_stand_unencoded(content: bytes, media: str) -> None:
    assert unwrapped(Parcel.of("", content))[1].get_content_type() == media


def test_a_parcel_that_quotes_another_keeps_its_own_boundary() -> None:
    inner = Parcel.of("a", b"Subject: b\r\n\r\nc")
    outer = f"Content-Type: {inner.media}\r\n\r\n".encode() + inner.body
    assert unwrapped(Parcel.of("d", outer))[2] == outer


@pytest.mark.parametrize(
    "content, kept",
    [
        (b"a" * MAX_ATTACHED, MAX_ATTACHED),
        (b"a" * (MAX_ATTACHED + 1), MAX_ATTACHED),
        (b"a\r\n" * 30_000, MAX_ATTACHED - MAX_ATTACHED % 3),
    ],
)
def test_a_large_mail_is_cut_after_a_line_where_it_has_lines(content: bytes, kept: int) -> None:
    assert attachable(content) == content[:kept]
