"""A connection on which mails go out: it takes a copy, drives its transaction, says what became of it and takes the next.

- The transactions themselves, and what every answer means, are core.transaction. Here are the transport, the time, and which writing of a
  recipient is on the wire.
- A connection carries up to MAILS_EACH mails, since some servers count them, and one that has rested too long is given up.
- A server that has closed a kept connection shows only when the next mail begins. Then nothing of that mail was taken: it is carried over
  to a fresh connection and costs nothing.
- What a server refuses only for the writing of odd dots, `a..b@` or `"a..b"@`, is tried once in the other writing, and what works is
  remembered for that server (MR-54).
- One timer for each connection, never later than the deadline of the moment: it is set anew only when it has run out. A process that was
  stopped meanwhile finds it run out with the answer lying in the socket, so it looks once more before it gives up.
- An exception of ours, raised while octets are worked on, closes the connection and comes back as what it was lost by: the copy at hand is
  put off as in the phase `internal`, which its source counts.
"""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final, Protocol

from mailgate.core.addresses import writings
from mailgate.core.relay import CUT, Accepted, Copy, Deferred, Outcome, Phase, Refused
from mailgate.core.transaction import QUIT, Transactions
from mailgate.smtp.opening import NextServer, Opened, Patience

MAILS_EACH: Final = 500  # what Exim takes on one, by default
_LAST_LOOK_S: Final = 0.05


@dataclass(slots=True, eq=False)
class Server:
    """A next server, and what we have learnt about it."""

    at: NextServer
    line: int  # its place in line; 0 is the one that should have our mail
    tls: ssl.SSLContext | None
    quotes: bool | None = None  # how it takes a local part with odd dots; None: as it comes
    open: int = 0  # connections


class Desk(Protocol):
    """What a connection asks of the relay it belongs to."""

    def next_for(self, connection: "Connection") -> Copy | None:
        """What it carries next. None: it rests, or is to part."""
        ...

    def ended(self, copy: Copy, outcome: Outcome) -> None:
        """What became of a copy."""
        ...

    def rests(self, connection: "Connection") -> None:
        """It has nothing to carry."""
        ...

    def lost(self, connection: "Connection", left: Copy | None) -> None:
        """It is no more. `left` is a copy that it began in vain."""
        ...


class Connection(asyncio.Protocol):
    """One connection, from the moment it is open."""

    def __init__(self, server: Server, opened: Opened, desk: Desk, patience: Patience, *, overlap: bool) -> None:
        self.server = server
        self._desk = desk
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._transport = opened.transport
        self._machine = Transactions(pipelining=opened.pipelining)
        self._overlap = overlap and opened.pipelining
        self._size = opened.size
        self._refused: tuple[Copy, Refused, str] | None = None  # for its writing; the other one is next
        self._rewritten: Copy | None = None  # under way in its other writing
        self._left: Copy | None = None
        self._parting = False
        self._tick_s = min(patience.command, patience.final_dot, patience.idle)
        self._deadline = self._loop.time() + self._tick_s
        self._looked = False
        self._timer = self._loop.call_later(self._tick_s, self._look)
        opened.transport.set_protocol(self)

    @property
    def is_ready(self) -> bool:
        """It can carry a copy."""
        return self._machine.is_ready

    @property
    def is_worn(self) -> bool:
        """It has carried as many mails as one connection may."""
        return self._machine.begun >= MAILS_EACH

    def carry(self, copy: Copy | None) -> None:
        """Begin with a copy; without one, rest."""
        while copy is not None and 0 < self._size < len(copy.content):
            self._desk.ended(copy, _too_large(copy, self._size))
            copy = self._desk.next_for(self)
        if copy is not None:
            self._say(self._machine.begin(copy, self._recipient(copy)), self._patience.command)
        else:
            self._deadline = self._loop.time() + self._patience.idle
            self._desk.rests(self)

    def part(self) -> None:
        """Say goodbye. Nothing is under way."""
        self._parting = True
        self._machine.lost("")
        self._say(QUIT, self._patience.goodbye)
        self._wake_in(self._patience.goodbye)

    def cut(self) -> None:
        """End it now, whatever is under way."""
        self._end_with("", instead=CUT)
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        machine = self._machine
        octets = machine.receive(data, unsent=self._transport.get_write_buffer_size() > 0)
        if machine.ended:
            self._settle()
        if octets:
            if machine.is_at_content:
                self._say(octets + self._following() if self._overlap else octets, self._patience.final_dot)
            else:
                self._say(octets, self._patience.command)
        elif machine.is_ready:
            self._go_on()
        elif machine.is_gone:
            self._hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        if exc is None or isinstance(exc, OSError):
            self._end_with(str(exc or "the connection was lost"))
        else:
            self._end_with("", instead=Deferred(phase=Phase.INTERNAL, code=None, enhanced=None, text=type(exc).__name__))
        self._desk.lost(self, self._left)

    def _go_on(self) -> None:
        """The mail before has ended: now the next."""
        if self._refused is None:
            self.carry(self._desk.next_for(self))
        else:
            self._rewritten, _, recipient = self._refused
            self._refused = None
            self._say(self._machine.begin(self._rewritten, recipient), self._patience.command)

    def _following(self) -> bytes:
        """The envelope of the next mail, to go out behind the content of this one."""
        copy = self._desk.next_for(self)
        if copy is None:
            return b""
        if 0 < self._size < len(copy.content):
            self._desk.ended(copy, _too_large(copy, self._size))
            return b""
        return self._machine.follow(copy, self._recipient(copy))

    def _recipient(self, copy: Copy) -> str:
        """The recipient as this server takes it."""
        if self.server.quotes is None or (both := writings(copy.recipient)) is None:
            return copy.recipient
        return both[self.server.quotes]

    def _say(self, octets: bytes, patience_s: float) -> None:
        self._transport.write(octets)
        self._deadline = self._loop.time() + patience_s

    def _settle(self, instead: Outcome | None = None) -> None:
        """Say what became of copies, but for those that go on."""
        machine = self._machine
        while machine.ended:
            copy, recipient, outcome = machine.ended.pop(0)
            if instead is not None:
                self._desk.ended(copy, instead)
            elif type(outcome) is Accepted and self._rewritten is None:
                self._desk.ended(copy, outcome)
            elif _begun_in_vain(outcome) and machine.is_gone and machine.begun > 1:
                self._left = copy
            elif not self._is_to_be_rewritten(copy, recipient, outcome):
                self._desk.ended(copy, outcome)

    def _is_to_be_rewritten(self, copy: Copy, recipient: str, outcome: Outcome) -> bool:
        about_writing = _is_about_writing(outcome)
        if copy is self._rewritten:
            self._rewritten = None
            if not about_writing and outcome.code is not None:
                self.server.quotes = recipient.startswith('"')
        elif about_writing and isinstance(outcome, Refused) and (both := writings(copy.recipient)) is not None:
            self._refused = (copy, outcome, both[1] if recipient == both[0] else both[0])
            return True
        return False

    def _end_with(self, why: str, *, instead: Outcome | None = None) -> None:
        """Nothing more comes: say so of what was under way."""
        self._settle()
        self._machine.lost(why)
        self._settle(instead)
        if self._refused is not None:
            self._desk.ended(*self._refused[:2])
            self._refused = None

    def _hang_up(self) -> None:
        if self._parting:
            self._transport.close()
        else:  # close() would first send what is left of a content
            self._transport.abort()

    def _wake_in(self, seconds: float) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """The timer has run out. Has the deadline?"""
        left = self._deadline - self._loop.time()
        if left > 0:
            self._looked = False
            self._wake_in(min(left, self._tick_s))
        elif not self._looked:
            self._looked = True
            self._wake_in(_LAST_LOOK_S)
        elif self._machine.is_ready:
            self.part()
        else:
            self._end_with("no answer in time")
            self._transport.abort()


def _too_large(copy: Copy, most: int) -> Refused:
    """RFC 1870: a mail larger than the server announced would be refused after all of it was sent."""
    text = f"the mail has {len(copy.content)} octets and the server takes {most}"
    return Refused(phase=Phase.INTERNAL, code=None, enhanced="5.3.4", text=text)


def _begun_in_vain(outcome: Outcome) -> bool:
    """The server was no longer there, or no longer willing, when the mail began."""
    return isinstance(outcome, Deferred) and outcome.phase is Phase.MAIL


def _is_about_writing(outcome: Outcome) -> bool:
    """The recipient was refused for how it is written: 5.1.3 is `bad destination mailbox address syntax` (RFC 3463 section 3.2)."""
    return (
        isinstance(outcome, Refused)
        and outcome.phase is Phase.RCPT
        and (outcome.code in (501, 553) or outcome.enhanced == "5.1.3")
    )
