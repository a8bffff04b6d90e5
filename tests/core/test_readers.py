import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.readers import TAG, Language, unlinked


def test_a_language_is_the_word_in_the_database_and_has_a_tag_for_programs() -> None:
    assert [str(language) for language in Language] == ["ja", "easy", "en"]
    assert [TAG[language] for language in Language] == ["ja", "ja", "en"]


@pytest.mark.parametrize(
    "text, shown",
    [
        ("", ""),
        ("あすは休みです。", "あすは休みです。"),
        ("https://example.jp/a?b=c", "example.jp/a?b=c"),
        ("詳しくはHTTP://Example.jp をご覧ください", "詳しくはExample.jp をご覧ください"),
        ("http://a.jp https://b.jp", "a.jp b.jp"),
        ("http のページ", "ｈｔｔｐ のページ"),
        ("HTTPの話", "ＨＴＴＰの話"),
        ("hhttp://ttp://example.jp", "ｈｔｔｐ://example.jp"),
        ("http:/example.jp", "ｈｔｔｐ:/example.jp"),
        ("htp://example.jp", "htp://example.jp"),
    ],
)
def test_a_page_is_shown_as_on_paper(text: str, shown: str) -> None:
    assert unlinked(text) == shown


PIECES = ("h", "t", "p", "s", "http", "https", "://", "http://", "HTTPS://", "Http", "example.jp", "ſ", " ", "あ")


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=12).map("".join))
def test_no_text_keeps_a_url_and_a_text_without_one_keeps_all(text: str) -> None:
    shown = unlinked(text)
    assert "http" not in shown.lower()
    assert unlinked(shown) == shown
    if "http" not in text.lower():
        assert shown == text
