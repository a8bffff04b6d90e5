"""What is kept of a relay's words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.lines import lines
from mailgate.core.relay import BEFORE_ANY_COPY, MAX_TEXT, Copy, Phase, enhanced_of, masked

MASKED = [
    ("2.0.0 Ok: queued as 4XyZ1r0Qz", "2.0.0 Ok: queued as 4XyZ1r0Qz"),
    ("5.1.1 <a..b@docomo.example>: User unknown", "5.1.1 <***>: User unknown"),
    ("no such user taro@softbank.example here", "no such user *** here"),
    ('<"a..b"@docomo.example> is gone', "<***> is gone"),
    ('"a b"@x.example is gone', "*** is gone"),
    ("o'neil=x@au.example is gone", "*** is gone"),
    ("rcpt=taro@au.example, from=b+token@gate.example", "***, ***"),
    ("full width taro＠au.example", "full width ***"),
    ("encoded taro%40au.example", "encoded ***"),
    ("<taro> is gone", "<***> is gone"),
    (": User unknown (filtered) <>", ": User unknown (filtered) <>"),
    ("two\nlines\r\n  and\ta tab", "two lines and a tab"),
    ("bell\x07 \x1b[31mred\x1b[0m \udce3\u202e", "bell [31mred [0m"),
    ("拒否されました taro@au.example", "拒否されました ***"),
    ("", ""),
]


@pytest.mark.parametrize("text, kept", MASKED)
def test_what_is_kept_of_a_reply(text: str, kept: str) -> None:
    assert masked(text) == kept


def test_no_more_is_looked_at_than_is_worth_it() -> None:
    """A server may send any amount of text; the work it makes us is bounded."""
    assert masked(" " * 2000 + "words") == ""


def test_a_local_part_that_stands_alone_is_taken_out_too() -> None:
    text = "5.1.1 HANAKO.yamada unknown; hanako.yamada not in directory"
    assert masked(text, about="Hanako.Yamada@au.example") == "5.1.1 *** unknown; *** not in directory"


def test_a_very_short_local_part_does_not_take_words_apart() -> None:
    assert masked("a cat", about="a@au.example") == "a cat"


some_local = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789!#$%&'*+/=?^_`{|}~.-", min_size=1, max_size=64)
some_prose = st.text(st.characters(exclude_characters="@＠﹫"), max_size=80)


@given(local=some_local, before=some_prose, after=some_prose)
def test_no_local_part_of_an_address_is_ever_kept(local: str, before: str, after: str) -> None:
    """It is looked for by a mark that the prose round it does not have."""
    marked = f"zq{local[:60]}qz"
    kept = masked(f"{before} {marked}@docomo.example {after}")
    assert marked not in kept
    assert "@" not in kept


@given(text=st.text(max_size=3000), about=st.text(max_size=80))
def test_whatever_a_server_says_is_kept_short_and_printable(text: str, about: str) -> None:
    kept = masked(text, about=about)
    assert len(kept) <= MAX_TEXT
    assert kept.isprintable()
    assert not set(kept) & set("@＠﹫")


ENHANCED = [
    ("5.1.1 User unknown", "5.1.1"),
    ("4.2.2", "4.2.2"),
    ("2.0.0 Ok", "2.0.0"),
    ("5.1.1: no", None),
    ("3.1.1 no such class", None),
    ("User unknown 5.1.1", None),
    ("192.0.2.1 is listed", None),
    ("", None),
]


@pytest.mark.parametrize("text, enhanced", ENHANCED)
def test_the_enhanced_code_stands_first_or_not_at_all(text: str, enhanced: str | None) -> None:
    assert enhanced_of(text) == enhanced


def test_a_copy_and_its_outcomes_show_no_address() -> None:
    copy = Copy(
        id=7,
        sender="b+token@gate.example",
        recipient="a..b@docomo.example",
        content=lines(b"To: a..b@docomo.example\r\n"),
    )
    assert repr(copy) == "Copy(id=7)"


def test_what_is_about_the_relay_comes_before_what_is_about_a_copy() -> None:
    phases = list(Phase)
    assert set(phases[: phases.index(Phase.MAIL)]) == BEFORE_ANY_COPY
