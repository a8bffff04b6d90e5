import pytest

from mailgate.core.delivery import State
from mailgate.core.pausing import FEWEST, Ended, is_unknown, must_pause


def _ended(
    state: State = State.BOUNCED,
    *,
    phase: str | None = "notice",
    code: int | None = None,
    enhanced: str | None = None,
    text: str | None = None,
) -> Ended:
    return Ended(state=state, phase=phase, code=code, enhanced=enhanced, text=text, count=1)


@pytest.mark.parametrize("state, phase", [(State.BOUNCED, "notice"), (State.FAILED, "rcpt")])
@pytest.mark.parametrize(
    "code, enhanced, text, unknown",
    [
        (550, "5.1.1", "5.1.1 <***>: Recipient address rejected: User unknown", True),
        (None, "5.1.1", None, True),
        (550, "5.1.10", None, True),
        (550, "5.1.2", "no such host", True),
        (550, None, "Unknown user ***", True),
        (550, None, "<***>: User unknown", True),
        (550, None, ": User unknown", False),  # a guardian's filter
        (550, None, "<>: user unknown", False),
        (550, "5.0.0", "smtp; 550 : User unknown", False),
        (550, "5.1.1", "smtp; 550-: User unknown", False),
        (550, "5.0.0", "smtp; 550 <***>: User unknown", True),
        (553, None, "sorry", True),
        (552, None, "too much mail data", False),
        (550, "5.7.1", "refused by policy", False),
        (550, "5.2.2", "mailbox full", False),
        (550, "5.1.8", "bad sender", False),
        (None, None, None, False),
        (450, "4.1.1", None, False),
    ],
)
def test_an_invitation_came_back_as_unknown_or_for_another_reason(
    *, state: State, phase: str, code: int | None, enhanced: str | None, text: str | None, unknown: bool
) -> None:
    assert is_unknown(_ended(state, phase=phase, code=code, enhanced=enhanced, text=text)) is unknown


@pytest.mark.parametrize("phase", ["connect", "mail", "data", "eod", "internal", None])
def test_a_refusal_elsewhere_says_nothing_about_the_address(phase: str | None) -> None:
    assert not is_unknown(_ended(State.FAILED, phase=phase, code=550, enhanced="5.1.1"))


@pytest.mark.parametrize("state", sorted(set(State) - {State.BOUNCED, State.FAILED}))
def test_what_did_not_come_back_is_not_unknown(state: State) -> None:
    assert not is_unknown(_ended(state, phase="rcpt", code=550, enhanced="5.1.1"))


@pytest.mark.parametrize(
    "sent, unknown, pauses",
    [(0, 0, False), (FEWEST - 1, FEWEST - 1, False), (20, 1, False), (20, 2, True), (100, 5, False), (100, 6, True), (3000, 151, True)],
)
def test_a_site_pauses_beyond_one_in_twenty_of_twenty_or_more(sent: int, unknown: int, pauses: bool) -> None:
    assert must_pause(sent=sent, unknown=unknown) is pauses
