"""Replies of servers: where they end, what kind they are, what they say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.relay import BEFORE_ANY_COPY, Deferred, Phase, Refused
from mailgate.core.smtpreply import Kind, code_of, end_of_reply, kind_of, negative, text_of

KINDS = [
    (b"250 2.0.0 ok\r\n", Kind.YES),
    (b"250\r\n", Kind.YES),
    (b"250\n", Kind.YES),
    (b"251 will forward\r\n", Kind.YES),
    (b"220-one\r\n220 two\r\n", Kind.YES),
    (b"250-one\n250-\n250\n", Kind.YES),
    (b"354 go on\r\n", Kind.GO),
    (b"354-go\r\n354 on\r\n", Kind.GO),
    (b"450 later\r\n", Kind.NO),
    (b"599 never\r\n", Kind.NO),
    (b"550-5.1.1 no\r\n550 5.1.1 such user\r\n", Kind.NO),
    (b"503 MAIL first\r\n", Kind.OUT_OF_STEP),
    (b"421 closing\r\n", Kind.CLOSING),
    (b"421-4.3.2 we\r\n421 4.3.2 close\r\n", Kind.CLOSING),
    (b"\r\n", Kind.ODD),
    (b"\n", Kind.ODD),
    (b"25\r\n", Kind.ODD),
    (b"250ok\r\n", Kind.ODD),
    (b"2500 ok\r\n", Kind.ODD),
    (b"ok 250\r\n", Kind.ODD),
    (b"250\tok\r\n", Kind.ODD),
    (b" 250 ok\r\n", Kind.ODD),
    (b"\xef\xbc\x92\xef\xbc\x95\xef\xbc\x90 ok\r\n", Kind.ODD),
    (b"+50 ok\r\n", Kind.ODD),
    (b"100 wait\r\n", Kind.ODD),
    (b"334 VXNlcm5hbWU6\r\n", Kind.ODD),
    (b"355 go on\r\n", Kind.ODD),
    (b"600 what\r\n", Kind.ODD),
    (b"999 what\r\n", Kind.ODD),
    (b"250-one\r\n550 two\r\n", Kind.ODD),
    (b"250-one\r\n550-two\r\n250 three\r\n", Kind.ODD),
    (b"250-one\r\n\r\n", Kind.ODD),
    (b"250-one\r\n250three\r\n", Kind.ODD),
    (b"abc-one\r\nabc two\r\n", Kind.ODD),
]


@pytest.mark.parametrize("reply, kind", KINDS)
def test_every_reply_has_a_kind(reply: bytes, kind: Kind) -> None:
    assert kind_of(reply) is kind


@pytest.mark.parametrize("reply", [reply for reply, _ in KINDS])
@pytest.mark.parametrize("behind", [b"", b"2", b"250 ok\r\n", b"-\r\n", b"\r\n", b"\0"])
def test_a_reply_ends_where_it_ends_whatever_comes_behind_it(reply: bytes, behind: bytes) -> None:
    assert end_of_reply(b"ab" + reply + behind, 2) == 2 + len(reply)


@pytest.mark.parametrize("reply", [reply for reply, _ in KINDS])
def test_a_reply_that_is_not_all_here_has_no_end(reply: bytes) -> None:
    for length in range(len(reply)):
        assert end_of_reply(reply[:length], 0) == 0


@given(data=st.lists(st.sampled_from([b"2", b"250", b"-", b" ", b"\r", b"\n", b"x"]), max_size=30).map(b"".join))
def test_more_octets_never_move_the_end_of_a_reply(data: bytes) -> None:
    ends = {end_of_reply(data[:length], 0) for length in range(len(data) + 1)}
    assert len(ends - {0}) <= 1


@pytest.mark.parametrize(
    "reply, code, text",
    [
        (b"250 2.0.0 ok\r\n", 250, "2.0.0 ok"),
        (b"250\r\n", 250, ""),
        (b"250-2.0.0 taken\r\n250 2.0.0 as 77\r\n", 250, "2.0.0 taken\r\n2.0.0 as 77"),
        (b"999 what\r\n", 999, "what"),
        (b"nonsense\r\n", None, "nonsense"),
        (b"1\n", None, "1"),
        (b"550 \x83\x86\x81\x5b\r\n", 550, "\udc83\udc86\udc81["),
        ("550 拒否\r\n".encode(), 550, "拒否"),
    ],
)
def test_code_and_words_of_a_reply(reply: bytes, code: int | None, text: str) -> None:
    assert (code_of(reply), text_of(reply)) == (code, text)


@pytest.mark.parametrize("phase", sorted(BEFORE_ANY_COPY))
@pytest.mark.parametrize("code", range(200, 600, 7))
def test_nothing_that_is_said_before_a_copy_is_named_refuses_it(phase: Phase, code: int) -> None:
    assert isinstance(negative(phase, code, "no"), Deferred)


@pytest.mark.parametrize("code", [None, -1, 0, 99, 200, 354, 399, 400, 499, 600, 999])
def test_only_5xx_refuses(code: int | None) -> None:
    assert isinstance(negative(Phase.RCPT, code, "no"), Deferred)


@pytest.mark.parametrize("code", [502, 503, 521, 530, 534, 535, 538])
def test_what_is_not_about_the_copy_does_not_refuse_it(code: int) -> None:
    assert isinstance(negative(Phase.MAIL, code, "no"), Deferred)


@pytest.mark.parametrize("code", [500, 501, 550, 554, 599])
def test_a_no_for_good_refuses(code: int) -> None:
    outcome = negative(Phase.EOD, code, "5.7.1 <a@x.jp> is not wanted", about="a@x.jp")
    assert outcome == Refused(phase=Phase.EOD, code=code, enhanced="5.7.1", text="5.7.1 <***> is not wanted")
