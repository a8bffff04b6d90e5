"""Transactions, without any socket: what we say, and what becomes of a copy whatever the server says, in whatever pieces."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.lines import lines
from mailgate.core.relay import Accepted, Copy, Deferred, Outcome, Phase, Refused
from mailgate.core.smtpreply import MAX_REPLY, Kind
from mailgate.core.transaction import PIPELINED, STEPWISE, NotNow, State, Transactions, stuffed

SENDER = "b+mfrggzdfmztwq2lknnwg23tpob@gate.example"
RECIPIENT = "hanako.yamada@docomo.example"
MAIL, RCPT, DATA, DOT, RSET = f"MAIL FROM:<{SENDER}>\r\n", f"RCPT TO:<{RECIPIENT}>\r\n", "DATA\r\n", ".\r\n", "RSET\r\n"
ENVELOPE = MAIL + RCPT + DATA
CONTENT = "Subject: x\r\n\r\nhello\r\n.\r\n"


def a_copy(number: int = 1) -> Copy:
    return Copy(id=number, sender=SENDER, recipient=RECIPIENT, content=lines(b"Subject: x\r\n\r\nhello\r\n"))


def deferred(phase: Phase, code: int | None = None, enhanced: str | None = None, text: str = "") -> Deferred:
    return Deferred(phase=phase, code=code, enhanced=enhanced, text=text)


def refused(phase: Phase, code: int, enhanced: str | None = None, text: str = "") -> Refused:
    return Refused(phase=phase, code=code, enhanced=enhanced, text=text)


Cut = Callable[[bytes], list[bytes]]


def whole(answer: bytes) -> list[bytes]:
    return [answer]


def octet_by_octet(answer: bytes) -> list[bytes]:
    return [answer[place : place + 1] for place in range(len(answer))]


@dataclass
class Talk:
    """A machine and all it said; `cut` is how the network cuts what the server says to pieces."""

    machine: Transactions
    cut: Cut = whole
    said: list[str] = field(default_factory=list)

    def begin(self, copy: Copy | None = None) -> None:
        copy = copy or a_copy()
        self.said.append(self.machine.begin(copy, copy.recipient).decode())

    def hear(self, answer: str | bytes, *, unsent: bool = False) -> None:
        for piece in self.cut(answer.encode("latin-1") if isinstance(answer, str) else answer):
            if octets := self.machine.receive(piece, unsent=unsent):
                self.said.append(octets.decode())

    @property
    def outcomes(self) -> list[Outcome]:
        return [outcome for _, _, outcome in self.machine.ended]


GO_ON = "250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go on\r\n"
NO_USER = "250 ok\r\n550 5.1.1 no such user\r\n"
UNKNOWN = refused(Phase.RCPT, 550, "5.1.1", "5.1.1 no such user")
READY, GONE = True, False
ENDLESS = "x" * (MAX_REPLY + 1)
NO_END = "a reply without end"

@dataclass(frozen=True)
class Case:
    """A conversation about one copy."""

    answers: list[str]  # of the server, to one write after the other
    outcome: Outcome
    said: list[str]  # by us, after the first write
    is_ready: bool  # for the next mail; else the connection is gone


PIPELINED_CASES: dict[str, Case] = {
    "taken": Case([GO_ON, "250 2.0.0 taken\r\n"], Accepted(code=250, text="2.0.0 taken"), [CONTENT], READY),
    "taken by another 2xx": Case([GO_ON, "251 ok\r\n"], Accepted(code=251, text="ok"), [CONTENT], READY),
    "replies of many lines": Case(
        ["250-a\r\n250-b\r\n250 c\r\n250-\r\n250 \r\n354-go\r\n354 on\r\n", "250-2.0.0 taken\r\n250 2.0.0 as 77\r\n"],
        Accepted(code=250, text="2.0.0 taken 2.0.0 as 77"),
        [CONTENT],
        READY,
    ),
    "lines that end in LF": Case(["250 a\n250 b\n354 c\n", "250\n"], Accepted(code=250, text=""), [CONTENT], READY),
    "no such recipient": Case([NO_USER + "554 5.5.1 nobody to send to\r\n", "250 reset\r\n"], UNKNOWN, [RSET], READY),
    "no such recipient, and DATA out of step": Case([NO_USER + "503 RCPT first\r\n", "250 reset\r\n"], UNKNOWN, [RSET], READY),
    "no such recipient, and DATA says go on": Case([NO_USER + "354 go on\r\n", "554 5.5.1 nobody\r\n"], UNKNOWN, [DOT], READY),
    "no such recipient, and a mail of nothing is taken": Case([NO_USER + "354 go on\r\n", "250 taken\r\n"], UNKNOWN, [DOT], READY),
    "no such recipient, and the lone dot is not understood": Case([NO_USER + "354 go on\r\n", "503 eh?\r\n"], UNKNOWN, [DOT], GONE),
    "no such recipient, and then closing": Case([NO_USER + "421 closing\r\n"], UNKNOWN, [], GONE),
    "no such recipient, and then nonsense": Case([NO_USER + "250 ok\r\n"], UNKNOWN, [], GONE),
    "recipient later": Case(
        ["250 ok\r\n450 4.2.0 greylisted\r\n554 nobody\r\n", "250 reset\r\n"],
        deferred(Phase.RCPT, 450, "4.2.0", "4.2.0 greylisted"),
        [RSET],
        READY,
    ),
    "sender refused": Case(
        ["550 5.7.1 not you\r\n503 MAIL first\r\n503 MAIL first\r\n", "250 reset\r\n"],
        refused(Phase.MAIL, 550, "5.7.1", "5.7.1 not you"),
        [RSET],
        READY,
    ),
    "sender later": Case(
        ["452 4.3.1 full\r\n452 4.3.1 full\r\n452 4.3.1 full\r\n", "250 reset\r\n"],
        deferred(Phase.MAIL, 452, "4.3.1", "4.3.1 full"),
        [RSET],
        READY,
    ),
    "sender refused, and DATA says go on": Case(
        ["550 not you\r\n503 MAIL first\r\n354 go on\r\n", "554 nobody\r\n"],
        refused(Phase.MAIL, 550, None, "not you"),
        [DOT],
        READY,
    ),
    "sender refused, recipient taken": Case(
        ["550 not you\r\n250 ok\r\n554 no\r\n", "250 reset\r\n"],
        refused(Phase.MAIL, 550, None, "not you"),
        [RSET],
        READY,
    ),
    "sender refused, recipient taken, out of step": Case(
        ["550 not you\r\n250 ok\r\n503 no\r\n", "250 reset\r\n"],
        refused(Phase.MAIL, 550, None, "not you"),
        [RSET],
        READY,
    ),
    "sender refused, recipient taken, and DATA says go on: a dot would send them nothing": Case(
        ["550 not you\r\n250 ok\r\n354 go on\r\n"],
        refused(Phase.MAIL, 550, None, "not you"),
        [],
        GONE,
    ),
    "content not wanted now": Case(
        ["250 ok\r\n250 ok\r\n451 4.3.0 not now\r\n", "250 reset\r\n"],
        deferred(Phase.DATA, 451, "4.3.0", "4.3.0 not now"),
        [RSET],
        READY,
    ),
    "content not wanted": Case(
        ["250 ok\r\n250 ok\r\n554 5.5.1 no\r\n", "250 reset\r\n"],
        refused(Phase.DATA, 554, "5.5.1", "5.5.1 no"),
        [RSET],
        READY,
    ),
    "a reset refused": Case([NO_USER + "554 nobody\r\n", "451 no\r\n"], UNKNOWN, [RSET], GONE),
    "a reset answered by closing": Case([NO_USER + "554 nobody\r\n", "421 closing\r\n"], UNKNOWN, [RSET], GONE),
    "DATA answered by a yes": Case(["250 a\r\n250 b\r\n250 c\r\n"], deferred(Phase.DATA, 250, None, "c"), [], GONE),
    "MAIL answered by go on": Case(["354 eh?\r\n250 b\r\n354 c\r\n"], deferred(Phase.MAIL, 354, None, "eh?"), [], GONE),
    "RCPT answered by go on": Case(["250 a\r\n354 eh?\r\n354 c\r\n"], deferred(Phase.RCPT, 354, None, "eh?"), [], GONE),
    "the content answered by go on": Case([GO_ON, "354 more?\r\n"], deferred(Phase.EOD, 354, None, "more?"), [CONTENT], GONE),
    "closing at MAIL": Case(["421 4.3.2 bye\r\n"], deferred(Phase.MAIL, 421, "4.3.2", "4.3.2 bye"), [], GONE),
    "closing at RCPT": Case(["250 a\r\n421 bye\r\n"], deferred(Phase.RCPT, 421, None, "bye"), [], GONE),
    "closing at DATA": Case(["250 a\r\n250 b\r\n421 bye\r\n"], deferred(Phase.DATA, 421, None, "bye"), [], GONE),
    "closing after the content": Case([GO_ON, "421 bye\r\n"], deferred(Phase.EOD, 421, None, "bye"), [CONTENT], GONE),
    "closing, and then a yes": Case(["250 a\r\n421 bye\r\n354 go on\r\n"], deferred(Phase.RCPT, 421, None, "bye"), [], GONE),
    "out of step at MAIL": Case(["503 eh?\r\n503 eh?\r\n503 eh?\r\n"], deferred(Phase.MAIL, 503, None, "eh?"), [], GONE),
    "out of step at RCPT": Case(["250 a\r\n503 eh?\r\n503 eh?\r\n"], deferred(Phase.RCPT, 503, None, "eh?"), [], GONE),
    "out of step at DATA": Case(["250 a\r\n250 b\r\n503 eh?\r\n"], deferred(Phase.DATA, 503, None, "eh?"), [], GONE),
    "out of step after the content": Case([GO_ON, "503 eh?\r\n"], deferred(Phase.EOD, 503, None, "eh?"), [CONTENT], GONE),
    "no login, where one is wanted": Case(
        ["530 5.7.0 log in\r\n503 no\r\n503 no\r\n", "250 ok\r\n"],
        deferred(Phase.MAIL, 530, "5.7.0", "5.7.0 log in"),
        [RSET],
        READY,
    ),
    "refused after the content": Case([GO_ON, "550 5.7.1 spam\r\n"], refused(Phase.EOD, 550, "5.7.1", "5.7.1 spam"), [CONTENT], READY),
    "refused after the content in many lines": Case(
        [GO_ON, "554-5.7.1 spam\r\n554 5.7.1 says who?\r\n"],
        refused(Phase.EOD, 554, "5.7.1", "5.7.1 spam 5.7.1 says who?"),
        [CONTENT],
        READY,
    ),
    "later after the content": Case([GO_ON, "452 4.2.2 full\r\n"], deferred(Phase.EOD, 452, "4.2.2", "4.2.2 full"), [CONTENT], READY),
    "nonsense at MAIL": Case(["two hundred\r\n"], deferred(Phase.MAIL, None, None, "two hundred"), [], GONE),
    "nonsense at RCPT": Case(["250 a\r\n\r\n354 c\r\n"], deferred(Phase.RCPT, None, None, ""), [], GONE),
    "nonsense at DATA": Case(["250 a\r\n250 b\r\n35\r\n"], deferred(Phase.DATA, None, None, "35"), [], GONE),
    "nonsense after the content": Case([GO_ON, "250taken\r\n"], deferred(Phase.EOD, 250, None, "aken"), [CONTENT], GONE),
    "a code that is none": Case([GO_ON, "999 what\r\n"], deferred(Phase.EOD, None, None, "what"), [CONTENT], GONE),
    "two codes in one reply": Case([GO_ON, "250-yes\r\n550 no\r\n"], deferred(Phase.EOD, 250, None, "yes no"), [CONTENT], GONE),
    "a reply without end at MAIL": Case([ENDLESS], deferred(Phase.MAIL, text=NO_END), [], GONE),
    "a reply without end after the content": Case([GO_ON, "250 " + ENDLESS], deferred(Phase.EOD, text=NO_END), [CONTENT], GONE),
    "lines without end": Case([GO_ON, "250-more\r\n" * 500], deferred(Phase.EOD, text=NO_END), [CONTENT], GONE),
    "an end that comes too late": Case([GO_ON, f"250 {ENDLESS}\r\n"], deferred(Phase.EOD, text=NO_END), [CONTENT], GONE),
}  # fmt: skip

STEPWISE_CASES: dict[str, Case] = {
    "taken": Case(
        ["250 a\r\n", "250 b\r\n", "354 c\r\n", "250 2.0.0 taken\r\n"],
        Accepted(code=250, text="2.0.0 taken"),
        [RCPT, DATA, CONTENT],
        READY,
    ),
    "sender refused: no envelope is open": Case(["550 not you\r\n"], refused(Phase.MAIL, 550, None, "not you"), [], READY),
    "no such recipient": Case(["250 a\r\n", "550 5.1.1 no such user\r\n", "250 ok\r\n"], UNKNOWN, [RCPT, RSET], READY),
    "content not wanted": Case(
        ["250 a\r\n", "250 b\r\n", "554 no\r\n", "250 ok\r\n"],
        refused(Phase.DATA, 554, None, "no"),
        [RCPT, DATA, RSET],
        READY,
    ),
    "a reset refused": Case(["250 a\r\n", "550 5.1.1 no such user\r\n", "500 no\r\n"], UNKNOWN, [RCPT, RSET], GONE),
    "out of step at RCPT": Case(["250 a\r\n", "503 eh?\r\n"], deferred(Phase.RCPT, 503, None, "eh?"), [RCPT], GONE),
    "closing at DATA": Case(["250 a\r\n", "250 b\r\n", "421 bye\r\n"], deferred(Phase.DATA, 421, None, "bye"), [RCPT, DATA], GONE),
    "nonsense at MAIL": Case(["what?\r\n"], deferred(Phase.MAIL, None, None, "what?"), [], GONE),
    "a reply without end at RCPT": Case(["250 a\r\n", ENDLESS], deferred(Phase.RCPT, text=NO_END), [RCPT], GONE),
    "refused after the content": Case(
        ["250 a\r\n", "250 b\r\n", "354 c\r\n", "550 spam\r\n"],
        refused(Phase.EOD, 550, None, "spam"),
        [RCPT, DATA, CONTENT],
        READY,
    ),
}

CASES = [
    pytest.param(pipelining, case, id=f"{'pipelined' if pipelining else 'stepwise'}: {name}")
    for pipelining, cases in ((True, PIPELINED_CASES), (False, STEPWISE_CASES))
    for name, case in cases.items()
]


@pytest.mark.parametrize("junk", ["", "250 and one more\r\n", "2"], ids=["", "with a line behind", "with an octet behind"])
@pytest.mark.parametrize("cut", [whole, octet_by_octet])
@pytest.mark.parametrize("pipelining, case", CASES)
def test_what_becomes_of_a_copy(pipelining: bool, case: Case, cut: Cut, junk: str) -> None:
    """Junk behind the last answer changes nothing for the copy and ends the connection."""
    machine = Transactions(pipelining=pipelining)
    talk, copy = Talk(machine, cut), a_copy()
    talk.begin(copy)
    for number, answer in enumerate(case.answers, start=1):
        talk.hear(answer + junk * (number == len(case.answers)))
    assert machine.ended == [(copy, RECIPIENT, case.outcome)]
    assert talk.said == [ENVELOPE if pipelining else MAIL, *case.said]
    assert (machine.is_ready, machine.is_gone) == ((True, False) if case.is_ready and not junk else (False, True))


@pytest.mark.parametrize("cut", [whole, octet_by_octet])
@pytest.mark.parametrize("pipelining, case", CASES)
def test_what_was_said_of_the_mails_before_changes_nothing(pipelining: bool, case: Case, cut: Cut) -> None:
    talk = Talk(Transactions(pipelining=pipelining), cut)
    taken = (PIPELINED_CASES if pipelining else STEPWISE_CASES)["taken"]
    for one in (taken, taken, case, case):
        if talk.machine.is_ready:
            talk.begin()
            for answer in one.answers:
                talk.hear(answer)
    assert talk.outcomes[2:] == [case.outcome] * (2 if case.is_ready else 1)


def test_a_recipient_is_said_as_it_is_given() -> None:
    machine = Transactions(pipelining=True)
    assert machine.begin(a_copy(), '"a..b"@docomo.ne.jp').splitlines()[1] == b'RCPT TO:<"a..b"@docomo.ne.jp>'
    machine.receive(NO_USER.encode())
    assert machine.ended == [(a_copy(), '"a..b"@docomo.ne.jp', UNKNOWN)]


# What comes too early


def test_a_yes_that_comes_with_go_on_is_not_believed_and_nothing_is_sent() -> None:
    talk = Talk(Transactions(pipelining=True))
    talk.begin()
    talk.hear(GO_ON + "250 2.0.0 taken\r\n")
    assert talk.outcomes == [deferred(Phase.DATA, text="answered before it was asked")]
    assert talk.said == [ENVELOPE]
    assert talk.machine.is_gone


@pytest.mark.parametrize("early", ["2", "\r", "250-", "550 no\r\n", "250 ok\r\n250 ok\r\n"])
def test_not_an_octet_may_come_before_the_content_has_been_said(early: str) -> None:
    talk = Talk(Transactions(pipelining=True))
    talk.begin()
    talk.hear(GO_ON + early)
    talk.hear("50 2.0.0 taken\r\n")
    assert talk.outcomes == [deferred(Phase.DATA, text="answered before it was asked")]
    assert talk.said == [ENVELOPE]


@pytest.mark.parametrize("answers, phase", [([GO_ON], Phase.MAIL), (["250 a\r\n", "250 b\r\n354 c\r\n"], Phase.RCPT)])
def test_one_by_one_an_answer_to_what_was_not_said_is_not_believed(answers: list[str], phase: Phase) -> None:
    talk = Talk(Transactions(pipelining=False))
    talk.begin()
    for answer in answers:
        talk.hear(answer)
    assert talk.outcomes == [deferred(phase, text="answered before it was asked")]
    assert talk.machine.is_gone


@pytest.mark.parametrize("early", ["250 reset\r\n", "2"])
def test_an_answer_to_a_reset_before_it_is_said_ends_the_connection(early: str) -> None:
    talk = Talk(Transactions(pipelining=True))
    talk.begin()
    talk.hear(NO_USER + "554 nobody\r\n" + early)
    assert talk.outcomes == [UNKNOWN]
    assert talk.said == [ENVELOPE]
    assert talk.machine.is_gone


@pytest.mark.parametrize(
    "answer, outcome",
    [
        ("250 2.0.0 taken\r\n", deferred(Phase.EOD, 250, "2.0.0", "2.0.0 taken")),
        ("552 too large\r\n", refused(Phase.EOD, 552, None, "too large")),
        ("421 bye\r\n", deferred(Phase.EOD, 421, None, "bye")),
    ],
)
@pytest.mark.parametrize("cut", [whole, octet_by_octet])
def test_an_answer_while_the_content_has_not_all_left_is_no_yes(answer: str, outcome: Outcome, cut: Cut) -> None:
    talk = Talk(Transactions(pipelining=True), cut)
    talk.begin()
    talk.hear(GO_ON)
    talk.hear(answer, unsent=True)
    assert talk.outcomes == [outcome]
    assert talk.machine.is_gone


@pytest.mark.parametrize("line", ["421 4.4.2 idle too long\r\n", "250 ok\r\n", "4", "\r\n"])
@pytest.mark.parametrize("pipelining", [True, False])
def test_a_line_that_nobody_asked_for_ends_the_connection(pipelining: bool, line: str) -> None:
    machine = Transactions(pipelining=pipelining)
    assert machine.receive(line.encode()) == b""
    assert machine.is_gone
    assert machine.ended == []
    with pytest.raises(NotNow):
        machine.begin(a_copy(), RECIPIENT)


def test_after_the_end_nothing_is_said_or_believed() -> None:
    talk = Talk(Transactions(pipelining=True))
    talk.begin()
    talk.machine.lost("no answer in time")
    talk.hear(GO_ON)
    talk.hear("250 taken\r\n")
    talk.machine.lost("again")
    assert talk.outcomes == [deferred(Phase.MAIL, text="no answer in time")]
    assert talk.said == [ENVELOPE]


def test_words_that_are_as_ever_lead_where_they_did_before_and_others_do_not() -> None:
    """The answers to an envelope that lead to the content are remembered by their octets."""
    talk = Talk(Transactions(pipelining=True))
    for answer in (GO_ON, GO_ON, GO_ON.replace("250 2.1.5", "550 2.1.5"), GO_ON):
        talk.begin()
        talk.hear(answer)
        talk.hear("250 taken\r\n")
    assert [type(outcome) for outcome in talk.outcomes] == [Accepted, Accepted, Refused, Accepted]
    assert talk.said == [ENVELOPE, CONTENT, ENVELOPE, CONTENT, ENVELOPE, DOT, ENVELOPE, CONTENT]


@pytest.mark.parametrize(
    "before, outcome",
    [
        ([], Accepted(code=250, text="2.1.0 ok")),
        (["250 ok\r\n"], deferred(Phase.DATA, 250, "2.1.5", "2.1.5 ok")),
        ([GO_ON], Accepted(code=250, text="2.1.0 ok")),
    ],
    ids=["unasked", "one answer late", "in place of an answer to the content"],
)
def test_usual_words_in_another_place_are_read_as_any_others(before: list[str], outcome: Outcome) -> None:
    talk = Talk(Transactions(pipelining=True))
    talk.begin()
    talk.hear(GO_ON)
    talk.hear("250 2.1.0 ok\r\n")
    if before:
        talk.begin()
    for answer in before:
        talk.hear(answer)
    talk.hear(GO_ON)
    assert talk.outcomes[-1] == outcome
    assert talk.machine.is_gone


# The table

WAYS: dict[State, list[str]] = {
    State.READY: [],
    State.MAIL: [],
    State.RCPT: ["250 a\r\n"],
    State.DATA: ["250 a\r\n", "250 b\r\n"],
    State.EOD: ["250 a\r\n", "250 b\r\n", "354 c\r\n"],
    State.MAIL_REFUSED: ["550 a\r\n"],
    State.STRAY_RCPT: ["550 a\r\n", "250 b\r\n"],
    State.RCPT_REFUSED: ["250 a\r\n", "550 b\r\n"],
    State.LONE_DOT: ["250 a\r\n", "550 b\r\n", "354 c\r\n"],
    State.RESET: ["250 a\r\n", "250 b\r\n", "550 c\r\n"],
    State.GONE: ["421 a\r\n"],
}
SAID = {Kind.YES: "250 x", Kind.GO: "354 x", Kind.NO: "550 x", Kind.OUT_OF_STEP: "503 x", Kind.CLOSING: "421 x", Kind.ODD: "x"}


REACHED = [
    (pipelining, state)
    for pipelining, moves in ((True, PIPELINED), (False, STEPWISE))
    for state in State
    if state in {State.GONE, *(start for start, _ in moves), *moves.values()}
]


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("pipelining, state", REACHED)
def test_every_pair_leads_where_the_table_says_or_to_the_end(pipelining: bool, state: State, kind: Kind) -> None:
    talk = Talk(Transactions(pipelining=pipelining))
    if state is not State.READY:
        talk.begin()
    for answer in WAYS[state]:
        talk.hear(answer)
    assert talk.machine._state is state
    talk.hear(SAID[kind] + "\r\n")
    assert talk.machine._state is (PIPELINED if pipelining else STEPWISE).get((state, kind), State.GONE)


def test_one_by_one_nothing_is_owed_after_a_refusal_but_a_reset() -> None:
    assert {state for state in State if (False, state) not in REACHED} == {
        State.MAIL_REFUSED, State.STRAY_RCPT, State.RCPT_REFUSED, State.LONE_DOT,
    }  # fmt: skip


@pytest.mark.parametrize("state", State)
def test_every_copy_ends_when_the_connection_is_lost_however_far_it_has_come(state: State) -> None:
    talk = Talk(Transactions(pipelining=True))
    if state is not State.READY:
        talk.begin()
    for answer in WAYS[state]:
        talk.hear(answer)
    assert talk.machine._state is state
    before = talk.outcomes
    talk.machine.lost("<a@x.jp> is\r\ngone")
    assert talk.machine.is_gone
    match state:
        case State.READY:
            assert talk.outcomes == []
        case State.MAIL | State.RCPT | State.DATA | State.EOD:
            assert talk.outcomes == [deferred(Phase(state.name.lower()), text="<***> is gone")]
        case _:
            assert talk.outcomes == before
            assert len(before) == 1


@pytest.mark.parametrize("state", [state for state in State if state is not State.READY])
def test_a_mail_begins_only_where_none_is_under_way(state: State) -> None:
    talk = Talk(Transactions(pipelining=True))
    talk.begin()
    for answer in WAYS[state]:
        talk.hear(answer)
    with pytest.raises(NotNow):
        talk.begin()


# The next envelope behind a content


def overlapping() -> tuple[Talk, Copy, Copy]:
    """A talk in which the second envelope has gone out behind the first content."""
    talk, first, second = Talk(Transactions(pipelining=True)), a_copy(1), a_copy(2)
    talk.begin(first)
    talk.hear(GO_ON)
    talk.said[-1] += talk.machine.follow(second, RECIPIENT).decode()
    return talk, first, second


TAKEN = Accepted(code=250, text="taken")
BEFORE_ITS_TURN = deferred(Phase.MAIL, text="the connection ended before its turn")


@pytest.mark.parametrize("cut", [whole, octet_by_octet])
@pytest.mark.parametrize(
    "answer, outcomes",
    [
        ("250 taken\r\n", [TAKEN]),
        ("550 no\r\n", [refused(Phase.EOD, 550, None, "no")]),
        ("250 taken\r\n" + GO_ON, [TAKEN]),
        ("250 taken\r\n" + NO_USER + "554 nobody\r\n", [TAKEN, UNKNOWN]),
        ("250 taken\r\n421 bye\r\n", [TAKEN, deferred(Phase.MAIL, 421, None, "bye")]),
        ("421 bye\r\n", [deferred(Phase.EOD, 421, None, "bye"), BEFORE_ITS_TURN]),
        ("what?\r\n", [deferred(Phase.EOD, None, None, "what?"), BEFORE_ITS_TURN]),
        (ENDLESS, [deferred(Phase.EOD, text=NO_END), BEFORE_ITS_TURN]),
    ],
)
def test_a_mail_that_follows_has_answers_of_its_own(
    answer: str, outcomes: list[Outcome], cut: Cut
) -> None:
    talk, first, second = overlapping()
    talk.cut = cut
    talk.hear(answer)
    assert talk.said[:2] == [ENVELOPE, CONTENT + ENVELOPE]
    assert talk.machine.ended == [(copy, RECIPIENT, outcome) for copy, outcome in zip((first, second), outcomes, strict=False)]


def test_mails_follow_each_other_without_end() -> None:
    talk, _, _ = overlapping()
    for number in range(3, 6):
        talk.hear("250 taken\r\n" + GO_ON)
        talk.said[-1] += talk.machine.follow(a_copy(number), RECIPIENT).decode()
    talk.hear("250 taken\r\n" + GO_ON)
    talk.hear("250 taken\r\n")
    assert [(copy.id, outcome) for copy, _, outcome in talk.machine.ended] == [(number, TAKEN) for number in range(1, 6)]
    assert talk.said == [ENVELOPE, *[CONTENT + ENVELOPE] * 4, CONTENT]
    assert talk.machine.is_ready


def test_a_mail_that_follows_ends_with_the_connection() -> None:
    talk, first, second = overlapping()
    talk.machine.lost("reset")
    assert talk.machine.ended == [(first, RECIPIENT, deferred(Phase.EOD, text="reset")), (second, RECIPIENT, BEFORE_ITS_TURN)]


def test_a_mail_follows_only_a_content_only_one_and_only_in_a_pipeline() -> None:
    talk = Talk(Transactions(pipelining=True))
    talk.begin()
    with pytest.raises(NotNow):
        talk.machine.follow(a_copy(2), RECIPIENT)
    talk, _, _ = overlapping()
    with pytest.raises(NotNow):
        talk.machine.follow(a_copy(3), RECIPIENT)
    talk = Talk(Transactions(pipelining=False))
    talk.begin()
    for answer in ("250 a\r\n", "250 b\r\n", "354 c\r\n"):
        talk.hear(answer)
    with pytest.raises(NotNow):
        talk.machine.follow(a_copy(2), RECIPIENT)


# Laws: whatever a server says, in whatever pieces it comes

ODDITIES = [
    "250 ok\r\n", "250-a\r\n250 b\r\n", "354 go\r\n", "450 later\r\n", "550 no\r\n", "503 eh?\r\n", "421 bye\r\n", "250-a\r\n550 b\r\n",
    "what?\r\n", "250\n", "\r\n", "9",
]  # fmt: skip
# Mostly what servers say, with something else in between.
some_replies = st.lists(
    st.one_of(st.just(GO_ON.splitlines(keepends=True)), st.just(["250 taken\r\n"]), st.sampled_from(ODDITIES).map(lambda reply: [reply])),
    max_size=12,
).map(lambda groups: [reply for group in groups for reply in group])


@dataclass
class Server:
    """Answers each command once, and nothing else."""

    replies: Iterator[str]
    cut: Cut
    taken: int = 0  # contents that it was sent

    def answer(self, said: bytes) -> list[bytes]:
        contents = said.count(CONTENT.encode())
        self.taken += contents
        commands = contents + (said == DOT.encode()) + sum(said.count(word) for word in (b"MAIL FROM", b"RCPT TO", b"DATA\r\n", b"RSET"))
        return self.cut("".join(next(self.replies) for _ in range(commands)).encode())


def play(replies: list[str], cut: Cut, *, pipelining: bool, overlap: bool) -> tuple[Transactions, list[bytes], int]:
    """Mail after mail until the connection has gone: the machine, all it said, and how many contents the server was sent."""
    machine, said, begun = Transactions(pipelining=pipelining), [], 0
    server = Server(iter([*replies, *["421 enough\r\n"] * 40]), cut)
    octets = b""
    while not machine.is_gone:
        if machine.is_ready:
            begun += 1
            octets = machine.begin(a_copy(begun), RECIPIENT)
        if not octets:  # a reply is not all there
            break
        said.append(octets)
        pieces, octets = server.answer(octets), b""
        for piece in pieces:
            octets += machine.receive(piece)
            if octets and overlap and machine.is_at_content:
                begun += 1
                octets += machine.follow(a_copy(begun), RECIPIENT)
    machine.lost("over")
    return machine, said, server.taken


@st.composite
def cuts(draw: st.DrawFn) -> Cut:
    """A way to cut octets to pieces."""
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=6))

    def cut(answer: bytes) -> list[bytes]:
        pieces, turn = [], 0
        while answer:
            size = sizes[turn % len(sizes)]
            pieces.append(answer[:size])
            answer, turn = answer[size:], turn + 1
        return pieces

    return cut


@given(replies=some_replies, cut=cuts(), pipelining=st.booleans(), overlap=st.booleans())
def test_how_the_network_cuts_what_a_server_says_changes_nothing(
    replies: list[str], cut: Cut, pipelining: bool, overlap: bool
) -> None:
    overlap = overlap and pipelining
    at_once, in_pieces = (play(replies, way, pipelining=pipelining, overlap=overlap) for way in (whole, cut))
    assert at_once[0].ended == in_pieces[0].ended
    assert at_once[1] == in_pieces[1]


@given(replies=some_replies, pipelining=st.booleans(), overlap=st.booleans())
def test_every_mail_ends_once_in_order_and_none_is_taken_that_was_not_sent(replies: list[str], pipelining: bool, overlap: bool) -> None:
    machine, _, contents = play(replies, whole, pipelining=pipelining, overlap=overlap and pipelining)
    assert [copy.id for copy, _, _ in machine.ended] == list(range(1, machine.begun + 1))
    after_content = [isinstance(outcome, Accepted) or outcome.phase is Phase.EOD for _, _, outcome in machine.ended]
    assert sum(after_content) == contents


@given(octets=st.binary(max_size=200), pipelining=st.booleans())
def test_no_octets_at_all_make_it_stumble(octets: bytes, pipelining: bool) -> None:
    machine = Transactions(pipelining=pipelining)
    machine.begin(a_copy(), RECIPIENT)
    machine.receive(octets)
    machine.lost("over")
    assert len(machine.ended) == 1


@pytest.mark.parametrize(
    "content, wire",
    [
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"\r\n", b"\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"..a\r\n.b\r\n", b"...a\r\n..b\r\n.\r\n"),
        (b"a\r\n.\r\n.\r\nb.\r\n", b"a\r\n..\r\n..\r\nb.\r\n.\r\n"),
        (b"a.\r\nb\r\n.\r\n", b"a.\r\nb\r\n..\r\n.\r\n"),
        (b"a.b\r\n\r\nc\r\n", b"a.b\r\n\r\nc\r\n.\r\n"),
    ],
)
def test_dots_are_stuffed_once(content: bytes, wire: bytes) -> None:
    assert stuffed(lines(content)) == wire


@given(st.lists(st.sampled_from([b".", b"..", b"a", b"\r\n"]), max_size=40).map(lambda parts: b"".join([*parts, b"\r\n"])))
def test_what_was_stuffed_is_what_the_server_reads(content: bytes) -> None:
    """RFC 5321 section 4.5.2, from the other side."""
    *taken, dot, after = stuffed(lines(content)).split(b"\r\n")
    assert (dot, after) == (b".", b"")
    assert b"." not in taken
    assert b"".join([line.removeprefix(b".") + b"\r\n" for line in taken]) == content
