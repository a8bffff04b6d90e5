"""Copies are made from headers that were laid out with marks: they are as if each had been written by itself."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailgate.core.broadcast import Kind
from mailgate.core.instants import DAY, SECOND, Instant
from mailgate.core.letters import BroadcastText, Envelope, House
from mailgate.core.lines import NotLines, lines
from mailgate.core.readers import TAG, Language
from mailgate.core.returnpath import tokens
from mailgate.letters import headers
from mailgate.letters.compose import TEXT
from mailgate.letters.prepared import Prepared
from tests.letters.builders import BROADCAST, ENVELOPE, HOUSE, LINK, NOW, PUPILS, copied, header_lines

ZONE = ZoneInfo(HOUSE.timezone)
KEY = b"k" * 32
SUBJECT = "あす 50%b の\x000\x00休業"


def lay_out(language: Language, no_url: bool, asks: bool, link: str | None, pupils: tuple[str, ...]) -> tuple[str, str]:
    """A subject, and a text with all that a copy has for itself."""
    return SUBJECT, "\n".join(["text", link or "", *pupils, ""])


def prepared_by(house: House, broadcast: BroadcastText = BROADCAST) -> Prepared:
    return Prepared(house, broadcast, zone=ZONE, lay_out=lay_out)


def one_by_one(house: House, broadcast: BroadcastText, envelope: Envelope) -> str:
    """The header block of a copy, each header made for it alone."""
    made = [
        headers.sender(house, no_url=envelope.no_url),
        headers.own(
            house,
            recipient=envelope.recipient,
            token=envelope.tokens.message_id,
            date=headers.date(envelope.date, ZONE),
        ),
        headers.reply_to(house, envelope.tokens.receipt),
        "" if broadcast.is_alarm else headers.stop(house, envelope.tokens.stop, no_url=envelope.no_url),
        headers.header("Subject", SUBJECT) + "\r\n",
        headers.content(TEXT, "base64", languages="ja, en" if TAG[envelope.language] == "en" else "ja"),
        headers.automatic(),
        headers.listed(house, broadcast),
    ]
    return "".join(made).removesuffix("\r\n")


ENVELOPES = st.builds(
    Envelope,
    recipient=st.sampled_from(["a..b@docomo.ne.jp", "a%b&c@ezweb.ne.jp", "%b@x.jp", "%%@x.jp", "a" * 64 + "@" + "b" * 60 + ".jp"]),
    tokens=st.integers(min_value=0, max_value=2**48 - 1).map(lambda outbox_id: tokens(KEY, outbox_id)),
    date=st.integers(min_value=0, max_value=4_000_000_000).map(lambda seconds: Instant(seconds * SECOND)),
    language=st.sampled_from(Language),
    no_url=st.booleans(),
)
URLS = {
    "short": "https://a.jp",
    "the longest that leaves a stop unfolded": "https://" + "a" * 14 + ".jp",
    "the shortest that folds it": "https://" + "a" * 15 + ".jp",
    "too long for a line": "https://" + "a" * 60 + ".jp",
    "with a path that is escaped": "https://a.jp/%E5%AD%A6/%b",
}


@pytest.mark.parametrize("public_url", URLS.values(), ids=list(URLS))
@settings(max_examples=150, deadline=None)
@given(first=ENVELOPES, second=ENVELOPES, kind=st.sampled_from(Kind))
@example(first=ENVELOPE, second=replace(ENVELOPE, tokens=tokens(KEY, 1)), kind=Kind.NOTICE)
def test_a_copy_has_the_header_lines_that_each_header_has_by_itself(
    public_url: str, first: Envelope, second: Envelope, kind: Kind
) -> None:
    house, broadcast = replace(HOUSE, public_url=public_url), replace(BROADCAST, kind=kind)
    prepared = prepared_by(house, broadcast)
    for envelope in (first, second, first):
        assert header_lines(copied(prepared, envelope)) == one_by_one(house, broadcast, envelope).split("\r\n")


def test_the_urls_above_are_on_both_sides_of_the_fold() -> None:
    notice = replace(BROADCAST, kind=Kind.NOTICE)
    folded = {
        name: "List-Unsubscribe:" in header_lines(copied(prepared_by(replace(HOUSE, public_url=url), notice)))
        for name, url in URLS.items()
    }
    assert list(folded.values()) == [False, False, True, True, False]
    longest = header_lines(copied(prepared_by(replace(HOUSE, public_url=list(URLS.values())[1]), notice)))
    assert max(map(len, longest)) == 78


def test_copies_of_one_broadcast_may_have_different_dates() -> None:
    prepared = prepared_by(HOUSE)
    for date in (NOW, Instant(NOW + DAY), NOW):
        assert f"Date: {headers.date(date, ZONE)}" in header_lines(copied(prepared, replace(ENVELOPE, date=date)))


@settings(max_examples=300, deadline=None)
@given(envelope=ENVELOPES, pupils=st.lists(st.text(max_size=20), max_size=12).map(tuple), link=st.none() | st.text(max_size=90))
@example(envelope=ENVELOPE, pupils=PUPILS, link=LINK)
@example(envelope=ENVELOPE, pupils=("%b", "\x002\x00", "\r\n.\r\n", "\ud800"), link="\x001\x00%")
def test_a_copy_is_lines_whatever_is_filled_in(envelope: Envelope, pupils: tuple[str, ...], link: str | None) -> None:
    copy = copied(prepared_by(HOUSE), envelope, pupils=pupils, link=link)
    assert lines(copy) == copy


@pytest.mark.parametrize("house", [replace(HOUSE, public_url="https://a.jp\n"), replace(HOUSE, domain="a\r.jp")])
def test_headers_that_are_not_lines_are_found_before_the_first_copy(house: House) -> None:
    with pytest.raises(NotLines):
        prepared_by(house, replace(BROADCAST, kind=Kind.NOTICE))
