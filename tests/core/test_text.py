import base64
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.text import READ, MailText, cut_signature, read_text

MIB = 1 << 20
Timer = Callable[[Callable[[], object]], float]
SECONDS = 0.2  # twice MR-17: a busy machine is slower


def _plain(head: str, body: bytes) -> str:
    return read_text(head.encode() + b"\r\n\r\n" + body).text


@pytest.mark.parametrize(
    "head, body, text",
    [
        ("", b"", ""),
        ("Subject: x", b"one\r\ntwo", "one\ntwo"),
        ("Subject: x", b"one\rtwo\x0bthree", "one\ntwo\nthree"),
        ("Content-Type: text/plain; charset=utf-8", "休校です①".encode(), "休校です①"),
        ("Content-Type: text/plain; charset=shift_jis", "休校です①髙".encode("cp932"), "休校です①髙"),
        ("Content-Type: text/plain; charset=iso-2022-jp", b"\x1b$B-!|b\x1b(B\r\nok", "①髙\nok"),
        ("Content-Type: text/plain", "休校です".encode("cp932"), "休校です"),
        ('Content-Type: text/plain; charset=""', "休校です".encode(), "休校です"),
        ("Content-Type: text/plain; charset*=utf-8''%00", "休校です".encode(), "休校です"),
        ("Content-Type: text/plain; charset=zip\0", b"plain", "plain"),
        ("Content-Transfer-Encoding: base64", base64.encodebytes("休校です".encode()), "休校です"),
        ("Content-Transfer-Encoding: quoted-printable", b"=E4=BC=91=\r\n=E6=A0=A1", "休校"),
        ("Content-Type: text/plain", b"a\0b\x07c\tdSUB".replace(b"SUB", b"\x1a"), "abc\td"),
        ("Content-Type: text/plain; charset=utf-16", b"\xff\xfe\x00\xd8a\x00", "�a"),
        ("Content-Type: text/plain", "﻿休校".encode(), "休校"),
        ("Content-Type: text/html", b"<p>one</p><p>two", "one\ntwo"),
        ("Content-Type: text/html; charset=iso-2022-jp", b"<b>\x1b$B-!\x1b(B</b>", "①"),
        ("Content-Type: image/png", b"png", ""),
        ("Content-Type: multipart/mixed", b"text", ""),
    ],
)
def test_the_words_come_out_whatever_the_program_made_of_them(head: str, body: bytes, text: str) -> None:
    assert _plain(head, body) == text


@pytest.mark.parametrize(
    "body, text",
    [
        (b"a \r\nb\r\nc", "a b\nc"),
        (b"a \r\nb \r\nc", "a b c"),
        (b" stuffed\r\n  two", "stuffed\n two"),
        (b"a \r\n-- \r\nname", "a \n-- \nname"),
        (b"> q \r\nanswer", "> q \nanswer"),
        (b"a \r\n> q", "a \n> q"),
        (b"a ", "a "),
    ],
)
def test_soft_line_breaks_are_joined(body: bytes, text: str) -> None:
    assert _plain("Content-Type: text/plain; format=Flowed", body) == text
    assert _plain("Content-Type: text/plain", body) == body.decode().replace("\r\n", "\n")


def test_japanese_lines_are_joined_without_the_blank() -> None:
    head = "Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes"
    assert _plain(head, "明日は \r\n休校です".encode()) == "明日は休校です"


def _multipart(*parts: str) -> bytes:
    inner = "".join(f"--b\r\n{part}\r\n" for part in parts)
    return f"Subject: =?utf-8?b?5LyR5qCh?= \r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{inner}--b--".encode()


PLAIN = "Content-Type: text/plain\r\n\r\nwords"
HTML = "Content-Type: text/html\r\n\r\n<p>page</p>"


@pytest.mark.parametrize(
    "parts, text, attachments",
    [
        ([PLAIN], "words", 0),
        ([PLAIN, HTML], "words", 0),
        ([HTML], "page", 0),
        (["Content-Type: text/plain\r\n\r\n \r\n", HTML], "page", 0),
        ([HTML, HTML.replace("page", "more")], "page\nmore", 0),
        ([PLAIN, "Content-Type: image/jpeg\r\n\r\nx", PLAIN.replace("words", "more")], "words\nmore", 1),
        ([PLAIN, "Content-Type: application/pdf; name=a.pdf\r\n\r\nx"], "words", 1),
        ([PLAIN, "Content-Type: text/plain; name=a.txt\r\n\r\nx"], "words", 1),
        ([PLAIN, "Content-Disposition: attachment\r\n\r\nx"], "words", 1),
        ([PLAIN, "Content-Disposition: inline; filename=a.txt\r\n\r\nx"], "words", 1),
        ([PLAIN, "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny"], "words", 1),
        ([PLAIN, "Content-Type: image/gif\r\nContent-ID: <emoji>\r\n\r\nx"], "words", 0),
        ([PLAIN, "Content-Type: image/gif\r\nContent-ID: <x>\r\nContent-Disposition: attachment\r\n\r\nx"], "words", 1),
        ([PLAIN, "Content-Type: application/pdf\r\nContent-ID: <x>\r\n\r\nx"], "words", 1),
        ([PLAIN, "Content-Type: application/pkcs7-signature; name=smime.p7s\r\n\r\nx"], "words", 0),
        (
            [PLAIN, "Content-Type: application/pkcs7-signature\r\nContent-Disposition: attachment\r\n\r\nx"],
            "words",
            0,
        ),
        ([PLAIN, "Content-Type: multipart/mixed\r\n\r\nx"], "words", 0),
        (["Content-Type: image/jpeg\r\n\r\nx", "Content-Type: image/jpeg\r\n\r\nx"], "", 2),
    ],
)
def test_words_are_told_from_files(parts: list[str], text: str, attachments: int) -> None:
    assert read_text(_multipart(*parts)) == MailText(subject="休校", text=text, attachments=attachments)


def test_no_more_is_read_than_a_broadcast_may_have() -> None:
    assert len(_plain("Subject: x", b"x" * MIB)) == READ
    part = "Content-Type: text/plain\r\n\r\n" + "x" * (READ - 10)
    assert read_text(_multipart(part, part, part)).text.count("x") == READ


def test_a_mail_without_a_subject_has_an_empty_one() -> None:
    assert read_text(b"\r\nx").subject == ""


def test_the_words_do_not_show_themselves() -> None:
    assert "secret" not in repr(read_text(b"Subject: secret\r\n\r\nsecret"))


@given(st.binary())
def test_reading_never_raises(data: bytes) -> None:
    for head in (
        b"",
        b"\r\n",
        b"Content-Type: text/html; charset=iso-2022-jp\r\n\r\n",
        b"Content-Type: text/plain; charset=utf-7; format=flowed\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\nContent-Type: ",
    ):
        text = read_text(head + data)
        text.text.encode()
        text.subject.encode()


SIGNATURE = "━━━━━━━━━━\n北小学校 教頭 山田\nTEL 0144-00-0000\n━━━━━━━━━━"


@pytest.mark.parametrize(
    "text, kept, cut",
    [
        ("明日は休校です。", "明日は休校です。", ""),
        ("明日は休校です。\n\n", "明日は休校です。", ""),
        ("休校です。\n-- \n山田", "休校です。", "-- \n山田"),
        ("休校です。\n--\n山田\n教頭", "休校です。", "--\n山田\n教頭"),
        (f"休校です。\n\n{SIGNATURE}\n", "休校です。", SIGNATURE),
        ("休校です。\n-----\n山田\nkita@example.jp", "休校です。", "-----\n山田\nkita@example.jp"),
        ("休校です。\n＿＿＿＿＿\n苫小木市立北小学校\n山田", "休校です。", "＿＿＿＿＿\n苫小木市立北小学校\n山田"),
        ("休校です。\n*-*-*-*-*\n〒000-0000 港町1", "休校です。", "*-*-*-*-*\n〒000-0000 港町1"),
        ("休校です。\n=====\n電話 0144-00-0000", "休校です。", "=====\n電話 0144-00-0000"),
        ("休校です。\n=====\n0144(00)0000", "休校です。", "=====\n0144(00)0000"),
        ("休校です。\n\niPhoneから送信", "休校です。", "iPhoneから送信"),
        ("休校です。\nSent from my iPhone", "休校です。", "Sent from my iPhone"),
        ("休校です。\nGet Outlook for iOS<https://aka.ms/x>", "休校です。", "Get Outlook for iOS<https://aka.ms/x>"),
        (f"休校です。\n\n{SIGNATURE}\niPhoneから送信", "休校です。", f"{SIGNATURE}\niPhoneから送信"),
        (f"休校です。\niPhoneから送信\n{SIGNATURE}", "休校です。", f"iPhoneから送信\n{SIGNATURE}"),
        ("休校です。\n\n> 明日は?\n> 教えて", "休校です。", "> 明日は?\n> 教えて"),
        (
            "休校です。\n\n2026年11月24日(火) 7:00 山田 <a@x.jp>:\n\n> 明日は?",
            "休校です。",
            "2026年11月24日(火) 7:00 山田 <a@x.jp>:\n\n> 明日は?",
        ),
        (
            "休校です。\n\nOn Tue, Nov 24, 2026 at 7:00 AM Yamada\n<a@x.jp> wrote:\n> 明日は?\n",
            "休校です。",
            "On Tue, Nov 24, 2026 at 7:00 AM Yamada\n<a@x.jp> wrote:\n> 明日は?\n".strip("\n"),
        ),
        ("休校です。\n山田さんのメッセージ:\n＞明日は?", "休校です。", "山田さんのメッセージ:\n＞明日は?"),
        ("休校です。\n次のとおり:\n> 明日", "休校です。\n次のとおり:", "> 明日"),
        (
            "休校です。\n-----Original Message-----\nFrom: a\n本文",
            "休校です。",
            "-----Original Message-----\nFrom: a\n本文",
        ),
        ("休校です。\n---- 元のメッセージ ----\n本文", "休校です。", "---- 元のメッセージ ----\n本文"),
        (
            "休校です。\n________________\n差出人: 山田\n送信日時: 今日\n本文",
            "休校です。",
            "________________\n差出人: 山田\n送信日時: 今日\n本文",
        ),
        ("休校です。\nFrom: 山田\nTo: x\nSent: today\n本文", "休校です。", "From: 山田\nTo: x\nSent: today\n本文"),
        ("休校です。\nFrom: 山田\na\nb\nSent: today", "休校です。\nFrom: 山田\na\nb\nSent: today", ""),
        ("休校です。\nFrom: 山田\nSent: today\n本文", "休校です。", "From: 山田\nSent: today\n本文"),
    ],
)
def test_what_is_not_the_message_is_cut_and_shown(text: str, kept: str, cut: str) -> None:
    assert cut_signature(text) == (kept, cut)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "日程です。\n----------\n日時: 12月1日\n場所: 体育館\n----------\n詳しくは後日お知らせします。",
        "日程です。\n----------\n日時: 12月1日\n場所: 体育館\n----------",
        "━━━━━━\n臨時休校のお知らせ\n━━━━━━\n明日は休校です。",
        "明日は休校です。\n━━━━━━",
        "休校です。\n-----\n" + "予定\n" * 9 + "TEL 0144-00-0000",
        "休校です。\n-----\n" + "TEL 0144-00-0000 " + "長い文" * 100,
        "休校です。\n-----\n会場: 北小学校",
        "電話 0144-00-0000\n-----\n以上です。",
        "ご連絡します。\n> 明日は?\n明日は休校です。",
        SIGNATURE,
        "> 明日は?",
        "iPhoneから送信",
        "From: 山田",
        "-- \n山田",
        "---\n電話 0144-00-0000",
        "電話 0144-00-0000",
    ],
)
def test_what_may_be_the_message_stays(text: str) -> None:
    assert cut_signature(text) == (text.rstrip(), "")


def test_a_signature_far_from_the_end_is_none() -> None:
    text = "休校です。\n--\n" + "予定\n" * 30
    assert cut_signature(text) == (text.rstrip(), "")


LINES = [
    "休校です。",
    "",
    "-- ",
    "-----",
    "> q",
    "TEL 0144-00-0000",
    "On 1 wrote:",
    "From: a",
    "Date: b",
    "iPhoneから送信",
]


@given(st.lists(st.one_of(st.sampled_from(LINES), st.text("ab-> \t:", max_size=8))).map("\n".join))
def test_nothing_is_lost_and_never_everything_is_cut(text: str) -> None:
    kept, cut = cut_signature(text)
    assert text.startswith(kept)
    assert kept.split() + cut.split() == text.split()
    assert bool(kept.strip()) is bool(text.strip())


def _read_and_cut(mail: bytes) -> None:
    cut_signature(read_text(mail).text)


@pytest.mark.parametrize("charset", ["utf-8", "iso-2022-jp", "utf-7"])
@pytest.mark.parametrize("encoding", ["7bit", "base64", "quoted-printable"])
def test_reading_1_mib_takes_no_time(charset: str, encoding: str, cpu_seconds: Timer) -> None:
    head = f"Content-Type: text/plain; format=flowed; charset={charset}\nContent-Transfer-Encoding: {encoding}\n\n".encode()
    units = [
        b"=",
        b"\x1b$B-!",
        b"\xff",
        b"A",
        b"\n",
        b" \n",
        b"> \n",
        b"-----\n",
        b"-- \n",
        b"=\n",
        b"From:\nDate:\n",
        b"\r",
    ]
    for unit in units:
        mail = head + (unit * MIB)[:MIB]
        assert cpu_seconds(partial(_read_and_cut, mail)) < SECONDS


@pytest.mark.parametrize(
    "line",
    [
        "a" * READ,
        "-" * READ,
        "-" * READ + "x",
        " " * READ + "x",
        "@" * READ,
        "From:" * 20_000,
        "On 1 " * 20_000 + ":",
        "0" * READ,
    ],
    ids=["letters", "rule", "broken rule", "blanks", "at-signs", "from", "on", "digits"],
)
def test_cutting_long_lines_takes_no_time(line: str, cpu_seconds: Timer) -> None:
    text = f"休校です。\n-----\n{line}\n{line}\n> q"
    assert cpu_seconds(lambda: cut_signature(text)) < SECONDS
