import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.broadcast import TAG
from mailgate.core.headers import scan
from mailgate.core.replies import answered, is_empty_reply
from mailgate.core.text import own_words

REPLIES = Path(__file__).resolve().parents[2] / "data" / "replies"
with (REPLIES / "replies.csv").open(encoding="ascii", newline="") as file:
    ROWS = list(csv.DictReader(file))
MIB = 1 << 20
Timer = Callable[[Callable[[], object]], float]
SECONDS = 0.2  # twice MR-17: a busy machine is slower


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["file"]))
def test_a_reply_is_told_from_a_text(row: dict[str, str]) -> None:
    assert is_empty_reply((REPLIES / row["file"]).read_bytes()) is (row["expect"] == "receipt")


def test_each_reply_has_its_row() -> None:
    assert sorted(row["file"] for row in ROWS) == sorted(path.name for path in REPLIES.glob("*.eml"))
    assert {row["expect"] for row in ROWS} == {"receipt", "text"}


def mail(*, subject: str | None = None, text: str = "", head: str = "") -> bytes:
    lines = head if subject is None else f"Subject: {subject}\r\n{head}"
    return f"{lines}Content-Type: text/plain; charset=utf-8\r\n\r\n{text}".encode()


@pytest.mark.parametrize(
    "text",
    [
        *("", "\n\n", " \t\u3000\u00a0\u200b\n", ".", "。", "あ", "1", "👍🏻🙇‍♀️", "m(__)"),
        *("-- \n北 花子", "> 了解", "＞了解", "Sent with Proton Mail."),
    ],
)
def test_what_has_less_than_two_letters_of_its_own_says_nothing(text: str) -> None:
    assert is_empty_reply(mail(text=text))


@pytest.mark.parametrize("text", ["OK", "はい", "12", "了解👍", "あ\nい", "> 了解\nはい", "はい\n> 了解", "Á á"])
def test_two_letters_say_something(text: str) -> None:
    assert not is_empty_reply(mail(text=text))


@pytest.mark.parametrize(
    "subject",
    [
        *("", "Re:", "RE: 欠席します", "re[2]: 遠足", "Re^3: 遠足", "Re：遠足", "RE>遠足", "返信: 遠足", "AW: 遠足", "。", "あ"),
        *("無題", "(無題)", "（件名なし）", "<No Subject>", "(no title)", "空メール"),
        *(f"【{tag}】遠足" for tag in TAG.values()),
    ],
)
def test_a_subject_that_the_writer_did_not_think_of_says_nothing(subject: str) -> None:
    assert is_empty_reply(mail(subject=subject))


@pytest.mark.parametrize("subject", ["欠席します", "【欠席】3年1組", "Fwd: 遠足", "Reの件", "touroku", "遠足 Re:"])
def test_a_subject_of_the_writers_own_says_something_unless_the_mail_is_an_answer(subject: str) -> None:
    assert not is_empty_reply(mail(subject=subject))
    assert is_empty_reply(mail(subject=subject, head="In-Reply-To: <a@b>\r\n"))


@pytest.mark.parametrize(
    "box",
    [
        '<blockquote type="cite">{}</blockquote>',
        "<BLOCKQUOTE>{}</BLOCKQUOTE>",
        '<div class="gmail_quote gmail_quote_container">{}</div>',
        '<div id="yahoo_quoted_123" class="yahoo_quoted">{}</div>',
        '<hr><div id="divRplyFwdMsg" dir="ltr">{}</div>',
        '<div id="appendonsend"></div><div>{}</div>',
        '<div class="moz-cite-prefix">{}</div>',
        '<div class="protonmail_quote">{}</div>',
    ],
)
@pytest.mark.parametrize("above, empty", [("<br>", True), ("<p>迎えは何時ですか</p>", False)])
def test_an_answered_mail_in_a_page_does_not_count(box: str, above: str, empty: bool) -> None:
    page = f"<html><body>{above}{box.format('本日は臨時休業とします。')}</body></html>"
    content = f"In-Reply-To: <a@b>\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{page}".encode()
    assert is_empty_reply(content) is empty


@pytest.mark.parametrize("part, empty", [("image/png\r\nContent-ID: <badge>", True), ("image/png", False), ("application/pdf", False)])
def test_a_file_says_something_and_a_picture_in_the_page_does_not(part: str, empty: bool) -> None:
    parts = f"--b\r\nContent-Type: text/plain\r\n\r\n\r\n--b\r\nContent-Type: {part}\r\n\r\nx\r\n--b--"
    assert is_empty_reply(f"Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}".encode()) is empty


@pytest.mark.parametrize(
    "introduction",
    [
        "2026年12月1日(火) 6:30 学校メール <renraku@gate.example.jp>:",
        "2026年12月1日(火) 6:30 学校メール\n<renraku@gate.example.jp>:",
        "On Tue, Dec 1, 2026 at 6:30 AM 学校メール\n<renraku@gate.example.jp>\nwrote:",
        "2026/12/01 6:30、学校メールのメール：",
        "学校メール <renraku@gate.example.jp> さんは書きました:",
        "差出人: 学校メール\n送信日時: 2026/12/01",
        "From: 学校メール\nDate: 2026/12/01",
        "-----Original Message-----",
        "---- 元のメール ----",
    ],
)
def test_all_below_an_introduction_is_the_answered_mail_marked_or_not(introduction: str) -> None:
    assert own_words(f"\n\n{introduction}\n\n本日は休校です。") == ""
    assert own_words(f"迎えは何時ですか\n\n{introduction}\n\n本日は休校です。") == "迎えは何時ですか"
    assert own_words(f"迎えは何時ですか\n\n{introduction}\n> 本日は休校です。\n\niPhoneから送信") == "迎えは何時ですか"


@pytest.mark.parametrize(
    "footer",
    [
        *("iPhoneから送信", "スマートフォンから送信しています。", "Yahoo!メールアプリから送信", "auから送信されたメールです"),
        *("Sent from my iPhone", "Sent with Proton Mail secure email.", "Get Outlook for iOS<https://aka.ms/o0ukef>"),
        *("Outlook for iOS<https://aka.ms/o0ukef>を入手", "Android 版 Outlook を取得"),
    ],
)
def test_what_a_phone_adds_is_not_written_by_its_owner(footer: str) -> None:
    assert own_words(f"\n\n{footer}\n") == ""
    assert own_words(f"\n\n{footer}\n\n> 本日は休校です。") == ""


def test_a_sentence_above_an_introduction_is_none_of_its_lines() -> None:
    assert own_words("2026/12/1は休みます\n\n学校メール <a@b.jp> wrote:\n> 明日は") == "2026/12/1は休みます"


TOKEN = "m" * 26


@pytest.mark.parametrize(
    "head, token",
    [
        (f"In-Reply-To: <{TOKEN}@gate.example.jp>", TOKEN),
        (f"In-Reply-To:\r\n <{TOKEN}@GATE.example.jp>", TOKEN),
        (f"References: <a@b.jp> <x@gate.example.jp>\r\n <{TOKEN}@gate.example.jp>", TOKEN),
        (f"References: <x@gate.example.jp>\r\nIn-Reply-To: <{TOKEN}@gate.example.jp>", TOKEN),
        (f"References: <{TOKEN}@gate.example.jp>\r\nIn-Reply-To: <a@b.jp>", TOKEN),
        (f"References: {'<a@b.jp> ' * 500}\r\nIn-Reply-To: <{TOKEN}@gate.example.jp>", TOKEN),
        (f"References: <{TOKEN}@gate.example.jp> {'<a@b.jp> ' * 500}", None),
        ("", None),
        ("In-Reply-To: <a@b.jp>", None),
        (f"In-Reply-To: <{TOKEN}@other.jp>", None),
        (f"In-Reply-To: {TOKEN}@gate.example.jp", None),
        (f"In-Reply-To: <{TOKEN}+x@gate.example.jp>", None),
        (f"Subject: <{TOKEN}@gate.example.jp>", None),
    ],
)
def test_the_mail_that_was_answered_is_known_by_its_message_id(head: str, token: str | None) -> None:
    assert answered(scan(f"{head}\r\n\r\n".encode()), domain="gate.example.jp") == token


@given(st.text("ab1あ>:@/-. \n", max_size=60))
def test_a_mail_that_is_quoted_whole_says_nothing(text: str) -> None:
    quoted = "\n".join(f"> {line}" for line in text.split("\n"))
    assert is_empty_reply(mail(text=f"\n\n2026/12/01 6:30 学校メール <renraku@gate.example.jp>:\n\n{quoted}\n"))


@given(st.binary())
def test_whatever_comes_is_answered_by_yes_or_no(data: bytes) -> None:
    for head in (b"", b"\r\n", b"Content-Type: text/html\r\n\r\n", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"):
        assert is_empty_reply(head + data) in (True, False)


@pytest.mark.parametrize("unit", [b"<a ", b"<blockquot", b"<a gmail_quot", b"> \n", b"a@b:\n", b"On 1\n", b"@", b"\x00"])
def test_looking_at_1_mib_takes_no_time(unit: bytes, cpu_seconds: Timer) -> None:
    for kind in (b"plain", b"html"):
        content = b"Content-Type: text/%b\r\n\r\n%b" % (kind, (unit * MIB)[:MIB])
        assert cpu_seconds(lambda content=content: is_empty_reply(content)) < SECONDS  # type: ignore[misc]  # bound now
