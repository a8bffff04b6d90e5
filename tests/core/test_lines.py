import traceback

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailgate.core.lines import NotLines, lines


@pytest.mark.parametrize(
    "octets",
    [
        b"\r\n",
        b"a\r\n",
        b"\r\n\r\n",
        b".\r\n..\r\n",
        b"Subject: x\r\n\r\nhello\r\n",
        b"a\0b\r\n",
        b"\x7f\r\n",
        b"a\x0bb\x0cc\x1cd\x1ee\r\n",  # ends of lines to `str.splitlines`, and to no server
        b"x" * 2_000 + b"\r\n",
    ],
)
def test_ascii_in_lines_that_are_all_ended_by_crlf_is_lines(octets: bytes) -> None:
    assert lines(octets) == octets


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"a",
        b"a\r\nb",
        b"\n",
        b"\r",
        b"\n\r",
        b"a\n",
        b"a\r",
        b"a\nb\r\n",
        b"a\rb\r\n",
        b"a\r\n.\nb\r\n",
        b"a\n.\r\nb\r\n",
        b"a\r\n.\rb\r\n",
        b"a\r\r\nb\r\n",
        b"a\r\n\n",
        b"\n\r\n",
        b"\r\r\n",
        b"a\r\nb\r",
        b"a\r\n\r",
        "あ\r\n".encode("utf-16-le"),
    ],
)
def test_content_that_could_smuggle_a_mail_or_has_an_open_end_is_not(octets: bytes) -> None:
    with pytest.raises(NotLines, match="CRLF"):
        lines(octets)


@pytest.mark.parametrize("octets", [b"a\r\n\xe5\xad\xa6\r\n", b"\x80\r\n", b"\xff", b"a\x85b\r\n", "あ\r\n".encode()])
def test_what_is_not_ascii_is_not(octets: bytes) -> None:
    with pytest.raises(NotLines, match="ASCII"):
        lines(octets)


PIECES = st.sampled_from([b"a", b".", b"\r", b"\n", b"\r\n", b"\r\n.\r\n", b"\0", b"\x0b", b"\x7f", b"\x80", b"\x85", b"\xe5\xad\xa6"])
SAFE_PIECES = st.sampled_from([b"a", b".", b"\r\n", b"\r\n.\r\n", b"\0", b"\x0b", b"\x7f"])
ENDED = st.lists(SAFE_PIECES, max_size=12).map(lambda parts: b"".join([*parts, b"\r\n"]))


@settings(max_examples=2_000)
@given(st.one_of(st.lists(PIECES, max_size=8).map(b"".join), ENDED, st.binary(max_size=30)))
@example(b"\r\n")
@example(b"\r\n\r")
def test_octets_are_lines_if_and_only_if_nothing_but_crlf_ends_one(octets: bytes) -> None:
    rest = octets.replace(b"\r\n", b"")
    expected = octets.isascii() and octets.endswith(b"\r\n") and b"\r" not in rest and b"\n" not in rest
    try:
        assert lines(octets) == octets
    except NotLines:
        assert not expected
    else:
        assert expected


@given(st.lists(ENDED, min_size=1, max_size=4))
def test_what_is_joined_from_lines_is_lines(parts: list[bytes]) -> None:
    whole = b"".join([lines(part) for part in parts])
    assert lines(whole) == whole


@pytest.mark.parametrize("octets", [b"hanako@docomo.example", b"hanako\n", b"hanako\r\r\n", b"hanako\xe5\r\n", b"\xffhanako"])
def test_what_is_said_of_other_octets_holds_none_of_them(octets: bytes) -> None:
    with pytest.raises(NotLines) as refused:
        lines(octets)
    told = "".join(traceback.format_exception(refused.value))
    assert "NotLines" in told
    for part in ("hanako", "docomo", "xe5", "xff"):
        assert part not in told
