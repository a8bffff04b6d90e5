from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.broadcast import Kind
from mailgate.core.letters import (
    LETTERS,
    TO_GUARDIANS,
    TO_STAFF,
    BroadcastText,
    fits,
    return_path,
)
from mailgate.core.readers import Language
from mailgate.core.relay import Copy
from mailgate.core.routing import BoxNames
from tests.letters.builders import BROADCAST, ENTRY, ENVELOPE, HOUSE, SINGLE, a_writer, copied


def test_a_box_of_the_house_takes_a_token_or_none() -> None:
    assert HOUSE.box("renraku") == "renraku@gate.example.jp"
    assert HOUSE.box("k", "abc") == "k+abc@gate.example.jp"


def test_notices_come_back_to_the_bounce_box_with_the_token_of_the_row() -> None:
    assert return_path(HOUSE, ENVELOPE) == "b+bbbbbbbbbbbbbbbbbbbbbbbbbb@gate.example.jp"
    renamed = replace(HOUSE, boxes=BoxNames(bounce="zurueck"))
    assert return_path(renamed, ENVELOPE) == "zurueck+bbbbbbbbbbbbbbbbbbbbbbbbbb@gate.example.jp"


@pytest.mark.parametrize(
    "recipient",
    [
        "a..b@docomo.ne.jp",
        ".a.@ezweb.ne.jp",
        "-a@ezweb.ne.jp",
        "a/b?c&d%e+f@docomo.ne.jp",
        "=?utf-8?q?a?=@example.jp",
        "a@xn--r8jz45g.jp",
        "a" * 64 + "@" + "b" * 180 + ".jp",
    ],
)
def test_an_envelope_takes_every_mailbox_there_is(recipient: str) -> None:
    assert replace(ENVELOPE, recipient=recipient).recipient == recipient


@pytest.mark.parametrize(
    "recipient",
    [
        "",
        "a",
        "a@",
        "@b",
        "a@b@c",
        "a@b\r\nBcc: c@d",
        "a@b\n",
        "a\0@b",
        "a b@c",
        "<a@b>",
        "a@b>",
        "a,b@c",
        "a[b@softbank.ne.jp",
        '"a..b"@docomo.ne.jp',
        "ユーザ@例え.jp",
        "a@b, c@d",
    ],
)
def test_an_envelope_takes_nothing_that_could_be_more_than_one_mailbox(recipient: str) -> None:
    with pytest.raises(ValueError, match="recipient") as refused:
        replace(ENVELOPE, recipient=recipient)
    assert recipient not in str(refused.value) or recipient in ("", "a", "a@")


@given(st.text(max_size=8))
def test_what_an_envelope_takes_is_one_visible_ascii_word(text: str) -> None:
    try:
        recipient = replace(ENVELOPE, recipient=f"a{text}@b").recipient
    except ValueError:
        return
    assert recipient.isascii()
    assert recipient.isprintable()
    assert not set(recipient) & set(' <>",;:()[]\\')


@pytest.mark.parametrize(
    "key, feedback",
    [
        ("", ()),
        ("kita es", ()),
        ("a\r\nBcc: b@c", ()),
        ("all", ("1", "2", "3", "4")),
        ("all", ("",)),
        ("all", ("a:b",)),
        ("all", ("a\n",)),
    ],
)
def test_a_broadcast_takes_no_key_or_id_that_is_not_a_word(key: str, feedback: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="words"):
        replace(BROADCAST, list_key=key, feedback=feedback)


@pytest.mark.parametrize("feedback", [(), ("7",), ("7", "kita-es", "3-1")])
def test_a_broadcast_takes_up_to_three_ids(feedback: tuple[str, ...]) -> None:
    assert replace(BROADCAST, feedback=feedback).feedback == feedback


@pytest.mark.parametrize(
    "kind, is_alarm",
    [
        (Kind.EMERGENCY, True),
        (Kind.ALERT, True),
        (Kind.EDUCATION, False),
        (Kind.NOTICE, False),
        (Kind.DRILL, False),
    ],
)
def test_an_alarm_is_what_takes_the_lane_of_alarms(kind: Kind, is_alarm: bool) -> None:
    assert replace(BROADCAST, kind=kind).is_alarm is is_alarm


def test_letters_have_names_of_their_own() -> None:
    names = [letter.name for letter in (*LETTERS, BroadcastText)]
    assert names == [
        *("invitation", "completion", "joined", "id_list", "password_link", "address_changed", "withdrawn", "not_read", "stopped"),
        *("preview", "staff_refused", "for_operator", "site_paused", "broadcast"),
    ]
    assert {type(letter) for letter in SINGLE} == set(LETTERS)
    assert (*TO_GUARDIANS, *TO_STAFF) == LETTERS


def test_a_reader_gets_japanese_and_links_unless_told_otherwise() -> None:
    assert (ENVELOPE.language, ENVELOPE.no_url) == (Language.JA, False)


COPY = Copy(
    id=7, sender=return_path(HOUSE, ENVELOPE), recipient=ENVELOPE.recipient, content=copied(a_writer().prepare(BROADCAST))
)
PRIVATE = [*SINGLE, ENTRY, BROADCAST, ENVELOPE, ENVELOPE.tokens, COPY]


@pytest.mark.parametrize("value", PRIVATE, ids=lambda value: type(value).__name__)
def test_no_letter_shows_what_it_says_and_no_copy_whom_it_is_for(value: object) -> None:
    shown = repr(value)
    for private in ("docomo", "https", "1234", "花子", "休業", "hanako", "bbbb", "kkkk", "ssss", "mmmm", "gate.example", "遠足", "someone"):
        assert private not in shown


@pytest.mark.parametrize(
    "subject, text, answer",
    [
        ("", "", True),
        ("あ" * 200, "あ" * 16_666, True),
        ("あ" * 201, "", False),
        ("", "あ" * 16_667, False),
        ("", "\n" * 25_000, True),
        ("", "\n" * 25_001, False),
        ("\ud800", "\udfff", True),
    ],
)
def test_a_text_fits_up_to_its_last_octet(subject: str, text: str, answer: bool) -> None:
    assert fits(subject=subject, text=text) is answer
