"""Transactions: mails over one open SMTP connection, one recipient each. Octets go in and out; nothing here waits, reads or writes.

Rules
- Where the server announced PIPELINING, MAIL, RCPT and DATA are said in one write (RFC 2920 section 3.1), elsewhere one by one. The two
  tables below are the whole conversation: what is asked in each state, and which answer leads where. A pair that is in neither is a server
  out of step with us: then nothing it says is believed any more, and the state is GONE.
- The content is said after a yes to MAIL, a yes to RCPT and a 354, and never else. When the recipient was refused and DATA answered 354
  all the same, a lone dot ends a mail of nothing to nobody. When the sender was refused and the recipient was not, there would be somebody
  to get it: the connection is dropped.
- A yes after the final dot is believed only if all of the content had left before it came. More generally an answer to what was not said
  yet, even its first octet, and a line that nobody asked for, put the server out of step.
- With `follow` the next envelope goes out behind a content, as RFC 2920 allows and some servers refuse.
- Every copy begun ends once, in `ended`, as soon as its end is known: with an answer, or, when the connection is lost, with the phase it
  had come to. A refusal is known before what is still owed of the conversation (an answer to DATA, a RSET) has come.
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from mailgate.core.lines import Lines
from mailgate.core.relay import Accepted, Copy, Deferred, Outcome, Phase, masked
from mailgate.core.smtpreply import MAX_REPLY, Kind, code_of, end_of_reply, kind_of, negative, text_of

QUIT: Final = b"QUIT\r\n"


class State(IntEnum):
    """Whose answer is waited for."""

    READY = 0  # nobody's: a mail may begin
    MAIL = 1
    RCPT = 2
    DATA = 3
    EOD = 4  # content and final dot
    # The copy's end is known, and what was said along with it is still to be answered.
    MAIL_REFUSED = 5  # RCPT
    STRAY_RCPT = 6  # DATA, with a recipient taken and no sender
    RCPT_REFUSED = 7  # DATA, with nobody to send to
    LONE_DOT = 8
    RESET = 9
    GONE = 10  # nobody's: the connection is to be dropped


_COMMON: Final = {
    (State.MAIL, Kind.YES): State.RCPT,
    (State.RCPT, Kind.YES): State.DATA,
    (State.DATA, Kind.GO): State.EOD,
    (State.DATA, Kind.NO): State.RESET,
    (State.EOD, Kind.YES): State.READY,
    (State.EOD, Kind.NO): State.READY,
    (State.RESET, Kind.YES): State.READY,
}

Moves = Mapping[tuple[State, Kind], State]

STEPWISE: Final[Moves] = MappingProxyType(
    _COMMON
    | {
        (State.MAIL, Kind.NO): State.READY,  # no envelope is open
        (State.RCPT, Kind.NO): State.RESET,
    }
)

PIPELINED: Final[Moves] = MappingProxyType(
    _COMMON
    | {
        (State.MAIL, Kind.NO): State.MAIL_REFUSED,
        (State.MAIL_REFUSED, Kind.NO): State.RCPT_REFUSED,
        (State.MAIL_REFUSED, Kind.OUT_OF_STEP): State.RCPT_REFUSED,  # 503 is what a server says to RCPT without MAIL
        (State.MAIL_REFUSED, Kind.YES): State.STRAY_RCPT,
        (State.STRAY_RCPT, Kind.NO): State.RESET,
        (State.STRAY_RCPT, Kind.OUT_OF_STEP): State.RESET,
        (State.RCPT, Kind.NO): State.RCPT_REFUSED,
        (State.RCPT_REFUSED, Kind.NO): State.RESET,
        (State.RCPT_REFUSED, Kind.OUT_OF_STEP): State.RESET,
        (State.RCPT_REFUSED, Kind.GO): State.LONE_DOT,  # RFC 2920 section 3.1: "should send a single dot"
        (State.LONE_DOT, Kind.YES): State.READY,
        (State.LONE_DOT, Kind.NO): State.READY,
    }
)

_PHASES: Final[Mapping[State, Phase]] = MappingProxyType(
    {State.MAIL: Phase.MAIL, State.RCPT: Phase.RCPT, State.DATA: Phase.DATA, State.EOD: Phase.EOD}
)
_ONWARD: Final = frozenset({State.RCPT, State.DATA, State.EOD})
_SILENT: Final = frozenset({State.READY, State.GONE})
_ASKS: Final[Mapping[State, bytes]] = MappingProxyType({State.LONE_DOT: b".\r\n", State.RESET: b"RSET\r\n"})


_Mail = tuple[Copy, str]
Ended = tuple[Copy, str, Outcome]  # with the recipient as it was on the wire


class NotNow(Exception):
    """A mail was begun where none can begin: a fault of the caller."""


class Transactions:
    """The transactions of one connection, one after the other.

    The owner writes what `begin`, `follow` and `receive` return, at once, and takes what is in `ended`. It begins while `is_ready`, and
    drops the connection when `is_gone`.
    """

    __slots__ = ("_asks", "_follower", "_mail", "_moves", "_pipelining", "_rest", "_state", "_usual", "begun", "ended")

    def __init__(self, *, pipelining: bool) -> None:
        self._pipelining = pipelining
        self._moves = PIPELINED if pipelining else STEPWISE
        self._asks = dict(_ASKS)
        self._state = State.READY
        self._mail: _Mail | None = None  # the one under way, until its end is known
        self._follower: _Mail | None = None
        self._rest = b""  # the beginning of a reply
        self._usual = b""  # what this server says to an envelope that it takes
        self.begun = 0
        self.ended: list[Ended] = []

    @property
    def is_ready(self) -> bool:
        """The next mail may begin."""
        return self._state is State.READY

    @property
    def is_gone(self) -> bool:
        """Nothing is said or believed any more."""
        return self._state is State.GONE

    @property
    def is_at_content(self) -> bool:
        """Content and final dot have been said, and their answer has not come."""
        return self._state is State.EOD

    def begin(self, copy: Copy, recipient: str) -> bytes:
        """Begin a mail. `recipient` is the copy's own, or another writing of it."""
        if self._state is not State.READY:
            raise NotNow
        self._mail = (copy, recipient)
        self._state = State.MAIL
        return self._envelope(copy, recipient)

    def follow(self, copy: Copy, recipient: str) -> bytes:
        """Begin the next mail behind a content, to be said in the same write."""
        if self._state is not State.EOD or self._follower is not None or not self._pipelining:
            raise NotNow
        self._follower = (copy, recipient)
        return self._envelope(copy, recipient)

    def _envelope(self, copy: Copy, recipient: str) -> bytes:
        self.begun += 1
        if self._pipelining:
            return f"MAIL FROM:<{copy.sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode("ascii")
        self._asks[State.RCPT] = f"RCPT TO:<{recipient}>\r\n".encode("ascii")
        self._asks[State.DATA] = b"DATA\r\n"
        return f"MAIL FROM:<{copy.sender}>\r\n".encode("ascii")

    def receive(self, data: bytes, *, unsent: bool = False) -> bytes:
        """What the server said; what is to be said to it. `unsent`: not all of what was to be said before has left us."""
        if self._rest:
            data = self._rest + data
            self._rest = b""
        first, start = self._state, 0
        if first is State.MAIL and data == self._usual:  # the same octets in the same state: word for word what led to the content before
            self._state = State.EOD
            return self._content()
        while (state := self._state) not in _SILENT:
            end = end_of_reply(data, start)
            if (end or len(data)) - start > MAX_REPLY:
                self.lost("a reply without end")
                return b""
            if not end:
                self._rest = data[start:]
                return b""
            octets = self._answered(state, data[start:end], unsent=unsent)
            start = end
            if octets:
                if start == len(data):
                    if first is State.MAIL and self._state is State.EOD:
                        self._usual = data
                    return octets
                self._give_up(state, "answered before it was asked")
        if start < len(data):
            self.lost("spoke without being asked")
        return b""

    def lost(self, why: str) -> None:
        """The connection is no more, or is to be no more: what was under way has ended."""
        self._give_up(self._state, why)

    def _answered(self, state: State, reply: bytes, *, unsent: bool) -> bytes:
        """The reply to what was said first of all that is not answered; what is to be said now."""
        kind = kind_of(reply)
        new = self._moves.get((state, kind), State.GONE)
        if unsent and state is State.EOD:
            new = State.GONE
        if self._mail is not None and new not in _ONWARD:
            self._end(self._verdict(state, kind, new, reply, about=self._mail[0].recipient))
        self._state = new
        if new is State.EOD:
            return self._content()
        if new is State.READY:
            self._promote()
        elif new is State.GONE:
            self._give_up(state, "")
        return self._asks.get(new, b"")

    def _content(self) -> bytes:
        assert self._mail is not None
        return stuffed(self._mail[0].content)

    def _verdict(self, state: State, kind: Kind, new: State, reply: bytes, *, about: str) -> Outcome:
        if state is State.EOD and kind is Kind.YES and new is State.READY:
            return Accepted(code=int(reply[:3]), text=masked(text_of(reply), about=about))
        return negative(_PHASES[state], code_of(reply), text_of(reply), about=about)

    def _promote(self) -> None:
        if self._follower is not None:
            self._mail, self._follower = self._follower, None
            self._state = State.MAIL

    def _give_up(self, state: State, why: str) -> None:
        """End what is under way: a mail in the phase of a state, and the one behind it before it was answered anything."""
        if self._mail is not None:
            self._end(Deferred(phase=_PHASES[state], code=None, enhanced=None, text=masked(why)))
        self._promote()
        if self._mail is not None:
            self._end(Deferred(phase=Phase.MAIL, code=None, enhanced=None, text="the connection ended before its turn"))
        self._state = State.GONE

    def _end(self, outcome: Outcome) -> None:
        assert self._mail is not None
        self.ended.append((*self._mail, outcome))
        self._mail = None


def stuffed(content: Lines) -> bytes:
    """The content as it goes over the wire, final dot included (RFC 5321 section 4.5.2)."""
    last_dot = content.rfind(b".")  # base64 has none, so what is left to look through is the headers
    if content.rfind(b"\n.", 0, last_dot + 1) >= 0 or content.startswith(b"."):
        content = Lines((b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:])
    return content + b".\r\n"
