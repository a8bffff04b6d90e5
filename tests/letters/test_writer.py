import re
import shutil
import unicodedata
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgate.core.broadcast import TAG, Kind
from mailgate.core.headers import decode_words
from mailgate.core.instants import MINUTE, Instant
from mailgate.core.letters import (
    LETTERS,
    MAX_MAIL,
    BroadcastText,
    Entry,
    ForOperator,
    IdList,
    Letter,
    NotRead,
    Refusal,
    StaffRefused,
    Stopped,
    fits,
)
from mailgate.core.lines import lines
from mailgate.core.readers import TAG as LANGUAGE_TAG
from mailgate.core.readers import Language, unlinked
from mailgate.core.returnpath import Tokens
from mailgate.journeys.words import class_words
from mailgate.letters import headers
from mailgate.letters.prepared import Prepared
from mailgate.letters.writer import LetterTooLong, Writer
from mailgate.places import folder
from tests.letters.builders import (
    ADDRESS_CHANGED,
    BROADCAST,
    COMPLETION,
    ENTRY,
    ENVELOPE,
    FOR_OPERATOR,
    HOUSE,
    ID_LIST,
    INVITATION,
    JOINED,
    LINK,
    ORIGINAL,
    PAGES,
    PASSWORD_LINK,
    PREVIEW,
    PUPILS,
    SIBLING,
    SINGLE,
    STOPPED,
    TO_GUARDIAN,
    WITHDRAWN,
    a_writer,
    copied,
    header_lines,
    read,
    text_of,
)

WRITER = a_writer()
READERS = [(language, no_url) for language in Language for no_url in (False, True)]


def told(letter: Letter, language: Language = Language.JA, *, no_url: bool = False) -> bytes:
    """A letter to a reader of that kind."""
    return WRITER.write(letter, replace(ENVELOPE, language=language, no_url=no_url))


def a_copy(
    broadcast: BroadcastText,
    language: Language = Language.JA,
    *,
    no_url: bool = False,
    pupils: tuple[str, ...] = PUPILS,
    link: str | None = LINK,
) -> bytes:
    """A copy to a reader of that kind."""
    envelope = replace(ENVELOPE, language=language, no_url=no_url)
    return copied(WRITER.prepare(broadcast), envelope, pupils=pupils, link=link)


def named(language: Language, no_url: bool) -> str:
    return f" {language}{' without urls' if no_url else ''}"


# What an envelope's reader gets in Japanese and with links has the letter's bare name.
JAPANESE = {
    **{
        f"{letter.name} {letter.reason}" if isinstance(letter, StaffRefused) else letter.name: told(letter)
        for letter in SINGLE
    },
    **{f"broadcast {kind}": a_copy(replace(BROADCAST, kind=kind)) for kind in Kind},
    "broadcast staff": a_copy(BROADCAST, pupils=(), link=None),
}
OTHERS = {
    letter.name + named(language, no_url): told(letter, language, no_url=no_url)
    for letter in TO_GUARDIAN
    for language, no_url in READERS[1:]
} | {
    f"broadcast {kind}{named(language, no_url)}": a_copy(replace(BROADCAST, kind=kind), language, no_url=no_url)
    for kind in Kind
    for language, no_url in READERS[1:]
}
MAILS = JAPANESE | OTHERS
EVERY_MAIL = pytest.mark.parametrize("mail", MAILS.values(), ids=list(MAILS))
EVERY_READER = pytest.mark.parametrize("language, no_url", READERS)

URL = re.compile(r"https?://\S+")

OWN_LINES = ["From", "To", "Date", "Message-ID"]
TEXT_LINES = [
    "Subject", "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Language", "Auto-Submitted",
    "X-Auto-Response-Suppress",
]  # fmt: skip
STOP_LINES = ["List-Unsubscribe", "List-Unsubscribe-Post"]
LIST_LINES = ["List-Id", "Feedback-ID"]
URGENT_LINES = ["Importance", "X-Priority"]


PLAIN = OWN_LINES + TEXT_LINES
ANSWERED = [*OWN_LINES, "Reply-To", *TEXT_LINES]
HEADERS = {
    **{letter.name: PLAIN for letter in SINGLE if not isinstance(letter, StaffRefused)},
    **{f"staff_refused {reason}": PLAIN for reason in Refusal},
    "completion": ANSWERED,
    "stopped": ANSWERED,
    "broadcast emergency": [*ANSWERED, *LIST_LINES, *URGENT_LINES],
    "broadcast alert": [*ANSWERED, *LIST_LINES],
    **{f"broadcast {kind}": [*OWN_LINES, "Reply-To", *STOP_LINES, *TEXT_LINES, *LIST_LINES] for kind in ("education", "notice", "drill")},
    "broadcast staff": [*ANSWERED, *LIST_LINES, *URGENT_LINES],
}


@pytest.mark.parametrize("name, expected", HEADERS.items(), ids=list(HEADERS))
def test_a_mail_has_these_headers_and_no_other(name: str, expected: list[str]) -> None:
    assert read(JAPANESE[name]).keys() == expected


@pytest.mark.parametrize("name", OTHERS)
def test_a_reader_of_another_kind_gets_the_same_headers_but_without_urls_no_one_click(name: str) -> None:
    with_urls = HEADERS[next(each for each in HEADERS if name.startswith(each + " "))]
    expected = [each for each in with_urls if each != "List-Unsubscribe-Post"] if "without" in name else with_urls
    assert read(MAILS[name]).keys() == expected


def test_every_mail_is_in_the_table_of_headers() -> None:
    assert JAPANESE.keys() == HEADERS.keys()
    assert {letter.name for letter in LETTERS} <= {name.split()[0] for name in HEADERS}


@pytest.mark.parametrize("kind", [Kind.EDUCATION, Kind.NOTICE, Kind.DRILL])
def test_without_urls_the_way_out_is_an_address(kind: Kind) -> None:
    lines = header_lines(a_copy(replace(BROADCAST, kind=kind), no_url=True))
    assert [line for line in lines if "Unsubscribe" in line] == [
        f"List-Unsubscribe: <mailto:yame+{ENVELOPE.tokens.stop}@gate.example.jp>"
    ]
    assert ENVELOPE.tokens.stop not in text_of(a_copy(replace(BROADCAST, kind=kind), no_url=True))


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
    assert message.get("Reply-To") in (None, f"k+{ENVELOPE.tokens.receipt}@gate.example.jp")


@EVERY_READER
def test_a_mail_names_its_languages(language: Language, no_url: bool) -> None:
    for letter in TO_GUARDIAN:
        assert read(told(letter, language, no_url=no_url))["Content-Language"] == LANGUAGE_TAG[language]
    expected = "ja, en" if language is Language.EN else "ja"
    assert read(a_copy(BROADCAST, language, no_url=no_url))["Content-Language"] == expected
    assert read(told(PREVIEW, language, no_url=no_url))["Content-Language"] == "ja"


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
    # Half-width brackets and colons in Japanese are a slip of the keyboard; in English they stand beside blanks.
    assert re.search("[\u3040-\u9fff][(:]|[):][\u3040-\u9fff]", text) is None


@EVERY_MAIL
def test_every_url_of_a_mail_stands_alone_on_its_line(mail: bytes) -> None:
    text = text_of(mail)
    assert all(url in text.split("\n") for url in URL.findall(text))
    assert "http" not in URL.sub("", text)


@pytest.mark.parametrize("name", MAILS)
def test_only_what_answers_a_mail_is_a_reply(name: str) -> None:
    is_reply = name.split(maxsplit=1)[0] in ("invitation", "id_list", "not_read")
    assert read(MAILS[name])["Auto-Submitted"] == ("auto-replied" if is_reply else "auto-generated")


@EVERY_MAIL
def test_a_mail_names_its_reader_in_one_header_and_its_bounce_token_nowhere(mail: bytes) -> None:
    assert mail.count(b"docomo.ne.jp") == 1
    assert "a..b" not in text_of(mail)
    assert ENVELOPE.tokens.bounce.encode() not in mail


@pytest.mark.parametrize("letter", [*SINGLE], ids=lambda letter: letter.name)
def test_the_same_letter_gives_the_same_octets_on_every_try(letter: Letter) -> None:
    assert WRITER.write(letter, ENVELOPE) == a_writer().write(letter, replace(ENVELOPE))


def test_an_invitation_begins_with_what_is_registered_and_holds_one_link_and_the_code() -> None:
    lines = text_of(MAILS["invitation"]).split("\n")
    assert lines[0] == "このメールが届いたアドレスを登録します。"
    assert URL.findall("\n".join(lines)) == [INVITATION.link]
    assert INVITATION.link is not None
    assert lines.index(INVITATION.link) < lines.index("1234 5678")
    assert sum(re.search(r"\d{4} ?\d{4}", line) is not None for line in lines) == 1
    assert any("gate.example.jp を受信リストに" in line for line in lines)
    assert any("touroku.example.jp を開き" in line for line in lines)
    assert any("11月25日（水）15時40分まで" in line for line in lines)
    assert "touroku@gate.example.jp" in lines


@EVERY_READER
def test_every_invitation_says_first_what_is_registered_holds_the_code_and_a_line_of_english(
    language: Language, no_url: bool
) -> None:
    text = text_of(told(INVITATION, language, no_url=no_url))
    lines = text.split("\n")
    first = {
        Language.JA: "このメールが届いたアドレスを登録します。",
        Language.EASY: "この メールが とどいた アドレスを 登録（とうろく）します。",
        Language.EN: "The address that received this mail will be registered.",
    }
    assert lines[0] == first[language]
    assert URL.findall(text) == ([] if no_url else [INVITATION.link])
    assert lines.count("1234 5678") == 1
    assert len(re.findall(r"\d{4} ?\d{4}", text)) == 1
    assert "touroku.example.jp" in text
    assert "gate.example.jp" in text
    again = {Language.JA: "touroku", Language.EASY: "yasashii", Language.EN: "en"}[language]
    assert f"{'code' if no_url else again}@gate.example.jp" in lines
    english = [line for line in lines if line.startswith("To register, ")]
    if language is Language.EN:
        assert english == []  # all of it is
    else:
        assert english == [
            f"To register, {'type the code at the page' if no_url else 'open the link'} above. English: en@gate.example.jp"
        ]


def test_an_invitation_may_hold_no_link_whatever_its_reader_gets() -> None:
    text = text_of(told(replace(INVITATION, link=None)))
    assert "http" not in text
    assert "1234 5678" in text.split("\n")


def test_an_invitation_in_japanese_names_the_boxes_of_other_languages() -> None:
    text = text_of(JAPANESE["invitation"])
    assert "en@gate.example.jp" in text
    assert "やさしい日本語：yasashii@gate.example.jp" in text


def test_an_invitation_says_a_full_hour_without_minutes() -> None:
    text = text_of(
        WRITER.write(replace(INVITATION, valid_until=Instant(INVITATION.valid_until + 20 * MINUTE)), ENVELOPE)
    )
    assert "11月25日（水）16時まで" in text


def test_a_completion_asks_for_a_receipt_and_tells_what_was_registered() -> None:
    text = text_of(MAILS["completion"])
    assert URL.findall(text) == [COMPLETION.receipt_link, COMPLETION.another_link]
    for words in ("hanako2026", "北 花子 さん", "北小学校", "3年1組", "母のスマホ", "フリーメール", "返信してください"):
        assert words in text
    assert all(f"【{tag}】" in text for tag in TAG.values())


@EVERY_READER
def test_a_completion_leaves_out_what_does_not_apply(language: Language, no_url: bool) -> None:
    bare = replace(ENTRY, grade=None, class_name=None)
    letter = replace(COMPLETION, entry=bare, free_mail=False, another_link=None, label="")
    text = text_of(told(letter, language, no_url=no_url))
    full = text_of(told(COMPLETION, language, no_url=no_url))
    assert URL.findall(text) == ([] if no_url else [COMPLETION.receipt_link])
    absent, unknown, heading = {
        Language.JA: (["フリーメール", "呼び名"], "学年・学級：まだ決まっていない", "■ ごきょうだいの登録"),
        Language.EASY: (["フリーメール", "よびかた"], "クラス：まだ わからない", "■ ほかの 子（こ）どもも"),
        Language.EN: (["free mail", "Label"], "Grade and class: not known yet", "* To register a brother or sister"),
    }[language]
    assert unknown in text
    assert unknown not in full
    for word in absent:
        assert word in full
        assert word not in text
    assert heading in full
    assert (heading in text) is no_url  # there the way is a mail, whenever it is
    assert "\n\n\n" not in text


@EVERY_READER
def test_a_completion_asks_every_reader_for_an_answer(language: Language, no_url: bool) -> None:
    mail = told(COMPLETION, language, no_url=no_url)
    text = text_of(mail)
    assert URL.findall(text) == ([] if no_url else [COMPLETION.receipt_link, COMPLETION.another_link])
    assert {Language.JA: "そのまま返信", Language.EASY: "返信（へんしん）して", Language.EN: "Reply to this mail."}[language] in text
    for word in ("hanako2026", "北 花子", "北小学校", "母のスマホ", *(f"【{tag}】" for tag in TAG.values())):
        assert word in text


@pytest.mark.parametrize("grade, class_name", [(3, "1"), (3, "たんぽぽ"), (3, None), (None, None)])
def test_a_class_is_called_in_mails_as_on_pages(grade: int | None, class_name: str | None) -> None:
    entry = replace(ENTRY, grade=grade, class_name=class_name)
    line = f"北小学校 {class_words(grade, class_name)}".strip()
    assert f"\n北 花子 さん\n{line}\n" in text_of(told(replace(JOINED, entry=entry)))


@pytest.mark.parametrize(
    "language, line",
    [
        (Language.JA, "北 花子 さん\n北小学校 3年1組"),
        (Language.EASY, "北 花子 さん\n北小学校 3年（ねん）1組（くみ）"),
        (Language.EN, "北 花子\n北小学校, Grade 3, Class 1"),
    ],
)
def test_who_is_told_of_another_learns_about_which_child(language: Language, line: str) -> None:
    for letter in (JOINED, ADDRESS_CHANGED, PASSWORD_LINK):
        assert f"\n{line}\n" in text_of(told(letter, language))
    assert ENTRY.login_id not in text_of(told(JOINED, language))
    assert ENTRY.login_id not in text_of(told(ADDRESS_CHANGED, language))


@EVERY_READER
def test_a_list_of_ids_names_each_with_its_child_and_where_to_log_in(language: Language, no_url: bool) -> None:
    text = text_of(told(ID_LIST, language, no_url=no_url))
    for entry in (ENTRY, SIBLING):
        assert re.search(rf"ID[：:] ?{entry.login_id}\n{entry.pupil}", text)
    assert ("touroku.example.jp/login" if no_url else f"{PAGES}/login") in text.split("\n")


@EVERY_READER
def test_an_address_that_is_registered_nowhere_is_told_so_and_how_to_join(language: Language, no_url: bool) -> None:
    mail = told(IdList(()), language, no_url=no_url)
    text = text_of(mail)
    told_so = {
        Language.JA: "このアドレスは、登録されていません。",
        Language.EASY: "この アドレスは、登録（とうろく）されて いません。",
        Language.EN: "This address is not registered.",
    }
    assert text.startswith(told_so[language] + "\n")
    box = {Language.JA: "touroku", Language.EASY: "yasashii", Language.EN: "en"}[language]
    assert f"{'code' if no_url else box}@gate.example.jp" in text.split("\n")
    assert "id@gate.example.jp" in text.split("\n")
    assert "\n\n\n" not in text
    assert read(mail)["Subject"] != read(told(ID_LIST, language, no_url=no_url))["Subject"]


def test_one_login_id_is_one_in_english() -> None:
    mail = told(IdList((ENTRY,)), Language.EN)
    assert read(mail)["Subject"] == "Your login ID (学校メール)"
    assert "under\nthis login ID:\n" in text_of(mail)
    assert "under\nthese login IDs:\n" in text_of(told(ID_LIST, Language.EN))


@EVERY_READER
def test_a_forgotten_password_is_set_by_the_link_or_with_the_schools_code(language: Language, no_url: bool) -> None:
    text = text_of(told(PASSWORD_LINK, language, no_url=no_url))
    assert URL.findall(text) == ([] if no_url else [PASSWORD_LINK.link])
    code = {Language.JA: "1回だけ使えるコード", Language.EASY: "コードは、パスワードの かわり", Language.EN: "one-time code"}[language]
    assert (code in text) is no_url
    assert ("17" in text) is not no_url  # until when the link is good


@EVERY_READER
@pytest.mark.parametrize("change, old, new", [("added", False, True), ("replaced", True, True), ("removed", True, False)])
def test_a_change_says_what_it_was_and_how_it_is_undone(
    language: Language, no_url: bool, change: Literal["added", "replaced", "removed"], old: bool, new: bool
) -> None:
    letter = replace(ADDRESS_CHANGED, change=change, old_label="祖母", new_label="父")
    text = text_of(told(letter, language, no_url=no_url))
    assert ("：祖母\n" in text or ": 祖母\n" in text) is old
    assert ("：父\n" in text or ": 父\n" in text) is new
    assert URL.findall(text) == ([] if no_url else [ADDRESS_CHANGED.undo_link])
    call = {Language.JA: "すぐに、学校へお電話", Language.EASY: "すぐに 学校（がっこう）に 電話", Language.EN: "call the school at once"}
    assert (call[language] in text) is no_url
    others = [replace(letter, change=other) for other in ("added", "replaced", "removed") if other != change]
    assert all(text_of(told(other, language)).split("\n")[:3] != text.split("\n")[:3] for other in others)


@EVERY_READER
def test_a_change_that_is_news_has_no_link_and_no_labels(language: Language, no_url: bool) -> None:
    letter = replace(ADDRESS_CHANGED, old_label="", new_label="", undo_link=None)
    text = text_of(told(letter, language, no_url=no_url))
    assert URL.findall(text) == []
    assert not re.search(r"[：:] ?\n\n?(?!北)", text.partition("花子")[2])
    assert "\n\n\n" not in text


@EVERY_READER
def test_a_farewell_says_how_to_come_back(language: Language, no_url: bool) -> None:
    box = "code" if no_url else {Language.JA: "touroku", Language.EASY: "yasashii", Language.EN: "en"}[language]
    assert f"{box}@gate.example.jp" in text_of(told(WITHDRAWN, language, no_url=no_url)).split("\n")


@EVERY_READER
@pytest.mark.parametrize("is_receipt", [True, False])
@pytest.mark.parametrize("is_registered", [True, False])
def test_who_writes_to_us_is_told_to_call(language: Language, no_url: bool, is_receipt: bool, is_registered: bool) -> None:
    text = text_of(told(NotRead(is_receipt=is_receipt, is_registered=is_registered), language, no_url=no_url))
    call, noted = {
        Language.JA: ("学校へのご連絡は、お電話で", "確認済みとして"),
        Language.EASY: ("学校（がっこう）に 電話（でんわ）して ください", "つたわりました"),
        Language.EN: ("please call it", "It was noted"),
    }[language]
    assert call in text.split("\n")[0]
    assert (noted in text) is is_receipt
    assert ("@gate.example.jp" in text) is not is_registered
    assert "\n\n\n" not in text


def test_a_preview_shows_the_text_as_it_will_look_and_whom_it_reaches() -> None:
    text = text_of(MAILS["preview"])
    assert text.startswith("まだ、どなたにも送っていません。\n")
    assert URL.findall(text) == [PREVIEW.link]
    assert f"\n{PREVIEW.text}\n" in text
    for words in (
        "【緊急連絡】あすの臨時休業",
        "北小学校 3年、南小学校",
        "1,234件",
        "812人",
        "41人",
        "PIN",
        PREVIEW.cut,
    ):
        assert words in text
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
    "recipients, words", [(0, "：0件"), (1, "：1〜4件"), (4, "：1〜4件"), (5, "：5件"), (36_000, "：36,000件")]
)
def test_a_preview_does_not_tell_apart_so_few_addresses_that_they_are_persons(recipients: int, words: str) -> None:
    assert words in text_of(WRITER.write(replace(PREVIEW, recipients=recipients), ENVELOPE))


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
    "reason, words",
    [
        (Refusal.UNKNOWN_AUDIENCE, "haishin+kita-es.3-1@gate.example.jp"),
        (Refusal.BEYOND_SCOPE, "任された範囲"),
        (Refusal.NO_TEXT, "本文を書いて"),
        (Refusal.TOO_LARGE, "本文を短くし"),
    ],
)
def test_a_refusal_says_that_nothing_was_sent_and_what_to_do(reason: Refusal, words: str) -> None:
    text = text_of(MAILS[f"staff_refused {reason}"])
    assert text.startswith("お送りいただいたメールは、配信していません。\n")
    assert words in text
    assert ("kita-ex.3" in text) is (reason in (Refusal.UNKNOWN_AUDIENCE, Refusal.BEYOND_SCOPE))


def test_a_refusal_without_a_subject_or_an_audience_reads_well_too() -> None:
    mail = WRITER.write(StaffRefused(reason=Refusal.UNKNOWN_AUDIENCE, audience="", subject=""), ENVELOPE)
    assert read(mail)["Subject"] == "【送れませんでした】配信の受け付けについて"
    assert "〔配信先なし〕" in text_of(mail)


@EVERY_READER
def test_a_stop_says_what_still_comes_and_the_way_back(language: Language, no_url: bool) -> None:
    text = text_of(told(STOPPED, language, no_url=no_url))
    middle = {Language.JA: "これからも届きます", Language.EASY: "これからも とどきます", Language.EN: "These still come"}[language]
    stopped, _, coming = text.partition(middle)
    assert all((f"【{TAG[kind]}】" in stopped) is not replace(BROADCAST, kind=kind).is_alarm for kind in Kind)
    assert all((f"【{TAG[kind]}】" in coming) is replace(BROADCAST, kind=kind).is_alarm for kind in Kind)
    assert URL.findall(text) == ([] if no_url else [STOPPED.resume_link])
    way = {Language.JA: "何も書かずに返信", Language.EASY: "なにも 書（か）かないで 返信", Language.EN: "Reply to this mail without"}
    assert way[language] in text


def test_the_operator_gets_the_original_as_a_mail() -> None:
    message = read(MAILS["for_operator"])
    assert message.get_content_type() == "multipart/mixed"
    assert "初めの部分" not in text_of(MAILS["for_operator"])
    assert ORIGINAL in MAILS["for_operator"]


def test_the_operator_is_told_which_site_waits_and_why() -> None:
    text = text_of(MAILS["site_paused"])
    for words in ("softbank あて", "1,240通", "87通", "学校からの配信は、止めていません"):
        assert words in text


@pytest.mark.parametrize("content", [b"a: b\r\n\r\n" + b"x" * 70 + b"\r\n", b"\xe3" * 200])
def test_the_operator_gets_the_beginning_of_a_mail_that_is_too_large(content: bytes) -> None:
    mail = WRITER.write(ForOperator(content * 5_000), ENVELOPE)
    assert len(mail) < MAX_MAIL
    assert "大きいため、添付は初めの部分だけです。" in text_of(mail)


def test_without_a_helpline_no_mail_promises_one() -> None:
    writer = a_writer(replace(HOUSE, helpline=""))
    asks = {Language.JA: "お問い合わせ", Language.EASY: "わからない とき", Language.EN: "Questions:"}
    for language, words in asks.items():
        envelope = replace(ENVELOPE, language=language)
        assert all(f"{words} " not in text_of(writer.write(letter, envelope)) for letter in SINGLE)
        assert f"{words} 0120-000-000\n" in text_of(told(INVITATION, language))


@EVERY_READER
@pytest.mark.parametrize("kind", Kind)
def test_a_copy_has_the_tag_the_text_its_link_and_its_pupils(kind: Kind, language: Language, no_url: bool) -> None:
    mail = a_copy(replace(BROADCAST, kind=kind), language, no_url=no_url)
    text = text_of(mail)
    assert str(read(mail)["Subject"]).startswith(f"【{TAG[kind]}】")
    assert str(read(mail)["Subject"]).endswith("あすの臨時休業")
    assert text.split("\n")[0] == {
        Language.JA: "北小学校より",
        Language.EASY: "北小学校からの メールです。",
        Language.EN: "From 北小学校",
    }[language]
    assert f"\n\n{BROADCAST.text}\n\n" in text
    assert URL.findall(text) == ([] if no_url else [LINK])
    assert ("\n北 花子\n北 太郎\n" if language is Language.EN else "\n北 花子 さん\n北 太郎 さん\n") in text
    drill, way = {
        Language.JA: ("これは訓練のメールです", "そのまま返信"),
        Language.EASY: ("練習（れんしゅう）の メールです", "返信（へんしん）して"),
        Language.EN: ("DRILL: this is only a test", "Reply to this mail."),
    }[language]
    assert (drill in text) is (kind is Kind.DRILL)
    assert way in text
    assert text.endswith("\n北小学校\nみどり市教育委員会\n")


@pytest.mark.parametrize(
    "kind, subject",
    [
        (Kind.EMERGENCY, "【緊急連絡】Emergency: あすの臨時休業"),
        (Kind.ALERT, "【緊急情報】Safety alert: あすの臨時休業"),
        (Kind.EDUCATION, "【教育情報】Education news: あすの臨時休業"),
        (Kind.NOTICE, "【お知らせ】School notice: あすの臨時休業"),
        (Kind.DRILL, "【訓練】Drill: あすの臨時休業"),
    ],
)
def test_a_subject_says_the_kind_in_english_to_who_reads_english(kind: Kind, subject: str) -> None:
    assert read(a_copy(replace(BROADCAST, kind=kind), Language.EN))["Subject"] == subject
    assert read(a_copy(replace(BROADCAST, kind=kind, subject=""), Language.EN))["Subject"] == subject.partition(":")[0]
    for language in (Language.JA, Language.EASY):
        assert read(a_copy(replace(BROADCAST, kind=kind), language))["Subject"] == f"【{TAG[kind]}】あすの臨時休業"


@pytest.mark.parametrize("kind", [Kind.EMERGENCY, Kind.ALERT])
def test_an_alarm_carries_no_stop_anywhere(kind: Kind) -> None:
    for language, no_url in READERS:
        mail = a_copy(replace(BROADCAST, kind=kind), language, no_url=no_url)
        assert ENVELOPE.tokens.stop.encode() not in mail
        assert ENVELOPE.tokens.stop not in text_of(mail)
        assert "stop" not in text_of(mail)


@EVERY_READER
def test_a_copy_without_a_link_asks_for_nothing(language: Language, no_url: bool) -> None:
    text = text_of(a_copy(BROADCAST, language, no_url=no_url, pupils=(), link=None))
    assert text.endswith(f"\n\n{BROADCAST.text}\n\n{'-' * 30}\n北小学校\nみどり市教育委員会\n")


def test_a_broadcast_of_the_board_names_it_once_at_the_end() -> None:
    mail = a_copy(replace(BROADCAST, sender_name="みどり市教育委員会", list_key="all"))
    assert text_of(mail).startswith("みどり市教育委員会より\n")
    assert text_of(mail).count("みどり市教育委員会") == 2
    assert read(mail)["List-Id"] == "<all.gate.example.jp>"


def test_a_broadcast_without_a_text_is_its_subject() -> None:
    text = text_of(a_copy(replace(BROADCAST, text="\n")))
    assert text.startswith("北小学校より\n\n-----")


# What breaks whoever joins texts: what a template, a layout or a line's end could be taken for, and characters that are none.
NASTY = (
    "%", "%b", "%%", "%s", "%(a)b", "\x000\x00", "\x001\x00", "\x000000000000000000000001\x00", "\0", "{{ x }}", "{% x %}", "{#",
    "\r\nBcc: v@example.jp\r\n\r\n", "\r\n.\r\n", "\r", "\n", "\x0b", "\x85", "\u2028", "\ud800", "\udfff", "=?utf-8?q?a?=",
    "\x1b$B", "😀", "あす",
)  # fmt: skip
WORDS = st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=15)), max_size=6).map("".join)
NAMES = st.lists(WORDS, max_size=6).map(tuple)


@settings(max_examples=300, deadline=None)
@given(
    subject=WORDS,
    text=WORDS,
    sender=WORDS,
    board=WORDS,
    pupils=NAMES,
    asks=st.booleans(),
    kind=st.sampled_from(Kind),
    reader=st.sampled_from(READERS),
)
def test_whatever_is_broadcast_reads_back(
    *,
    subject: str,
    text: str,
    sender: str,
    board: str,
    pupils: tuple[str, ...],
    asks: bool,
    kind: Kind,
    reader: tuple[Language, bool],
) -> None:
    language, no_url = reader
    broadcast = replace(BROADCAST, kind=kind, subject=subject, text=text, sender_name=sender, board=board)
    mail = a_copy(broadcast, language, no_url=no_url, pupils=pupils, link=LINK if asks else None)
    assert lines(mail) == mail
    message = read(mail)
    shown = unlinked if no_url else str
    assert str(message["Subject"]).startswith(f"【{TAG[kind]}】")
    assert str(message["Subject"]).endswith(shown(headers.clean(subject)).strip())
    words, ending = text_of(mail), "" if language is Language.EN else " さん"
    assert shown(headers.clean_lines(text).strip("\n")) in words
    names = dict.fromkeys(shown(headers.clean(name)) for name in (sender, board))
    assert words.endswith("".join(f"\n{name}" for name in names) + "\n")
    assert all(f"\n{shown(headers.clean(name))}{ending}\n" in words for name in pupils)
    assert (f"\n{LINK}\n" in words) is (asks and not no_url)
    assert message.keys()[:5] == [*OWN_LINES, "Reply-To"]
    stops = 0 if broadcast.is_alarm else 1 if no_url else 2
    assert len(message.keys()) == 14 + (2 if kind is Kind.EMERGENCY else 0) + stops


# What would be a URL, or would become one when something is taken out of it.
LINKED = st.lists(
    st.one_of(st.sampled_from(("http", "https://", "HTTP://", "h", "ttp://", "example.jp", "Http", "\n", "\0")), st.text(max_size=4)),
    max_size=8,
).map("".join)


def without_http(mail: bytes) -> bool:
    """Whether neither a header nor the text holds it, read as a phone reads it."""
    shown = [f"{name}: {value}" for name, value in read(mail).items()]
    return "http" not in "\n".join([*shown, text_of(mail)]).lower() and b"http" not in mail.partition(b"\r\n\r\n")[0].lower()


@settings(max_examples=300, deadline=None)
@given(text=LINKED, language=st.sampled_from(Language), kind=st.sampled_from(Kind))
def test_no_text_brings_a_url_into_a_mail_to_a_phone_that_refuses_them(text: str, language: Language, kind: Kind) -> None:
    check_without_http(WRITER, text, language, kind)


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("text", ["https://a.jp", "hhttp://ttp://a.jp", "Http"])
def test_no_name_of_the_house_does_so_either(text: str, language: Language) -> None:
    check_without_http(a_writer(replace(HOUSE, name=text, board=text, helpline=text)), text, language, Kind.NOTICE)


def check_without_http(writer: Writer, text: str, language: Language, kind: Kind) -> None:
    """The law: whatever people wrote, no mail to such a phone holds it."""
    envelope = replace(ENVELOPE, language=language, no_url=True)
    for letter in TO_GUARDIAN:
        strings = [field.name for field in fields(letter) if isinstance(getattr(letter, field.name), str)]
        strings = [name for name in strings if name != "change"]
        assert without_http(writer.write(filled(letter, strings, text), envelope)), letter.name
    broadcast = replace(BROADCAST, kind=kind, subject=text, text=text, sender_name=text, board=text)
    assert without_http(copied(writer.prepare(broadcast), envelope, pupils=(text, text), link=PAGES + text))


@pytest.mark.parametrize("name", [name for name in MAILS if "without" in name])
def test_a_mail_to_a_phone_that_refuses_urls_holds_none(name: str) -> None:
    assert without_http(MAILS[name])
    assert not without_http(JAPANESE["invitation"])


def test_staff_get_their_page_in_japanese_whatever_their_phone_wants() -> None:
    for letter in SINGLE:
        if letter not in TO_GUARDIAN:
            assert told(letter, Language.EN, no_url=True) == told(letter)


def test_a_schools_own_url_is_shown_as_on_paper() -> None:
    broadcast = replace(BROADCAST, subject="https://kita.example.jp の件", text="詳しくは\nhttps://kita.example.jp/a\nをご覧ください。")
    mail = a_copy(broadcast, no_url=True)
    assert "\n詳しくは\nkita.example.jp/a\nをご覧ください。\n" in text_of(mail)
    assert read(mail)["Subject"] == "【緊急連絡】kita.example.jp の件"
    assert "\nhttps://kita.example.jp/a\n" in text_of(a_copy(broadcast))


def test_copies_differ_in_what_is_theirs_alone() -> None:
    prepared = WRITER.prepare(BROADCAST)
    tokens = Tokens(bounce="c" * 26, receipt="l" * 26, stop="t" * 26, message_id="n" * 26)
    other = replace(ENVELOPE, recipient="c@example.jp", tokens=tokens)
    first = copied(prepared)
    second: bytes = copied(prepared, other, pupils=("南 次郎",), link=f"{PAGES}/k/{'l' * 26}")
    third = copied(prepared)
    assert first == third
    assert "花子" not in text_of(second)
    assert "南 次郎 さん" in text_of(second)
    assert b"docomo" not in second
    assert all(token.encode() not in second and token not in text_of(second) for token in ENVELOPE.tokens)
    assert tokens.receipt in text_of(second)
    assert all(token.encode() in second for token in (tokens.receipt, tokens.message_id))


def test_a_shape_of_copies_is_laid_out_once() -> None:
    laid_out: list[tuple[Language, bool, bool, str | None, int]] = []

    def lay_out(
        language: Language, no_url: bool, asks: bool, link: str | None, pupils: tuple[str, ...]
    ) -> tuple[str, str]:
        laid_out.append((language, no_url, asks, link, len(pupils)))
        return "s", f"text {link or ''} {' '.join(pupils)}\n"

    prepared = Prepared(HOUSE, BROADCAST, zone=WRITER._zone, lay_out=lay_out)
    for count in (1, 2, 0, 1, 2, 0):
        for link in (LINK, None):
            for language, no_url in READERS:
                envelope = replace(ENVELOPE, language=language, no_url=no_url)
                copied(prepared, envelope, pupils=("北 花子",) * count, link=link)
    # Once for the headers of each kind of reader, and once for each shape.
    assert len(laid_out) == 6 + 6 * 6
    assert {(no_url, link) for _, no_url, asks, link, _ in laid_out if asks} == {(False, "\0" + "0" + "\0"), (True, None)}


def filled(letter: Letter, names: list[str], value: str) -> Letter:
    """The letter with that value in the named fields, and in what it tells of registrations."""
    values: dict[str, Any] = dict.fromkeys(names, value)
    entry = Entry(login_id=value, pupil=value, school=value, grade=3, class_name=value)
    own: dict[str, Any] = {"entry": entry} if hasattr(letter, "entry") else {"entries": (entry,)} if hasattr(letter, "entries") else {}
    return replace(letter, **values, **own)


EVIL = "x\r\nBcc: v@example.jp\r\n\r\ny\0\u2028z\ud800"


@EVERY_READER
@pytest.mark.parametrize(
    "letter", [letter for letter in SINGLE if letter != FOR_OPERATOR], ids=lambda letter: letter.name
)
def test_no_field_of_a_letter_makes_a_header_or_a_line_of_its_own(
    letter: Letter, language: Language, no_url: bool
) -> None:
    strings = fields_of(letter)
    harmless = told(filled(letter, strings, "xx"), language, no_url=no_url)
    mail = told(filled(letter, strings, EVIL), language, no_url=no_url)
    assert read(mail).keys() == read(harmless).keys()
    assert max(map(len, mail.split(b"\r\n"))) <= 78
    # Text and cut may have lines: three each. Everything else stays where it is.
    more = 3 * len({"text", "cut"} & set(strings))
    assert text_of(mail).count("\n") == text_of(harmless).count("\n") + more
    assert not set(text_of(mail)) & set("\0\r\u2028\ud800")


def test_no_field_of_a_broadcast_and_no_name_makes_a_header_or_a_line_of_its_own() -> None:
    evil = replace(BROADCAST, subject=EVIL, sender_name=EVIL, board=EVIL)
    mail = a_copy(evil, pupils=(EVIL, "\x000\x00"), link=EVIL)
    assert read(mail).keys() == read(MAILS["broadcast emergency"]).keys()
    assert (
        text_of(mail).count("\n") == text_of(MAILS["broadcast emergency"]).count("\n") - 1
    )  # sender and board are the same
    assert "\n 0  さん\n" in text_of(mail)


# Letters whose every text is set to one word in the first place; what stands in them is then known by it.
TEXT, VALUE = "ＴＥＸＴ", "ＶＡＬＵＥ"
WRITTEN = [letter for letter in SINGLE if letter != FOR_OPERATOR]


def fields_of(letter: Letter) -> list[str]:
    """The fields of a letter that people or settings fill with words."""
    return [field.name for field in fields(letter) if type(getattr(letter, field.name)) is str and field.name != "change"]


def told_with(letter: Letter, reader: tuple[Language, bool], *, text: str, value: str) -> bytes:
    """A letter with that text, where it has one, and that value everywhere else."""
    long = [name for name in fields_of(letter) if name in ("text", "cut")]
    texts: dict[str, Any] = dict.fromkeys(long, text)
    letter = replace(filled(letter, [name for name in fields_of(letter) if name not in long], value), **texts)
    return told(letter, reader[0], no_url=reader[1])


@settings(max_examples=300, deadline=None)
@given(letter=st.sampled_from(WRITTEN), reader=st.sampled_from(READERS), text=WORDS, value=WORDS)
def test_whatever_a_letter_tells_reads_back(letter: Letter, reader: tuple[Language, bool], text: str, value: str) -> None:
    text, value = f"a{text}z", f"a{value}z"
    shown = unlinked if reader[1] and letter in TO_GUARDIAN else str
    mail, pattern = (told_with(letter, reader, text=text, value=value), told_with(letter, reader, text=TEXT, value=VALUE))
    assert lines(mail) == mail
    assert read(mail).keys() == read(pattern).keys()
    own_text, own_value = shown(headers.clean_lines(text)), shown(headers.clean(value))
    assert text_of(mail) == text_of(pattern).replace(TEXT, own_text).replace(VALUE, own_value)
    assert str(read(mail)["Subject"]) == str(read(pattern)["Subject"]).replace(VALUE, own_value)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.lists(st.sampled_from([b"a", b"%b", b"\r", b"\n", b"\r\n", b"\0", b"\xe3"])).map(b"".join)))
def test_whatever_is_handed_on_goes_in_lines(content: bytes) -> None:
    mail = told(ForOperator(content))
    assert lines(mail) == mail


@settings(max_examples=25, deadline=None)
@given(name=WORDS, board=WORDS, helpline=WORDS, reader=st.sampled_from(READERS))
def test_whatever_a_house_is_called_its_mails_are_lines_and_say_so(
    name: str, board: str, helpline: str, reader: tuple[Language, bool]
) -> None:
    writer = a_writer(replace(HOUSE, name=name, board=board, helpline=helpline))
    envelope = replace(ENVELOPE, language=reader[0], no_url=reader[1])
    mails = [*(writer.write(letter, envelope) for letter in SINGLE), copied(writer.prepare(BROADCAST), envelope)]
    for letter, mail in zip((*SINGLE, None), mails, strict=True):
        shown = unlinked if reader[1] and (letter is None or letter in TO_GUARDIAN) else str
        assert lines(mail) == mail
        written = mail.decode("ascii").partition("\r\nTo: ")[0].replace("\r\n", "")
        display, box, domain = written.removeprefix("From: ").rpartition("renraku@")
        assert decode_words(display.rstrip("< ")) == shown(headers.clean(name)).strip()
        assert (box + domain).rstrip(">") == "renraku@gate.example.jp"
        if letter in TO_GUARDIAN:
            own_board, own_name = (shown(headers.clean(value)) for value in (board, name))
            footer = f"{own_board} ({own_name})" if reader[0] is Language.EN else f"{own_board}（{own_name}）"
            assert f"\n{footer}\n" in text_of(mail)


def test_a_house_with_a_strange_name_writes_one_from_and_one_footer() -> None:
    writer = a_writer(replace(HOUSE, name=EVIL, board=EVIL, helpline=EVIL))
    mail = writer.write(INVITATION, ENVELOPE)
    assert read(mail).keys() == OWN_LINES + TEXT_LINES
    assert text_of(mail).count("\n") == text_of(MAILS["invitation"]).count("\n")


def test_braces_in_a_value_are_text() -> None:
    text = text_of(a_copy(replace(BROADCAST, text="{{ house.domain }} {% if x %} <b>&amp;</b>")))
    assert "{{ house.domain }} {% if x %} <b>&amp;</b>" in text


@pytest.mark.parametrize("text", ["あ" * 16_666, "a" * 50_000, "\n" * 10 + "x" * 49_960 + "\n" * 10, "😀" * 12_500])
def test_what_fits_stays_below_the_limit_as_a_copy_and_as_a_preview(text: str) -> None:
    subject = "あ" * 200
    assert fits(subject=subject, text=text)
    prepared = WRITER.prepare(replace(BROADCAST, subject=subject, text=text))
    for language, no_url in READERS:
        envelope = replace(ENVELOPE, language=language, no_url=no_url)
        assert len(copied(prepared, envelope, pupils=("北 花子",) * 40)) < MAX_MAIL
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


MISSING = [
    *((letter.name, part, Language.JA) for letter in (*LETTERS, BroadcastText) for part in ("subject", "text")),
    *((letter.name, part, language) for letter in TO_GUARDIAN for part in ("subject", "text") for language in Language),
    *(("broadcast", part, language) for part in ("subject", "text") for language in Language),
]


@pytest.mark.parametrize("name, part, language", sorted(set(MISSING)))
def test_a_missing_template_stops_the_start(tmp_path: Path, name: str, part: str, language: Language) -> None:
    shutil.copytree(folder("templates") / "mail", tmp_path / "mail")
    (tmp_path / "mail" / name / f"{part}.{language}.txt").unlink()
    with pytest.raises(jinja2.TemplateNotFound):
        Writer(HOUSE, tmp_path)
