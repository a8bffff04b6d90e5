import re
import shutil
import unicodedata
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgate.core.broadcast import TAG, Kind
from mailgate.core.instants import MINUTE, Instant
from mailgate.core.letters import (
    LETTERS,
    MAX_MAIL,
    BroadcastText,
    CopyFacts,
    ForOperator,
    Letter,
    Refusal,
    StaffRefused,
    Stopped,
    fits,
)
from mailgate.letters import headers
from mailgate.letters.writer import LetterTooLong, Prepared, Writer
from mailgate.places import folder
from tests.letters.builders import (
    BROADCAST,
    COMPLETION,
    ENVELOPE,
    FACTS,
    FOR_OPERATOR,
    HOUSE,
    INVITATION,
    ORIGINAL,
    PREVIEW,
    SINGLE,
    STOPPED,
    a_writer,
    header_lines,
    read,
    text_of,
)

WRITER = a_writer()
MAILS = {
    **{
        f"{letter.name} {letter.reason}" if isinstance(letter, StaffRefused) else letter.name: WRITER.write(
            letter, ENVELOPE
        )
        for letter in SINGLE
    },
    **{f"broadcast {kind}": WRITER.prepare(replace(BROADCAST, kind=kind)).copy(FACTS) for kind in Kind},
    "broadcast staff": WRITER.prepare(BROADCAST).copy(CopyFacts(envelope=ENVELOPE, pupils=(), link=None)),
}
EVERY_MAIL = pytest.mark.parametrize("mail", MAILS.values(), ids=list(MAILS))

URL = re.compile(r"https?://\S+")

OWN_LINES = ["From", "To", "Date", "Message-ID"]
TEXT_LINES = [
    "Subject", "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Language", "Auto-Submitted",
    "X-Auto-Response-Suppress",
]  # fmt: skip
STOP_LINES = ["List-Unsubscribe", "List-Unsubscribe-Post"]
LIST_LINES = ["List-Id", "Feedback-ID"]
URGENT_LINES = ["Importance", "X-Priority"]


@pytest.mark.parametrize(
    "name, expected",
    [
        ("invitation", OWN_LINES + TEXT_LINES),
        ("completion", [*OWN_LINES, "Reply-To", *TEXT_LINES]),
        ("preview", OWN_LINES + TEXT_LINES),
        *((f"staff_refused {reason}", OWN_LINES + TEXT_LINES) for reason in Refusal),
        ("stopped", OWN_LINES + TEXT_LINES),
        ("for_operator", OWN_LINES + TEXT_LINES),
        ("broadcast emergency", [*OWN_LINES, "Reply-To", *TEXT_LINES, *LIST_LINES, *URGENT_LINES]),
        ("broadcast alert", [*OWN_LINES, "Reply-To", *TEXT_LINES, *LIST_LINES]),
        ("broadcast education", [*OWN_LINES, "Reply-To", *STOP_LINES, *TEXT_LINES, *LIST_LINES]),
        ("broadcast notice", [*OWN_LINES, "Reply-To", *STOP_LINES, *TEXT_LINES, *LIST_LINES]),
        ("broadcast drill", [*OWN_LINES, "Reply-To", *STOP_LINES, *TEXT_LINES, *LIST_LINES]),
        ("broadcast staff", [*OWN_LINES, "Reply-To", *TEXT_LINES, *LIST_LINES, *URGENT_LINES]),
    ],
)
def test_a_mail_has_these_headers_and_no_other(name: str, expected: list[str]) -> None:
    assert read(MAILS[name]).keys() == expected


def test_every_mail_is_in_the_table_of_headers() -> None:
    assert len(MAILS) == len(LETTERS) + len(Refusal) - 1 + len(Kind) + 1


@EVERY_MAIL
def test_a_mail_says_from_whom_it_is_for_whom_and_which_it_is(mail: bytes) -> None:
    message = read(mail)
    assert str(message["From"]) == "学校メール <renraku@gate.example.jp>"
    lines = header_lines(mail)
    assert "To: <a..b@docomo.ne.jp>" in lines
    assert "Date: Tue, 24 Nov 2026 15:40:00 +0900" in lines
    assert "Message-ID: <mmmmmmmmmmmmmmmmmmmmmmmmmm@gate.example.jp>" in lines
    assert "MIME-Version: 1.0" in lines
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["Content-Language"] == "ja"
    assert message.get("Reply-To") in (None, f"k+{ENVELOPE.receipt_token}@gate.example.jp")


@EVERY_MAIL
def test_a_mail_is_short_ascii_lines_ended_by_crlf(mail: bytes) -> None:
    assert mail.isascii()
    assert len(mail) < MAX_MAIL
    assert mail.endswith(b"\r\n")
    assert b"\r" not in mail.replace(b"\r\n", b"")
    assert b"\n" not in mail.replace(b"\r\n", b"")
    assert max(map(len, mail.split(b"\r\n"))) <= 78
    assert not any(line.strip() == b"" for line in mail.partition(b"\r\n\r\n")[0].split(b"\r\n"))


@EVERY_MAIL
def test_a_mail_reads_well_on_a_small_screen(mail: bytes) -> None:
    text = text_of(mail)
    for line in text.split("\n"):
        columns = sum(2 if unicodedata.east_asian_width(character) in "FWA" else 1 for character in line)
        assert columns <= 76 or URL.fullmatch(line), line
        assert line == line.rstrip()
    assert "\n\n\n" not in text
    assert not text.startswith("\n")
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    # Half-width brackets and colons in Japanese are a slip of the keyboard.
    assert re.search("[\u3040-\u9fff][(:]|[):][\u3040-\u9fff]", text) is None


@EVERY_MAIL
def test_every_url_of_a_mail_stands_alone_on_its_line(mail: bytes) -> None:
    text = text_of(mail)
    assert all(url in text.split("\n") for url in URL.findall(text))
    assert "http" not in URL.sub("", text)


@EVERY_MAIL
def test_only_an_invitation_is_a_reply(mail: bytes) -> None:
    expected = "auto-replied" if mail == MAILS["invitation"] else "auto-generated"
    assert read(mail)["Auto-Submitted"] == expected


@EVERY_MAIL
def test_a_mail_names_its_reader_in_one_header_and_its_bounce_token_nowhere(mail: bytes) -> None:
    assert mail.count(b"docomo.ne.jp") == 1
    assert "a..b" not in text_of(mail)
    assert ENVELOPE.bounce_token.encode() not in mail


@pytest.mark.parametrize("letter", [*SINGLE], ids=lambda letter: letter.name)
def test_the_same_letter_gives_the_same_octets_on_every_try(letter: Letter) -> None:
    assert WRITER.write(letter, ENVELOPE) == a_writer().write(letter, replace(ENVELOPE))


def test_an_invitation_begins_with_what_is_registered_and_holds_one_link_and_the_code() -> None:
    lines = text_of(MAILS["invitation"]).split("\n")
    assert lines[0] == "このメールが届いたアドレスを登録します。"
    assert URL.findall("\n".join(lines)) == [INVITATION.link]
    assert lines.index(INVITATION.link) < lines.index("1234 5678")
    assert sum(re.search(r"\d{4} ?\d{4}", line) is not None for line in lines) == 1
    assert any("gate.example.jp を受信リストに" in line for line in lines)
    assert any("touroku.example.jp を開き" in line for line in lines)
    assert any("11月25日（水）15時40分まで" in line for line in lines)
    assert sum(line.isascii() and line.startswith("To register") for line in lines) == 1
    assert "touroku@gate.example.jp" in lines


def test_an_invitation_says_a_full_hour_without_minutes() -> None:
    text = text_of(
        WRITER.write(replace(INVITATION, valid_until=Instant(INVITATION.valid_until + 20 * MINUTE)), ENVELOPE)
    )
    assert "11月25日（水）16時まで" in text


def test_a_completion_asks_for_a_receipt_and_tells_what_was_registered() -> None:
    text = text_of(MAILS["completion"])
    assert URL.findall(text) == [COMPLETION.receipt_link, COMPLETION.another_link]
    for told in ("hanako2026", "北 花子 さん", "北小学校", "3年1組", "母のスマホ", "フリーメール", "返信してください"):
        assert told in text
    assert all(f"【{tag}】" in text for tag in TAG.values())


def test_a_completion_leaves_out_what_does_not_apply() -> None:
    letter = replace(COMPLETION, free_mail=False, another_link=None, label="", class_text="")
    text = text_of(WRITER.write(letter, ENVELOPE))
    assert URL.findall(text) == [COMPLETION.receipt_link]
    assert "フリーメール" not in text
    assert "きょうだい" not in text
    assert "呼び名" not in text
    assert "学年・学級：まだ決まっていない" in text
    assert "\n\n\n" not in text


def test_a_preview_shows_the_text_as_it_will_look_and_whom_it_reaches() -> None:
    text = text_of(MAILS["preview"])
    assert text.startswith("まだ、どなたにも送っていません。\n")
    assert URL.findall(text) == [PREVIEW.link]
    assert f"\n{PREVIEW.text}\n" in text
    for told in (
        "【緊急連絡】あすの臨時休業",
        "北小学校 3年、南小学校",
        "1,234件",
        "812人",
        "41人",
        "PIN",
        PREVIEW.cut,
    ):
        assert told in text
    assert "配信先が増えました" in text
    assert text.count("・本") == 3


def test_a_preview_leaves_out_what_does_not_apply() -> None:
    letter = replace(PREVIEW, widened=False, pupils=0, warnings=(), cut="", text="", subject="")
    mail = WRITER.write(letter, ENVELOPE)
    text = text_of(mail)
    for absent in ("増えました", "児童生徒", "署名", "お確かめください\n", "未登録"):
        assert absent not in text
    assert "〔本文なし〕" in text
    assert read(mail)["Subject"] == "【送信前の確認】〔件名なし〕"
    assert "\n\n\n" not in text


@pytest.mark.parametrize(
    "recipients, told", [(0, "：0件"), (1, "：1〜4件"), (4, "：1〜4件"), (5, "：5件"), (36_000, "：36,000件")]
)
def test_a_preview_does_not_tell_apart_so_few_addresses_that_they_are_persons(recipients: int, told: str) -> None:
    assert told in text_of(WRITER.write(replace(PREVIEW, recipients=recipients), ENVELOPE))


def test_a_preview_without_a_roster_says_that_nobody_knows_who_is_missing() -> None:
    text = text_of(WRITER.write(replace(PREVIEW, unregistered=None), ENVELOPE))
    assert "うち未登録：名簿がないため分かりません" in text
    assert "0人" not in text


def test_a_preview_shows_a_warning_that_is_already_in_words() -> None:
    assert "\n・お子さまの氏名があります\n" in text_of(
        WRITER.write(replace(PREVIEW, warnings=("お子さまの氏名があります",)), ENVELOPE)
    )


def test_a_preview_shows_the_beginning_of_a_long_cut() -> None:
    text = text_of(WRITER.write(replace(PREVIEW, cut="x" * 501), ENVELOPE))
    assert "x" * 500 + "\n〔以下略〕\n" in text
    assert "〔以下略〕" not in text_of(WRITER.write(replace(PREVIEW, cut="x" * 500), ENVELOPE))


@pytest.mark.parametrize(
    "reason, told",
    [
        (Refusal.UNKNOWN_AUDIENCE, "haishin+kita-es.3-1@gate.example.jp"),
        (Refusal.BEYOND_SCOPE, "任された範囲"),
        (Refusal.NO_TEXT, "本文を書いて"),
        (Refusal.TOO_LARGE, "本文を短くし"),
    ],
)
def test_a_refusal_says_that_nothing_was_sent_and_what_to_do(reason: Refusal, told: str) -> None:
    text = text_of(MAILS[f"staff_refused {reason}"])
    assert text.startswith("お送りいただいたメールは、配信していません。\n")
    assert told in text
    assert ("kita-ex.3" in text) is (reason in (Refusal.UNKNOWN_AUDIENCE, Refusal.BEYOND_SCOPE))


def test_a_refusal_without_a_subject_or_an_audience_reads_well_too() -> None:
    mail = WRITER.write(StaffRefused(reason=Refusal.UNKNOWN_AUDIENCE, audience="", subject=""), ENVELOPE)
    assert read(mail)["Subject"] == "【送れませんでした】配信の受け付けについて"
    assert "〔配信先なし〕" in text_of(mail)


def test_a_stop_says_what_still_comes_and_the_way_back() -> None:
    text = text_of(MAILS["stopped"])
    stopped, _, coming = text.partition("これからも届きます")
    assert all((f"【{TAG[kind]}】" in stopped) is not replace(BROADCAST, kind=kind).is_alarm for kind in Kind)
    assert all((f"【{TAG[kind]}】" in coming) is replace(BROADCAST, kind=kind).is_alarm for kind in Kind)
    assert URL.findall(text) == [STOPPED.resume_link]


def test_the_operator_gets_the_original_as_a_mail() -> None:
    message = read(MAILS["for_operator"])
    assert message.get_content_type() == "multipart/mixed"
    assert "初めの部分" not in text_of(MAILS["for_operator"])
    assert ORIGINAL in MAILS["for_operator"]


@pytest.mark.parametrize("content", [b"a: b\r\n\r\n" + b"x" * 70 + b"\r\n", b"\xe3" * 200])
def test_the_operator_gets_the_beginning_of_a_mail_that_is_too_large(content: bytes) -> None:
    mail = WRITER.write(ForOperator(content * 5_000), ENVELOPE)
    assert len(mail) < MAX_MAIL
    assert "大きいため、添付は初めの部分だけです。" in text_of(mail)


def test_without_a_helpline_no_mail_promises_one() -> None:
    writer = a_writer(replace(HOUSE, helpline=""))
    assert all("お問い合わせ" not in text_of(writer.write(letter, ENVELOPE)) for letter in SINGLE)
    assert "お問い合わせ 0120-000-000\n" in text_of(MAILS["invitation"])


@pytest.mark.parametrize("kind", Kind)
def test_a_copy_has_the_tag_the_text_its_link_and_its_pupils(kind: Kind) -> None:
    mail = MAILS[f"broadcast {kind}"]
    assert read(mail)["Subject"] == f"【{TAG[kind]}】あすの臨時休業"
    text = text_of(mail)
    assert text.startswith("北小学校より\n")
    assert f"\n\n{BROADCAST.text}\n\n" in text
    assert URL.findall(text) == [FACTS.link]
    assert "\n北 花子 さん\n北 太郎 さん\n" in text
    assert ("これは訓練のメールです" in text) is (kind is Kind.DRILL)
    assert text.endswith("\n北小学校\nみどり市教育委員会\n")


@pytest.mark.parametrize("kind", [Kind.EMERGENCY, Kind.ALERT])
def test_an_alarm_carries_no_stop_anywhere(kind: Kind) -> None:
    mail = MAILS[f"broadcast {kind}"]
    assert ENVELOPE.stop_token.encode() not in mail
    assert ENVELOPE.stop_token not in text_of(mail)
    assert "stop" not in text_of(mail)


def test_a_copy_without_a_link_asks_for_nothing() -> None:
    text = text_of(MAILS["broadcast staff"])
    assert text == f"北小学校より\n\n{BROADCAST.text}\n\n{'-' * 30}\n北小学校\nみどり市教育委員会\n"


def test_a_broadcast_of_the_board_names_it_once_at_the_end() -> None:
    prepared = WRITER.prepare(replace(BROADCAST, sender_name="みどり市教育委員会", list_key="all"))
    mail = prepared.copy(FACTS)
    assert text_of(mail).startswith("みどり市教育委員会より\n")
    assert text_of(mail).count("みどり市教育委員会") == 2
    assert read(mail)["List-Id"] == "<all.gate.example.jp>"


def test_a_broadcast_without_a_text_is_its_subject() -> None:
    text = text_of(WRITER.prepare(replace(BROADCAST, text="\n")).copy(FACTS))
    assert text.startswith("北小学校より\n\n-----")


NAMES = st.lists(st.text(max_size=20), max_size=6).map(tuple)


@settings(max_examples=300, deadline=None)
@given(
    subject=st.text(max_size=60),
    text=st.text(max_size=300),
    pupils=NAMES,
    asks=st.booleans(),
    kind=st.sampled_from(Kind),
)
def test_whatever_is_broadcast_reads_back(
    subject: str, text: str, pupils: tuple[str, ...], asks: bool, kind: Kind
) -> None:
    broadcast = replace(BROADCAST, kind=kind, subject=subject, text=text)
    mail = WRITER.prepare(broadcast).copy(replace(FACTS, pupils=pupils, link=FACTS.link if asks else None))
    message = read(mail)
    assert message["Subject"] == f"【{TAG[kind]}】{headers.clean(subject)}".strip()
    told = text_of(mail)
    assert headers.clean_lines(text).strip("\n") in told
    assert all(f"\n{headers.clean(name)} さん\n" in told for name in pupils)
    assert (f"\n{FACTS.link}\n" in told) is asks
    assert message.keys()[:5] == [*OWN_LINES, "Reply-To"]
    assert len(message.keys()) == 14 + (2 if kind is Kind.EMERGENCY else 0) + (0 if broadcast.is_alarm else 2)


def test_copies_differ_in_what_is_theirs_alone() -> None:
    prepared = WRITER.prepare(BROADCAST)
    other = replace(ENVELOPE, recipient="c@example.jp", receipt_token="kk", message_id_token="mm")
    first = prepared.copy(FACTS)
    second = prepared.copy(CopyFacts(envelope=other, pupils=("南 次郎",), link="https://touroku.example.jp/k/kk"))
    third = prepared.copy(FACTS)
    assert first == third
    assert "花子" not in text_of(second)
    assert "南 次郎 さん" in text_of(second)
    assert b"docomo" not in second
    assert ENVELOPE.receipt_token.encode() not in second


def test_a_shape_of_copies_is_laid_out_once() -> None:
    laid_out: list[tuple[str | None, int]] = []

    def lay_out(link: str | None, pupils: tuple[str, ...]) -> str:
        laid_out.append((link, len(pupils)))
        return f"text {link or ''} {' '.join(pupils)}\n"

    prepared = Prepared(HOUSE, BROADCAST, subject="s", zone=WRITER._zone, lay_out=lay_out)
    for count in (1, 2, 0, 1, 2, 0):
        for link in (FACTS.link, None):
            prepared.copy(replace(FACTS, pupils=("北 花子",) * count, link=link))
    assert len(laid_out) == len(set(laid_out)) == 6


def filled(letter: Letter, names: list[str], value: str) -> Letter:
    """The letter with that value in the named fields."""
    values: dict[str, Any] = dict.fromkeys(names, value)
    return replace(letter, **values)


EVIL = "x\r\nBcc: v@example.jp\r\n\r\ny\0\u2028z\ud800"


@pytest.mark.parametrize(
    "letter", [letter for letter in SINGLE if letter != FOR_OPERATOR], ids=lambda letter: letter.name
)
def test_no_field_of_a_letter_makes_a_header_or_a_line_of_its_own(letter: Letter) -> None:
    strings = [field.name for field in fields(letter) if type(getattr(letter, field.name)) is str]
    harmless = WRITER.write(filled(letter, strings, "xx"), ENVELOPE)
    mail = WRITER.write(filled(letter, strings, EVIL), ENVELOPE)
    assert read(mail).keys() == read(harmless).keys()
    assert max(map(len, mail.split(b"\r\n"))) <= 78
    # Text and cut may have lines: three each. Everything else stays where it is.
    more = 3 * len({"text", "cut"} & set(strings))
    assert text_of(mail).count("\n") == text_of(harmless).count("\n") + more
    assert not set(text_of(mail)) & set("\0\r\u2028\ud800")


def test_no_field_of_a_broadcast_and_no_name_makes_a_header_or_a_line_of_its_own() -> None:
    evil = replace(BROADCAST, subject=EVIL, sender_name=EVIL, board=EVIL)
    mail = WRITER.prepare(evil).copy(replace(FACTS, pupils=(EVIL, "\x000\x00"), link=EVIL))
    assert read(mail).keys() == read(MAILS["broadcast emergency"]).keys()
    assert (
        text_of(mail).count("\n") == text_of(MAILS["broadcast emergency"]).count("\n") - 1
    )  # sender and board are the same
    assert "\n 0  さん\n" in text_of(mail)


def test_a_house_with_a_strange_name_writes_one_from_and_one_footer() -> None:
    writer = a_writer(replace(HOUSE, name=EVIL, board=EVIL, helpline=EVIL))
    mail = writer.write(INVITATION, ENVELOPE)
    assert read(mail).keys() == OWN_LINES + TEXT_LINES
    assert text_of(mail).count("\n") == text_of(MAILS["invitation"]).count("\n")


def test_braces_in_a_value_are_text() -> None:
    text = text_of(WRITER.prepare(replace(BROADCAST, text="{{ house.domain }} {% if x %} <b>&amp;</b>")).copy(FACTS))
    assert "{{ house.domain }} {% if x %} <b>&amp;</b>" in text


@pytest.mark.parametrize("text", ["あ" * 16_666, "a" * 50_000, "\n" * 10 + "x" * 49_960 + "\n" * 10, "😀" * 12_500])
def test_what_fits_stays_below_the_limit_as_a_copy_and_as_a_preview(text: str) -> None:
    subject = "あ" * 200
    assert fits(subject=subject, text=text)
    prepared = WRITER.prepare(replace(BROADCAST, subject=subject, text=text))
    assert len(prepared.copy(replace(FACTS, pupils=("北 花子",) * 40))) < MAX_MAIL
    audience = "、".join(["みどり市立北小学校 3年 たんぽぽ"] * 100)
    preview = replace(PREVIEW, subject=subject, text=text, cut="😀" * 9_000, audience=audience)
    assert len(WRITER.write(preview, ENVELOPE)) < MAX_MAIL


def test_what_is_too_long_is_not_written() -> None:
    with pytest.raises(LetterTooLong) as refused:
        WRITER.prepare(replace(BROADCAST, text="あ" * 25_000))
    assert refused.value.octets > MAX_MAIL
    with pytest.raises(LetterTooLong):
        WRITER.write(replace(PREVIEW, text="あ" * 25_000), ENVELOPE)


def test_a_template_that_names_what_it_is_not_given_is_an_error(tmp_path: Path) -> None:
    shutil.copytree(folder("templates") / "mail", tmp_path / "mail")
    (tmp_path / "mail" / "stopped" / "text.ja.txt").write_text("{{ resume_page }}", encoding="utf-8")
    writer = Writer(HOUSE, tmp_path)
    with pytest.raises(jinja2.UndefinedError, match="resume_page"):
        writer.write(Stopped("x"), ENVELOPE)


@pytest.mark.parametrize("name", [letter.name for letter in (*LETTERS, BroadcastText)])
def test_a_missing_template_stops_the_start(tmp_path: Path, name: str) -> None:
    shutil.copytree(folder("templates") / "mail", tmp_path / "mail")
    (tmp_path / "mail" / name / "subject.ja.txt").unlink()
    with pytest.raises(jinja2.TemplateNotFound):
        Writer(HOUSE, tmp_path)
