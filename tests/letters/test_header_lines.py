import re
from dataclasses import replace
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailgate.core.broadcast import Kind
from mailgate.core.headers import decode_words
from mailgate.core.instants import SECOND, Instant, from_datetime, to_datetime
from mailgate.core.routing import BoxNames
from mailgate.letters import headers
from tests.letters.builders import BROADCAST, HOUSE, NOW, read

# What breaks header writers: encoded-words in the value, blanks at the seams, line ends of every kind, characters outside every table.
NASTY = (
    "=?utf-8?q?a=0aBcc:_v?=", "=?", "?=", "=?utf-8?B?44GC?=", "\r\nBcc: v@example.jp\r\n\r\n", "\r", "\n", "\0", "\x0b", "\x85",
    "\u2028", "\ud83d", "  ", " ", "\t", "①", "髙﨑", "㈱", "～〜", "—", "😀", "\U0001f468\u200d\U0001f467", "か\u3099", "\u3000",
    "=", "_", '"', "<a@b>", ",", "(", "\\", ":", "【緊急連絡】", "あすの臨時休業について", "PTA", "A4",
)  # fmt: skip
VALUES = st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=12)), max_size=8).map("".join)


@settings(max_examples=7_000, deadline=None)
@given(VALUES)
@example("あ" * 500)
@example("a" * 2_000)
@example(" a ")
@example("")
def test_a_value_reads_back_as_it_was_and_is_short_ascii_lines_without_another_header(value: str) -> None:
    line = headers.header("Subject", value)
    message = read((line + "\r\nX-Next: 1\r\n\r\n").encode("ascii"))
    assert message.keys() == ["Subject", "X-Next"]
    assert str(message["Subject"]) == headers.clean(value)
    assert decode_words(line.removeprefix("Subject: ").replace("\r\n", "")) == headers.clean(value)
    parts = line.split("\r\n")
    assert all(len(part) <= 78 and part.isprintable() for part in parts)
    assert all(part.startswith(" ") for part in parts[1:])


@settings(max_examples=1_500, deadline=None)
@given(VALUES)
def test_the_older_reader_of_the_standard_library_agrees(value: str) -> None:
    line = headers.header("Subject", value)
    encoded = line.removeprefix("Subject: ")
    assert str(make_header(decode_header(encoded))) == headers.clean(value)


@settings(max_examples=1_500, deadline=None)
@given(VALUES)
def test_a_display_name_reads_back_and_the_address_beside_it_stays_one(display: str) -> None:
    line = headers.mailbox("From", display, "renraku@gate.example.jp")
    message = read((line + "\r\nX-Next: 1\r\n\r\n").encode("ascii"))
    assert message.keys() == ["From", "X-Next"]
    [address] = message["From"].addresses
    assert address.addr_spec == "renraku@gate.example.jp"
    assert decode_words(line.removeprefix("From: ").rpartition("renraku@")[0].replace("\r\n", "").rstrip("< ")) == (
        headers.clean(display).strip()
    )
    assert all(len(part) <= 78 for part in line.split("\r\n"))


@pytest.mark.parametrize(
    "value, line",
    [
        ("hello", "Subject: hello"),
        ("a" * 69, "Subject: " + "a" * 69),
        ("a  b", "Subject: a  b"),
        ("あ", "Subject: =?utf-8?B?44GC?="),
        (" a", "Subject: =?utf-8?B?IGE=?="),
        ("=?", "Subject: =?utf-8?B?PT8=?="),
        ("a\r\nb", "Subject: a  b"),
    ],
)
def test_a_value_is_plain_where_nobody_could_mistake_it(value: str, line: str) -> None:
    assert headers.header("Subject", value) == line


def test_a_plain_value_that_is_too_long_for_a_line_is_encoded() -> None:
    assert headers.header("Subject", "a" * 70).startswith("Subject: =?utf-8?B?")


@given(st.text(alphabet="あ髙😀é", min_size=1, max_size=200))
def test_each_encoded_word_holds_whole_characters_in_a_line_of_76(value: str) -> None:
    for part in headers.header("Subject", value).split("\r\n"):
        assert len(part) <= 76
        assert "\ufffd" not in decode_words(part.removeprefix("Subject: ").strip())


@given(VALUES)
def test_a_text_of_lines_keeps_its_lines_and_tabs_and_no_other_control(value: str) -> None:
    cleaned = headers.clean_lines(value)
    assert re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", cleaned) is None
    assert cleaned.count("\n") == value.count("\n") + value.count("\r") - value.count("\r\n")
    assert headers.clean_lines(cleaned) == cleaned


@given(st.integers(min_value=0, max_value=4_000_000_000), st.sampled_from(["Asia/Tokyo", "UTC", "America/New_York"]))
def test_a_date_reads_back_to_the_second_in_the_time_of_the_house(seconds: int, zone: str) -> None:
    instant = Instant(seconds * SECOND + 999_999)
    text = headers.date(instant, ZoneInfo(zone))
    assert parsedate_to_datetime(text) == to_datetime(Instant(seconds * SECOND))
    assert re.fullmatch(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", text)


def test_a_date_is_in_local_time() -> None:
    new_year = from_datetime(datetime(2026, 12, 31, 15, 0, tzinfo=UTC))
    assert headers.date(new_year, ZoneInfo("Asia/Tokyo")) == "Fri, 01 Jan 2027 00:00:00 +0900"


def test_the_from_of_every_mail_is_the_replies_box_with_the_name_of_the_house() -> None:
    assert headers.sender(HOUSE) == "From: =?utf-8?B?5a2m5qCh44Oh44O844Or?= <renraku@gate.example.jp>\r\n"
    assert headers.sender(replace(HOUSE, name=" ")) == "From: renraku@gate.example.jp\r\n"


def test_a_name_brings_no_url_to_a_phone_that_refuses_them() -> None:
    line = headers.sender(replace(HOUSE, name="https://a.jp"), no_url=True)
    assert line == "From: =?utf-8?B?YS5qcA==?= <renraku@gate.example.jp>\r\n"


def test_a_long_name_leaves_the_address_a_line_of_its_own() -> None:
    line = headers.sender(replace(HOUSE, name="みどり市立学校メール配信"))
    assert line.endswith("?=\r\n <renraku@gate.example.jp>\r\n")
    assert all(len(part) <= 78 for part in line.split("\r\n"))


def test_the_own_lines_carry_the_recipient_as_it_is() -> None:
    own = headers.own(HOUSE, recipient=".a..b.@docomo.ne.jp", token="m" * 26, date=headers.date(NOW, ZoneInfo("Asia/Tokyo")))
    assert own == (
        "To: <.a..b.@docomo.ne.jp>\r\n"
        "Date: Tue, 24 Nov 2026 15:40:00 +0900\r\n"
        "Message-ID: <mmmmmmmmmmmmmmmmmmmmmmmmmm@gate.example.jp>\r\n"
    )


def test_boxes_come_from_the_house() -> None:
    house = replace(HOUSE, boxes=BoxNames(replies="info", receipt="ok", stop="halt"))
    assert headers.sender(house).endswith("<info@gate.example.jp>\r\n")
    assert headers.reply_to(house, "k" * 26) == f"Reply-To: ok+{'k' * 26}@gate.example.jp\r\n"
    assert f"<mailto:halt+{'s' * 26}@gate.example.jp>" in headers.stop(house, "s" * 26, no_url=False)


def test_a_stop_is_a_page_and_a_mail_and_one_click() -> None:
    token = "s" * 26
    message = read((headers.stop(HOUSE, token, no_url=False) + "\r\n").encode("ascii"))
    assert str(message["List-Unsubscribe"]).strip() == (
        f"<https://touroku.example.jp/stop/{token}>, <mailto:yame+{token}@gate.example.jp>"
    )
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


@pytest.mark.parametrize(
    "url, longest",
    [
        ("https://a.jp", "List-Unsubscribe-Post: List-Unsubscribe=One-Click"),
        ("https://mail.example.jp:8", "List-Unsubscribe: <https://mail.example.jp:8/stop/ssssssssssssssssssssssssss>,"),
        ("https://touroku.example.jp", " <https://touroku.example.jp/stop/ssssssssssssssssssssssssss>,"),
        # A URL is never broken: a line of its own is all that can be done for it.
        (f"https://{'a' * 60}.jp", f" <https://{'a' * 60}.jp/stop/ssssssssssssssssssssssssss>,"),
    ],
)
def test_a_stop_is_folded_where_it_has_to_be(url: str, longest: str) -> None:
    lines = headers.stop(replace(HOUSE, public_url=url), "s" * 26, no_url=False).split("\r\n")
    page = lines[0] if lines[0] != "List-Unsubscribe:" else lines[1]
    assert page.endswith(f"<{url}/stop/{'s' * 26}>,")
    if "Post" not in longest:
        assert page == longest
    assert all(len(line) <= 78 for line in lines) or page == longest


def test_without_urls_a_stop_is_one_line_with_an_address() -> None:
    line = headers.stop(HOUSE, "s" * 26, no_url=True)
    assert line == f"List-Unsubscribe: <mailto:yame+{'s' * 26}@gate.example.jp>\r\n"


@pytest.mark.parametrize("kind", Kind)
def test_only_an_emergency_is_urgent(kind: Kind) -> None:
    lines = headers.listed(HOUSE, replace(BROADCAST, kind=kind)).split("\r\n")
    assert lines[:2] == ["List-Id: <kita-es.gate.example.jp>", "Feedback-ID: 7:kita-es:mailgate"]
    assert lines[2:-1] == (["Importance: high", "X-Priority: 1"] if kind is Kind.EMERGENCY else [])


def test_a_mail_says_that_a_machine_wrote_it() -> None:
    assert headers.automatic() == "Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n"
    assert headers.automatic(reply=True) == "Auto-Submitted: auto-replied\r\nX-Auto-Response-Suppress: All\r\n"
