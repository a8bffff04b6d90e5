from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.markup import without_tags

Timer = Callable[[Callable[[], object]], float]
SECONDS = 0.2  # twice MR-17: a busy machine is slower


@pytest.mark.parametrize(
    "page, text",
    [
        ("", ""),
        ("plain", "plain"),
        (" \n plain", "plain"),
        ("<p>one</p><p>two</p>", "one\ntwo"),
        ("<div>one</div>\r\n<div><br></div>\r\n<div>two</div>", "one\n\ntwo"),
        ("one<br>two<BR/>three", "one\ntwo\nthree"),
        ("one<br><br><br><br>two", "one\n\ntwo"),
        ("a <b> bold </b> word", "a bold word"),
        ("a\n  b\tc", "a b c"),
        ("　字下げ<br>次", "　字下げ\n次"),
        ("<ul><li>a<li>b</ul>c", "a\nb\nc"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><th>c</th></tr></table>", "a b\nc"),
        ("a&nbsp;b&amp;&lt;c&gt;&#x767b;&#30331;", "a b&<c>登登"),
        ("&#99999999999;&#x110000;&nonsense; & &", "��&nonsense; & &"),
        ("&#" + "9" * 5_000 + ";", "�"),
        ("<style>p { x }</style>a<script>if (a<b) {}</script>b<TITLE>t</title>c", "abc"),
        ("a<style>never closed <p>b", "a"),
        ("a</style>b", "ab"),
        ("a<!-- <p>x</p> -->b<!--[if mso]><p>y</p><![endif]-->c", "abc"),
        ("a<!-- never closed <p>b", "a"),
        ("<!DOCTYPE html><?xml version='1.0'?><html><head></head><body>a</body></html>", "a"),
        ("1 < 2 and <3", "1 < 2 and <3"),
        ("a<b never closed", "a"),
        ("a<b<i>c", "ac"),
        ("<a href='https://x.jp'>ここ</a>", "ここ"),
        ("<>a</>b", "<>ab"),
        ("a   \n<p>b", "a\nb"),
    ],
)
def test_the_text_of_a_page_is_what_one_would_see(page: str, text: str) -> None:
    assert without_tags(page) == text


@given(
    st.lists(
        st.sampled_from(["<", ">", "p", "/", "!--", "-->", "style", "<style>", "</style", "&#", "9", ";", " ", "\n"])
    )
)
def test_stripping_never_raises(pieces: list[str]) -> None:
    text = without_tags("".join(pieces))
    assert "\n\n\n" not in text


@given(st.text(st.characters(exclude_characters="<>& \t\r\n\f\N{NO-BREAK SPACE}", exclude_categories=["Cs"])))
def test_words_without_markup_are_left_alone(words: str) -> None:
    assert without_tags(f"<p>{words}</p>") == words


@pytest.mark.parametrize(
    "unit",
    ["<", "<a", "<style>", "<style></style>", "<!--", "<!---->", "&a", "&#1;", "<div>", "<br>", " <b>", "&#99999999"],
)
def test_stripping_128_kib_takes_no_time(unit: str, cpu_seconds: Timer) -> None:
    page = (unit * 131_072)[:131_072]
    assert cpu_seconds(lambda: without_tags(page)) < SECONDS
