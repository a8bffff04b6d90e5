import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.broadcast import TAG, Kind
from mailgate.core.drafting import Caution, Draft, draft

TEXT = "本日は臨時休業とします。"


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(
    "form",
    [
        "【{}】明日の休校",
        "［{}］明日の休校",
        "[{}]明日の休校",
        "[{}] 明日の休校",
        "「{}」明日の休校",
        "『{}』明日の休校",
        "〔{}〕明日の休校",
        "({})明日の休校",
        "（{}）明日の休校",
        "＜{}＞明日の休校",
        "<{}>明日の休校",
        "《{}》明日の休校",
        "〈{}〉明日の休校",
        "【 {} 】　明日の休校",
        "【{}】：明日の休校",
        "【{}]明日の休校",
        "{}:明日の休校",
        "{}: 明日の休校",
        "{}：明日の休校",
        "{} ： 明日の休校",
        "　【{}】明日の休校 ",
        "Re: 【{}】明日の休校",
        "RE：[{}]明日の休校",
        "Re[2]: Fwd: 【{}】明日の休校",
        "Re^2:fw:Fw :{}:明日の休校",
        "re3: 【{}】明日の休校",
        "転送: 【{}】明日の休校",
        "返信：【{}】明日の休校",
        "【{}】\r\n 明日の休校",
    ],
)
def test_a_leading_tag_in_any_form_says_the_kind_and_is_taken_off(form: str, kind: Kind) -> None:
    made = draft(form.format(TAG[kind]), TEXT)
    assert (made.kind, made.subject) == (kind, "明日の休校")


@pytest.mark.parametrize(
    "subject, rest",
    [
        ("明日の休校", "明日の休校"),
        ("Re: 明日の休校", "明日の休校"),
        ("明日の【緊急連絡】", "明日の【緊急連絡】"),
        ("緊急連絡網の確認", "緊急連絡網の確認"),
        ("緊急連絡 網の確認", "緊急連絡 網の確認"),
        ("【緊急連絡網】確認", "【緊急連絡網】確認"),
        ("【重要】緊急連絡", "【重要】緊急連絡"),
        ("Report: 明日", "Report: 明日"),
        ("Re 明日", "Re 明日"),
        ("", ""),
        (" \t\r\n　", ""),
        ("Re:", ""),
    ],
)
def test_without_a_leading_tag_it_is_a_notice(subject: str, rest: str) -> None:
    made = draft(subject, TEXT)
    assert (made.kind, made.subject) == (Kind.NOTICE, rest)


@pytest.mark.parametrize("subject", ["【緊急連絡】", "緊急連絡", "緊急連絡：", " [緊急連絡] "])
def test_a_tag_alone_leaves_an_empty_subject(subject: str) -> None:
    made = draft(subject, TEXT)
    assert (made.kind, made.subject) == (Kind.EMERGENCY, "")


def test_the_first_tag_decides_and_only_it_is_taken_off() -> None:
    made = draft("【訓練】【緊急連絡】地震", TEXT)
    assert (made.kind, made.subject) == (Kind.DRILL, "【緊急連絡】地震")


@pytest.mark.parametrize(
    "subject, clean",
    [
        ("運動会\x00の\x1b延期", "運動会 の 延期"),
        ("運動会\r\nBcc: x", "運動会 Bcc: x"),
        ("  運動会 　 の\t延期  ", "運動会 の 延期"),
        ("運動会\u2028の\x85延期", "運動会 の 延期"),
        ("運動会\u202eの\udc80延期", "運動会 の 延期"),
        ("髙橋𠮷太", "髙橋𠮷太"),
    ],
)
def test_a_subject_is_one_clean_line(subject: str, clean: str) -> None:
    assert draft(subject, TEXT).subject == clean


@pytest.mark.parametrize(
    "text, clean",
    [
        ("一\r\n二\r三\n四", "一\n二\n三\n四"),
        ("一\u2028二\x0b三\x85四", "一\n二\n三\n四"),
        ("一  \n二　\n三\t", "一\n二\n三"),
        ("\n \n　一\n\n二\n\n\n", "　一\n\n二"),
        ("一\x00\x07\x1b二\u202e三\ud83d四", "一二三四"),
        ("一\t二", "一\t二"),
    ],
)
def test_text_has_plain_line_ends_and_no_blanks_behind(text: str, clean: str) -> None:
    assert draft("s", text).text == clean


def test_a_signature_is_cut_and_kept_apart() -> None:
    made = draft("s", f"{TEXT}\r\n-- \r\n北小学校\r\nkita@example.jp\r\n")
    assert made.text == TEXT
    assert "kita@example.jp" in made.cut
    assert made.warnings == ()


@pytest.mark.parametrize(
    "subject, text, warnings",
    [
        ("s", TEXT, ()),
        ("s", f"{TEXT}連絡はkita.es@example.jpまで", (Caution.MAIL_ADDRESS,)),
        ("s", f"{TEXT}連絡はｋｉｔａ＠ｅｘａｍｐｌｅ．ｊｐまで", (Caution.MAIL_ADDRESS,)),
        ("s", 'a "k..x"@example.jp b', (Caution.MAIL_ADDRESS,)),
        ("s", "foo..@docomo.ne.jp", (Caution.MAIL_ADDRESS,)),
        ("kita@example.jp", TEXT, (Caution.MAIL_ADDRESS,)),
        ("s", "集合 @ 体育館", ()),
        ("s", "1個@100円", ()),
        ("s", f"{TEXT}詳しくはhttps://example.jp/a", (Caution.URL,)),
        ("s", "HTTP://EXAMPLE.JP", (Caution.URL,)),
        ("s", "詳しくはwww.example.jpへ", (Caution.URL,)),
        ("s", "ｈｔｔｐｓ：／／example.jp", (Caution.URL,)),
        ("s", "awww.", ()),
        ("s", "", (Caution.NO_TEXT,)),
        ("s", " \r\n　\r\n", (Caution.NO_TEXT,)),
        ("https://example.jp", "", (Caution.URL, Caution.NO_TEXT)),
        ("s", "a@b.jp https://example.jp", (Caution.MAIL_ADDRESS, Caution.URL)),
    ],
)
def test_the_sender_is_warned(subject: str, text: str, warnings: tuple[Caution, ...]) -> None:
    assert draft(subject, text).warnings == warnings


def test_a_draft_does_not_show_its_words() -> None:
    made = draft("【緊急連絡】明日の休校", f"{TEXT}\n-- \n北小学校")
    assert repr(made) == f"Draft(kind={Kind.EMERGENCY!r}, warnings=())"


@given(st.text(max_size=60), st.text(max_size=200))
def test_no_mail_raises_and_a_draft_drafted_again_stays_clean(subject: str, text: str) -> None:
    made = draft(subject, text)
    assert isinstance(made, Draft)
    assert "\n" not in made.subject
    assert "\r" not in made.subject + made.text
    assert made.subject == made.subject.strip()
    assert all(line == line.rstrip() for line in made.text.split("\n"))
    assert (Caution.NO_TEXT in made.warnings) is (made.text == "")


@pytest.mark.parametrize("flood", ["re:", "[", "@", "a", " ", "a@b-", "【緊急連絡", "www.", "\n", "緊急連絡 "])
def test_long_floods_are_read_in_one_go(flood: str) -> None:
    assert isinstance(draft(flood * 30_000, flood * 30_000), Draft)
