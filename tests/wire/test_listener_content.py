import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.smtp.content import Content
from tests.wire.listener_tools import a_gate

# The ends of data that some servers took for the end of a mail, so that a second mail could be smuggled in after it (MR-9).
NO_ENDS = [
    b"\n.\n",
    b"\n.\r",
    b"\r.\n",
    b"\r.\r",
    b"\n.\r\n",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\n\x00.\r\n",
    b"\r\n.\x00\r\n",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
]


def read(wire: bytes, *, limit: int = 1_000_000, pieces: int) -> tuple[bytes | None, bytes]:
    """Feed the wire in pieces; what was read (None: too big) and what was left."""
    content, data = Content(limit), bytearray()
    for start in range(0, len(wire), pieces):
        data += wire[start : start + pieces]
        if content.feed(data):
            rest = bytes(data) + wire[start + pieces :]
            return (None if content.is_too_big else content.whole()), rest
    raise AssertionError("the mail did not end")


def dotted(text: bytes) -> bytes:
    """As a client sends it (RFC 5321 section 4.5.2)."""
    return (b"\r\n" + text).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


CASES = {
    "an empty mail": (b".\r\n", b""),
    "one empty line": (b"\r\n.\r\n", b"\r\n"),
    "a line": (b"a\r\n.\r\n", b"a\r\n"),
    "a dot that was doubled": (b"..\r\n.\r\n", b".\r\n"),
    "dots at the head of the second line": (b"a\r\n...b\r\n.\r\n", b"a\r\n..b\r\n"),
    "a dot that nobody doubled": (b".a\r\n.\r\n", b"a\r\n"),
    "a dot inside a line": (b"a.b\r\nc.\r\n.\r\n", b"a.b\r\nc.\r\n"),
    "a carriage return too many": (b"a\r\r\n.\r\n", b"a\r\r\n"),
    "bare line feeds with dots": (b"a\n.b\n..c\r\n.\r\n", b"a\n.b\n..c\r\n"),
    "NUL and octets above 127": (b"\x00\xff\x82\xa0\r\n.\r\n", b"\x00\xff\x82\xa0\r\n"),
}


@pytest.mark.parametrize("pieces", [1, 2, 3, 5, 1_000_000])
@pytest.mark.parametrize("name", CASES)
def test_a_mail_is_read_as_it_was_meant_however_it_is_cut_into_packets(name: str, pieces: int) -> None:
    wire, meant = CASES[name]
    assert read(wire, pieces=pieces) == (meant, b"")


@pytest.mark.parametrize("pieces", [1, 2, 3, 1_000_000])
@pytest.mark.parametrize("no_end", NO_ENDS)
def test_no_other_mixture_of_cr_lf_and_dot_ends_a_mail(no_end: bytes, pieces: int) -> None:
    smuggled = b"MAIL FROM:<a@example.jp>\r\n"
    content, rest = read(b"first" + no_end + smuggled + b"\r\n.\r\nRSET\r\n", pieces=pieces)
    assert content is not None
    assert content.startswith(b"first")
    assert content.endswith(smuggled + b"\r\n")
    assert rest == b"RSET\r\n"


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"a", b"\x00", b"\r\n."]), max_size=30), st.integers(1, 9)
)
def test_what_a_client_makes_safe_for_the_wire_comes_out_as_it_was(atoms: list[bytes], pieces: int) -> None:
    text = b"".join(atoms) + b"\r\n"
    assert read(dotted(text) + b"QUIT\r\n", pieces=pieces) == (text, b"QUIT\r\n")


@given(st.binary(max_size=60), st.integers(1, 9), st.integers(1, 9))
def test_how_the_wire_is_cut_changes_nothing(octets: bytes, one: int, other: int) -> None:
    wire = octets.replace(b"a", b"\r\n.") + b"\r\n.\r\n"
    assert read(wire, pieces=one) == read(wire, pieces=other)


@pytest.mark.parametrize("pieces", [1, 4, 1_000_000])
def test_the_limit_itself_may_be_reached_and_not_passed(pieces: int) -> None:
    assert read(b"12345678\r\n.\r\n", limit=10, pieces=pieces) == (b"12345678\r\n", b"")
    assert read(b"123456789\r\n.\r\n", limit=10, pieces=pieces) == (None, b"")


def test_dots_added_on_the_way_do_not_count_against_the_limit() -> None:
    assert read(b"..\r\n..\r\n.\r\n", limit=6, pieces=100) == (b".\r\n.\r\n", b"")


def test_beyond_the_limit_nothing_is_kept() -> None:
    content = Content(100_000)
    for _ in range(50):
        content.feed(bytearray(b"x" * 10_000))
    assert content.is_too_big
    assert content.octets == 500_000
    assert content.whole() == b""


def test_tiny_packets_are_kept_in_large_pieces() -> None:
    content = Content(1_000_000)
    for _ in range(200_000):
        content.feed(bytearray(b"x"))
    assert len(content._pieces) <= 4


# The same on the wire.


@pytest.mark.parametrize("no_end", NO_ENDS)
async def test_each_variant_stays_exactly_one_mail(no_end: bytes) -> None:
    inner = b"MAIL FROM:<evil@example.jp>\r\nRCPT TO:<touroku@gate.example.jp>\r\nDATA\r\nsecond"
    async with a_gate() as gate:
        peer = await (await gate.greet()).at_data()
        peer.send(b"Subject: first\r\n\r\nfirst" + no_end + inner + b"\r\n.\r\n")
        assert (await peer.reply()).startswith("250 2.0.0")
        assert (await peer.say("QUIT")).startswith("221 2.0.0")
        (mail,) = gate.door.mails
        assert inner in mail.content


@pytest.mark.parametrize("length", [998, 1_001, 10_000, 65_536, 900_000])
async def test_no_line_is_too_long_up_to_the_size_limit(length: int) -> None:
    async with a_gate() as gate:
        peer = await (await gate.greet()).at_data()
        peer.send(b"x" * length + b"\r\n.\r\n")
        assert (await peer.reply()).startswith("250 2.0.0")
        assert gate.door.mails[0].content == b"x" * length + b"\r\n"


@pytest.mark.parametrize(
    "content",
    [b"", b"\r\n", b"no headers at all\r\n", b"Subject: \x82\xa0\x82\xa2\r\n\r\n\x00\xff\r\n", b"a\rb\nc\r\n"],
    ids=["nothing", "an empty line", "no headers", "raw Shift_JIS and NUL", "bare CR and LF"],
)
async def test_any_content_is_taken_as_it_is(content: bytes) -> None:
    async with a_gate() as gate:
        peer = await (await gate.greet()).at_data()
        peer.send(dotted(content))
        assert (await peer.reply()).startswith("250 2.0.0")
        assert gate.door.mails[0].content == content


async def test_a_mail_that_comes_octet_by_octet_is_the_same_mail() -> None:
    async with a_gate() as gate:
        peer = await (await gate.greet()).at_data()
        for octet in b"Subject: a\r\n\r\n..dot\r\n.\r\n":
            peer.send(bytes([octet]))
            await peer.drain()
        assert (await peer.reply()).startswith("250 2.0.0")
        assert gate.door.mails[0].content == b"Subject: a\r\n\r\n.dot\r\n"
