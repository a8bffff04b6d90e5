"""Prepared: a broadcast, written once so that a copy is a join of what is shared, a few header lines and a small tail.

Copies share all but their envelope, the pupils they name and their link. They differ in shape: by the language of the reader, by whether
he gets links, by whether a receipt is asked for and by how many pupils are named. Each shape is laid out when its first copy comes.
"""

from collections.abc import Callable
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from mailgate.core.letters import BroadcastText, CopyFacts, House
from mailgate.core.readers import Language, unlinked
from mailgate.letters import headers
from mailgate.letters.compose import TEXT, Segments, mark

# What a copy's own headers, names and link, and a wordier language, may add to what all copies share.
OWN: Final = 8_000

# Subject and text for a language, without links or with, asking for a receipt or not, with marks where link and pupils stand.
LayOut: TypeAlias = Callable[[Language, bool, bool, str | None, tuple[str, ...]], tuple[str, str]]


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
        self.shared_octets = len(frame.sender) + len(frame.shared) + len(shape.encoded)

    def copy(self, facts: CopyFacts) -> bytes:
        """The mail of one recipient, headers and all."""
        envelope, link, pupils = facts.envelope, facts.link, facts.pupils
        frame = self._frames.get((envelope.language, envelope.no_url))
        if frame is None:
            frame = self._frame(envelope.language, no_url=envelope.no_url)
        own = (
            frame.sender + headers.own(self._house, envelope, zone=self._zone) + headers.reply_to(self._house, envelope)
        )
        if self._stoppable:
            own += headers.stop(self._house, envelope)
        asks = link is not None
        shape = frame.shapes.get((asks, len(pupils))) or self._shape(frame, asks=asks, names=len(pupils))
        body = shape.filled([frame.clean(value).encode() for value in (link or "", *pupils)])
        return b"".join((own.encode("ascii"), frame.shared, body))

    def _frame(self, language: Language, *, no_url: bool) -> "_Frame":
        subject = self._lay_out(language, no_url, False, None, ())[0]
        shared = [
            headers.header("Subject", subject) + "\r\n",
            # The text is the school's, in Japanese, whatever stands around it.
            headers.content(TEXT, "base64", languages="ja" if language is not Language.EN else "ja, en"),
            headers.automatic(),
            headers.listed(self._house, self._broadcast),
            "\r\n",
        ]
        frame = _Frame(language, no_url=no_url, sender=headers.sender(self._house, no_url=no_url), shared="".join(shared))
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

    def __init__(self, language: Language, *, no_url: bool, sender: str, shared: str) -> None:
        self.language = language
        self.no_url = no_url
        self.sender = sender
        self.shared = shared.encode("ascii")
        self.shapes: dict[tuple[bool, int], Segments] = {}
        self.clean: Callable[[str], str] = _clean_unlinked if no_url else headers.clean


def _clean_unlinked(value: str) -> str:
    return unlinked(headers.clean(value))
