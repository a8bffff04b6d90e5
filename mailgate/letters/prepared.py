"""Prepared: a broadcast, written once so that a copy is a join of what is shared with a few values of its own.

Copies share all but whom they are to, their tokens, the pupils they name and their link. They differ in shape: by the language of the
reader, by whether he gets links, by whether a receipt is asked for and by how many pupils are named. Headers and each shape of the text
are laid out when their first copy comes, with marks where a copy's own values stand, and looked at then (core.lines): what is filled in
later is base64, or words of the envelope.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from mailgate.core.letters import BroadcastText, Envelope, House
from mailgate.core.lines import Lines, lines
from mailgate.core.readers import Language, unlinked
from mailgate.core.returnpath import TOKEN_LENGTH
from mailgate.letters import headers
from mailgate.letters.compose import TEXT, Layout, Segments, mark

# What a copy's own headers, names and link, and a wordier language, may add to what all copies share.
OWN: Final = 8_000

# Subject and text for a language, without links or with, asking for a receipt or not, with marks where link and pupils stand.
LayOut: TypeAlias = Callable[[Language, bool, bool, str | None, tuple[str, ...]], tuple[str, str]]

# The values of a copy's headers. A token's mark is as long as a token, since a line may be folded for it.
_RECIPIENT, _DATE = mark(0), mark(1)
_MESSAGE_ID, _RECEIPT, _STOP = (mark(place, width=TOKEN_LENGTH) for place in (2, 3, 4))


class Prepared:
    """A broadcast whose copies are a join."""

    def __init__(self, house: House, broadcast: BroadcastText, *, zone: ZoneInfo, lay_out: LayOut) -> None:
        self._house = house
        self._broadcast = broadcast
        self._zone = zone
        self._stoppable = not broadcast.is_alarm
        self._lay_out = lay_out
        self._frames: dict[tuple[Language, bool], _Frame] = {}
        frame = self._frame(Language.JA, no_url=False)
        shape = self._shape(frame, asks=True, names=1)
        self.shared_octets = len(frame.head.octets) + len(shape.encoded)

    def copy(self, envelope: Envelope, *, pupils: Sequence[str], link: str | None) -> Lines:
        """The mail of one recipient, headers and all.

        `pupils` are those for whom this address is written to, none for staff; `link` is the page with the button, None: no receipt is
        asked for.
        """
        language, no_url = envelope.language, envelope.no_url
        frame = self._frames.get((language, no_url)) or self._frame(language, no_url=no_url)
        asks = link is not None
        shape = frame.shapes.get((asks, len(pupils))) or self._shape(frame, asks=asks, names=len(pupils))
        tokens, date = envelope.tokens, headers.date(envelope.date, self._zone)
        own = (envelope.recipient, date, tokens.message_id, tokens.receipt, tokens.stop)
        body = shape.filled([frame.clean(value).encode() for value in (link or "", *pupils)])
        return Lines(frame.head.filled([value.encode() for value in own]) + body)

    def _frame(self, language: Language, *, no_url: bool) -> "_Frame":
        house, subject = self._house, self._lay_out(language, no_url, False, None, ())[0]
        head = [
            headers.sender(house, no_url=no_url),
            headers.own(house, recipient=_RECIPIENT, date=_DATE, token=_MESSAGE_ID),
            headers.reply_to(house, _RECEIPT),
            headers.stop(house, _STOP, no_url=no_url) if self._stoppable else "",
            headers.header("Subject", subject) + "\r\n",
            # The text is the school's, in Japanese, whatever stands around it.
            headers.content(TEXT, "base64", languages="ja" if language is not Language.EN else "ja, en"),
            headers.automatic(),
            headers.listed(house, self._broadcast),
            "\r\n",
        ]
        frame = _Frame(language, no_url=no_url, head=Layout.of(lines("".join(head).encode("ascii"))))
        self._frames[language, no_url] = frame
        return frame

    def _shape(self, frame: "_Frame", *, asks: bool, names: int) -> Segments:
        """The shared text of the copies of a shape; value 0 is the link, the others are the pupils."""
        link = mark(0) if asks and not frame.no_url else None
        pupils = tuple(map(mark, range(1, names + 1)))
        shape = Segments.of(self._lay_out(frame.language, frame.no_url, asks, link, pupils)[1])
        frame.shapes[asks, names] = shape
        return shape


class _Frame:
    """What the copies to one kind of reader share."""

    def __init__(self, language: Language, *, no_url: bool, head: Layout) -> None:
        self.language = language
        self.no_url = no_url
        self.head = head
        self.shapes: dict[tuple[bool, int], Segments] = {}
        self.clean: Callable[[str], str] = _clean_unlinked if no_url else headers.clean


def _clean_unlinked(value: str) -> str:
    return unlinked(headers.clean(value))
