"""The relay's connections: how many, how long, what comes in their place, when they rest, who stands by, and how they end."""

import asyncio
import socket
from collections.abc import Iterator, Mapping
from itertools import pairwise

import pytest
import structlog

from mailgate.core.relay import CUT, Accepted, Deferred, Phase, Refused
from mailgate.smtp.connection import MAILS_EACH
from mailgate.smtp.opening import NextServer, Patience
from mailgate.smtp.relay import SmtpRelay
from tests.wire.relay_tools import AT_LEISURE, CONTENT, IN_A_HURRY, MODES, RECIPIENT, Hand, a_copy, a_hand
from tests.wire.scripted_server import Act, ScriptedServer, Step

NEVER = 3600.0


@pytest.fixture(params=MODES)
def always(request: pytest.FixtureRequest) -> Mapping[str, Step]:
    """A server that takes commands one by one only, and one that announces PIPELINING."""
    return MODES[request.param]


def mails(server: ScriptedServer) -> list[int]:
    """How many mails began on each connection."""
    return [sum(command.startswith("MAIL") for command in said) for said in server.said]


# Kept


async def test_a_connection_is_kept_and_greets_once(always: Mapping[str, Step]) -> None:
    async with ScriptedServer(always=always).running() as server, a_hand(server) as hand:
        for number in range(3):
            await hand.over(a_copy(number))
    assert [commands.count("EHLO gate.example") for commands in server.said] == [1]
    assert len(server.taken) == 3


async def test_nothing_is_opened_before_there_is_work() -> None:
    async with ScriptedServer().running() as server, a_hand(server):
        await asyncio.sleep(0.02)
    assert server.said == []


async def test_a_connection_is_replaced_after_so_many_mails(always: Mapping[str, Step]) -> None:
    async with ScriptedServer(always=always).running() as server, a_hand(server, connections=1) as hand:
        outcomes = [hand.give(a_copy(number)) for number in range(MAILS_EACH + 1)]
        assert [type(await outcome) for outcome in outcomes] == [Accepted] * (MAILS_EACH + 1)
        assert mails(server) == [MAILS_EACH, 1]
    assert server.said[0][-1] == "QUIT"


async def test_a_connection_that_rested_too_long_says_goodbye() -> None:
    patience = Patience(idle=0.05)
    async with ScriptedServer().running() as server, a_hand(server, patience=patience) as hand:
        await hand.over(a_copy(1))
        await server.heard("QUIT")
        assert isinstance(await hand.over(a_copy(2)), Accepted)
        assert mails(server) == [1, 1]


async def test_a_connection_that_is_in_use_does_not_rest() -> None:
    """The time is counted from the last mail, though there is only one timer."""
    patience = Patience(idle=0.5)
    async with ScriptedServer().running() as server, a_hand(server, patience=patience) as hand:
        for number in range(9):
            await hand.over(a_copy(number))
            await asyncio.sleep(0.1)
        assert mails(server) == [9]


async def test_no_more_connections_are_opened_than_set() -> None:
    async with ScriptedServer().running() as server, a_hand(server, connections=2) as hand:
        outcomes = await asyncio.gather(*[hand.give(a_copy(number)) for number in range(20)])
        assert len(server.said) == 2
    assert [type(outcome) for outcome in outcomes] == [Accepted] * 20
    assert len(server.taken) == 20


async def test_a_lull_uses_the_connection_that_was_used_last() -> None:
    async with ScriptedServer().running() as server, a_hand(server) as hand:
        await asyncio.gather(*[hand.give(a_copy(number)) for number in range(3)])
        before = mails(server)
        for number in range(3, 9):
            await hand.over(a_copy(number))
        assert sorted(now - then for now, then in zip(mails(server), before, strict=True)) == [0, 0, 6]


async def test_a_nudge_sets_idle_connections_to_work_again() -> None:
    """The source had nothing to give for a while: its window was full."""
    async with ScriptedServer().running() as server, a_hand(server, connections=2) as hand:
        await asyncio.gather(*[hand.give(a_copy(number)) for number in range(2)])
        hand._window = 0
        waiting = [hand.give(a_copy(number)) for number in range(2, 6)]
        await asyncio.sleep(0.02)
        assert not any(outcome.done() for outcome in waiting)
        hand._window = 1000
        hand._relay.nudge()
        assert [type(await outcome) for outcome in waiting] == [Accepted] * 4
        assert len(server.said) == 2


# Reset


@pytest.mark.parametrize("refused", ["RCPT", "DATA"])
async def test_an_open_envelope_is_reset_and_the_connection_kept(refused: str, always: Mapping[str, Step]) -> None:
    """By RSET, or by the end of a mail of nothing to nobody."""
    async with ScriptedServer({refused: ["550 no"]}, always).running() as server, a_hand(server, connections=1) as hand:
        assert isinstance(await hand.over(a_copy(1)), Refused)
        assert isinstance(await hand.over(a_copy(2)), Accepted)
    assert len(server.said) == 1
    assert server.said[0].count("RSET") == (0 if always and refused == "RCPT" else 1)


async def test_an_envelope_that_ended_is_not_reset() -> None:
    async with ScriptedServer({"MAIL": ["550 no"], "eod": ["550 no"]}).running() as server, a_hand(server, connections=1) as hand:
        outcomes = [await hand.over(a_copy(number)) for number in range(3)]
    assert [type(outcome) for outcome in outcomes] == [Refused, Refused, Accepted]
    assert server.said[0].count("RSET") == 0


@pytest.mark.parametrize("reset", ["451 no", "421 closing(hang up)", Act.HANG_UP, Act.RESET])
async def test_a_connection_that_cannot_be_reset_is_replaced(reset: Step, always: Mapping[str, Step]) -> None:
    script: dict[str, list[Step]] = {"DATA": ["550 no"], "RSET": [reset]}
    async with ScriptedServer(script, always).running() as server, a_hand(server, connections=1) as hand:
        await hand.over(a_copy(1))
        assert isinstance(await hand.over(a_copy(2)), Accepted)
        assert len(server.said) == 2


async def test_a_reset_that_is_not_answered_holds_no_copy(always: Mapping[str, Step]) -> None:
    script: dict[str, list[Step]] = {"DATA": ["550 no"], "RSET": [Act.SILENCE]}
    async with ScriptedServer(script, always).running() as server, a_hand(server, connections=1, patience=IN_A_HURRY) as hand:
        assert isinstance(await hand.over(a_copy(1)), Refused)
        assert isinstance(await hand.over(a_copy(2)), Accepted)
        assert mails(server) == [1, 1]


# Stale


@pytest.mark.parametrize(
    "step", ["421 4.4.2 idle too long(hang up)", "421 4.4.2 idle too long", Act.HANG_UP, Act.RESET, "503 what?", "250-?\r\n550 !"]
)
@pytest.mark.parametrize("overlap", [True, False])
async def test_a_kept_connection_that_went_stale_costs_the_copy_nothing(step: Step, overlap: bool, always: Mapping[str, Step]) -> None:
    """The server had closed it, and we learn so at the next MAIL: no copy is put off for that."""
    async with ScriptedServer({"MAIL": ["250 ok", step]}, always).running() as server, a_hand(server, overlap=overlap) as hand:
        await hand.over(a_copy(1))
        assert isinstance(await hand.over(a_copy(2)), Accepted)
        assert len(server.said) == 2
    assert hand.taken == [1, 2]


async def test_silence_on_a_kept_connection_costs_the_copy_nothing_but_time(always: Mapping[str, Step]) -> None:
    script: dict[str, list[Step]] = {"MAIL": ["250 ok", Act.SILENCE]}
    async with ScriptedServer(script, always).running() as server, a_hand(server, patience=IN_A_HURRY) as hand:
        await hand.over(a_copy(1))
        assert isinstance(await hand.over(a_copy(2)), Accepted)
        assert len(server.said) == 2


async def test_a_server_that_takes_nothing_on_a_fresh_connection_either_puts_the_copy_off(always: Mapping[str, Step]) -> None:
    script: dict[str, list[Step]] = {"MAIL": ["250 ok", "421 no", "421 no"]}
    async with ScriptedServer(script, always).running() as server, a_hand(server) as hand:
        await hand.over(a_copy(1))
        outcome = await hand.over(a_copy(2))
        assert outcome == Deferred(phase=Phase.MAIL, code=421, enhanced=None, text="no")
        assert len(server.said) == 2


async def test_all_kept_connections_may_be_stale_at_once() -> None:
    """A server that forgets idle connections forgets all of them; each copy needs one fresh one."""
    stale: list[Step] = ["250 ok"] * 4 + [Act.RESET] * 4
    async with ScriptedServer({"MAIL": stale}).running() as server, a_hand(server, connections=4) as hand:
        await asyncio.gather(*[hand.give(a_copy(number)) for number in range(4)])
        outcomes = await asyncio.gather(*[hand.give(a_copy(number)) for number in range(4, 8)])
        assert [type(outcome) for outcome in outcomes] == [Accepted] * 4
        assert len(server.said) == 8


async def test_a_mail_behind_a_content_that_was_cut_off_costs_nothing() -> None:
    script: dict[str, list[Step]] = {"eod": [Act.HANG_UP]}
    async with ScriptedServer(script, MODES["pipelined"]).running() as server, a_hand(server, connections=1, overlap=True) as hand:
        first, second = await asyncio.gather(hand.give(a_copy(1)), hand.give(a_copy(2)))
    assert isinstance(first, Deferred)
    assert first.phase is Phase.EOD
    assert isinstance(second, Accepted)
    assert hand.taken == [1, 2]


async def test_a_kept_connection_that_the_server_closed_is_not_used() -> None:
    async with ScriptedServer().running() as server, a_hand(server) as hand:
        await hand.over(a_copy(1))
        server.hang_up_all()
        await asyncio.sleep(0.02)
        assert isinstance(await hand.over(a_copy(2)), Accepted)
        assert mails(server) == [1, 1]


@pytest.mark.parametrize("step", [Act.RESET, Act.HANG_UP])
async def test_a_copy_is_not_said_twice_once_its_sender_was_taken(step: Step, always: Mapping[str, Step]) -> None:
    async with ScriptedServer({"RCPT": ["250 ok", step]}, always).running() as server, a_hand(server) as hand:
        await hand.over(a_copy(1))
        assert isinstance(await hand.over(a_copy(2)), Deferred)
        assert len(server.said) == 1


@pytest.mark.parametrize("name", ["MAIL", "RCPT", "DATA", "eod"])
async def test_421_anywhere_closes_that_connection(name: str, always: Mapping[str, Step]) -> None:
    async with ScriptedServer({name: ["421 4.3.2 closing"]}, always).running() as server, a_hand(server) as hand:
        assert isinstance(await hand.over(a_copy(1)), Deferred)
        assert isinstance(await hand.over(a_copy(2)), Accepted)
        assert [commands.count("DATA") > 0 for commands in server.said][1:] == [True]


@pytest.mark.parametrize("words", [b"421 4.4.2 idle too long\r\n", b"250 ok\r\n", b"2", b"\xff"])
async def test_what_a_server_says_on_an_idle_connection_ends_it(words: bytes) -> None:
    async with ScriptedServer().running() as server, a_hand(server) as hand:
        await hand.over(a_copy(1))
        server._writers[0].write(words)
        await asyncio.sleep(0.02)
        assert isinstance(await hand.over(a_copy(2)), Accepted)
        assert mails(server) == [1, 1]


# Rests


@pytest.fixture
def absent() -> Iterator[ScriptedServer]:
    """A server that is not there: its port is nobody else's meanwhile."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield ScriptedServer(port=reserved.getsockname()[1])


async def test_a_server_that_is_away_is_not_asked_again_at_once_and_later_each_time() -> None:
    patience = Patience(rests=(0.05, 0.1, 0.2))
    clock = asyncio.get_running_loop().time
    greetings: list[Step] = ["421 4.3.2 too many"] * 3
    async with ScriptedServer({"greeting": greetings}).running() as server, a_hand(server, patience=patience, connections=1) as hand:
        moments = [clock()]
        for number in range(3):
            outcome = await hand.over(a_copy(number))
            assert isinstance(outcome, Deferred)
            assert outcome.phase is Phase.CONNECT
            moments.append(clock())
        assert isinstance(await hand.over(a_copy(3)), Accepted)
        moments.append(clock())
        assert len(server.said) == 4
    pauses = [later - earlier for earlier, later in pairwise(moments)][1:]
    assert [pause >= least for pause, least in zip(pauses, (0.05, 0.1, 0.2), strict=True)] == [True] * 3


async def test_the_rest_is_short_again_once_it_was_reached() -> None:
    patience = Patience(rests=(0.01, NEVER))
    async with (
        ScriptedServer({"greeting": ["421 no", "220 hi", "421 no", "220 hi"], "eod": ["421 bye", "250 ok"]}).running() as server,
        a_hand(server, patience=patience, connections=1) as hand,
    ):
        outcomes = [await hand.over(a_copy(number)) for number in range(4)]
    assert [type(outcome) for outcome in outcomes] == [Deferred, Deferred, Deferred, Accepted]


async def test_while_one_place_rests_the_others_go_on() -> None:
    patience = Patience(rests=(NEVER,))
    greetings: list[Step] = ["220 hi", "421 no more"]
    async with ScriptedServer({"greeting": greetings}).running() as server, a_hand(server, patience=patience, connections=2) as hand:
        outcomes = await asyncio.gather(*[hand.give(a_copy(number)) for number in range(9)])
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Accepted"] * 8 + ["Deferred"]
        assert len(server.said) == 2


async def test_while_all_rest_nothing_is_taken(absent: ScriptedServer) -> None:
    patience = Patience(rests=(NEVER,))
    async with a_hand(absent, patience=patience, connections=2) as hand:
        several = [hand.give(a_copy(number)) for number in range(5)]
        assert [type(await outcome) for outcome in several[:2]] == [Deferred] * 2
        await asyncio.sleep(0.02)
        assert hand.taken == [0, 1]


# Standby

SOON = Patience(connect=5, rests=(0.01,), away=0.05, look=0.05)


async def until(server: ScriptedServer, count: int) -> None:
    """Wait until a server has taken so many mails."""
    while len(server.taken) < count:
        await asyncio.sleep(0.01)


async def over_in_the_end(hand: Hand, number: int) -> None:
    """Hand a copy over again and again, as the sender does."""
    while not isinstance(await hand.over(a_copy(number)), Accepted):
        pass


async def test_a_standby_has_its_turn_when_the_first_is_away_and_everything_goes_back_once_it_is_there() -> None:
    shut: list[Step] = [Act.HANG_UP] * 1000
    first = ScriptedServer({"greeting": shut})
    with structlog.testing.capture_logs() as logs:
        async with first.running(), ScriptedServer().running() as second, a_hand(first, second, patience=SOON, connections=3) as hand:
            await over_in_the_end(hand, 1)
            assert len(second.taken) == 1
            before = len(first.said)
            while len(first.said) < before + 2:  # it is looked after, again and again
                await asyncio.sleep(0.01)
            first.mends()
            await first.heard("QUIT")  # without a mail
            await second.heard("QUIT")
            for number in range(2, 5):
                assert isinstance(await hand.over(a_copy(number)), Accepted)
            assert (len(first.taken), len(second.taken)) == (3, 1)
    assert [(log["event"], log["server"]) for log in logs] == [("relay.turned", 1), ("relay.turned", 0)]


async def test_a_copy_under_way_at_the_standby_ends_there() -> None:
    shut: list[Step] = [Act.HANG_UP] * 1000
    first, second = ScriptedServer({"greeting": shut}), ScriptedServer(always={"eod": Act.SILENCE})
    async with first.running(), second.running(), a_hand(first, second, patience=SOON, connections=1) as hand:
        while not second.said:
            outcome = hand.give(a_copy(1))
            await asyncio.sleep(0.02)
        await second.heard("DATA")
        first.mends()
        await first.heard("QUIT")
        await asyncio.sleep(0.02)
        assert not outcome.done()
        await hand.close(0)
        assert await outcome is CUT


@pytest.mark.parametrize("step", ["554 5.3.2 no mail here", Act.HANG_UP, "nonsense"])
async def test_a_first_server_that_answers_and_lets_nobody_in_is_away(step: Step) -> None:
    async with (
        ScriptedServer(always={"greeting": step}).running() as first,
        ScriptedServer().running() as second,
        a_hand(first, second, patience=SOON, connections=2) as hand,
    ):
        await over_in_the_end(hand, 1)
    assert len(second.taken) == 1


async def test_a_first_server_that_takes_no_further_connection_is_not_away() -> None:
    greetings: list[Step] = ["220 hi", *["421 4.7.0 too many connections"] * 1000]
    async with (
        ScriptedServer({"greeting": greetings}).running() as first,
        ScriptedServer().running() as second,
        a_hand(first, second, patience=SOON, connections=3) as hand,
    ):
        for number in range(60):
            await hand.over(a_copy(number, content=CONTENT))
            await asyncio.sleep(0.005)
    assert second.said == []
    assert len(first.taken) > 20


async def test_nobody_rests_for_the_first_when_the_second_has_its_turn(absent: ScriptedServer) -> None:
    patience = Patience(rests=(0.06, NEVER), away=0.05, look=NEVER)
    async with ScriptedServer().running() as second, a_hand(absent, second, patience=patience, connections=4) as hand:
        while not second.taken:
            await asyncio.wait([hand.give(a_copy(number)) for number in range(4)], timeout=0.1)
        outcomes = await asyncio.gather(*[hand.give(a_copy(number)) for number in range(40)])
        assert [type(outcome) for outcome in outcomes] == [Accepted] * 40
        assert len(second.said) > 1


async def test_when_all_are_away_each_is_asked_in_turn() -> None:
    patience = Patience(rests=(0.01,), away=0.03, look=NEVER)
    async with (
        ScriptedServer(always={"greeting": "421 no"}).running() as first,
        ScriptedServer(always={"greeting": "421 no"}).running() as second,
        a_hand(first, second, patience=patience, connections=1) as hand,
    ):
        while not (second.said and len(first.said) > 10):
            await hand.over()
    assert len(second.said) > 1


# A set rate


async def test_no_more_than_a_set_rate_goes_out() -> None:
    clock = asyncio.get_running_loop().time
    async with ScriptedServer().running() as server, a_hand(server, rate=100) as hand:
        began = clock()
        outcomes = await asyncio.gather(*[hand.give(a_copy(number)) for number in range(40)])
        took = clock() - began
    assert [type(outcome) for outcome in outcomes] == [Accepted] * 40
    assert took >= 0.28  # a tenth of a second's worth goes at once


async def test_what_is_refused_before_the_wire_spends_nothing_of_the_rate() -> None:
    async with ScriptedServer().running() as server, a_hand(server, rate=0.001) as hand:
        outcomes = [await hand.over(a_copy(number, recipient="a[b@x.jp")) for number in range(5)]
        assert [type(outcome) for outcome in outcomes] == [Refused] * 5
        assert isinstance(await hand.over(a_copy(5)), Accepted)
        waits = hand.give(a_copy(6))
        await asyncio.sleep(0.02)
        assert not waits.done()
        assert len(server.taken) == 1


# The end


@pytest.mark.parametrize("name", ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "eod"])
async def test_what_is_under_way_is_cut_off_when_the_grace_is_over(name: str, always: Mapping[str, Step]) -> None:
    async with ScriptedServer(always={**always, name: Act.SILENCE}).running() as server, a_hand(server) as hand:
        outcome = hand.give(a_copy(1))
        while not server.said:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        await hand.close(0.02)
        assert await outcome is CUT
    assert server.taken == []


async def test_what_is_under_way_may_end_within_the_grace() -> None:
    async with ScriptedServer().running() as server, a_hand(server, connections=1) as hand:
        first, second = hand.give(a_copy(1)), hand.give(a_copy(2))
        await hand.close(20)
        assert isinstance(await first, Accepted)
        assert not second.done()
        assert hand.taken == [1]
    assert server.said[0][-1] == "QUIT"


async def test_a_cut_is_never_lost_however_far_the_copy_has_come() -> None:
    async with ScriptedServer(always={"eod": Act.SILENCE}).running() as server:
        for steps in range(120):
            relay = SmtpRelay([NextServer(host="127.0.0.1", port=server.port, helo="gate.example")], patience=AT_LEISURE)
            hand = Hand(relay)
            outcome = hand.give(a_copy())
            for _ in range(steps):
                await asyncio.sleep(0)
            await hand.close(0)
            assert await outcome is CUT


async def test_a_refusal_that_was_known_is_no_cut(always: Mapping[str, Step]) -> None:
    script: dict[str, list[Step]] = {"RCPT": ["501 5.1.3 bad address"], "RSET": [Act.SILENCE], "eod": [Act.SILENCE]}
    async with ScriptedServer(script, always).running() as server, a_hand(server) as hand:
        outcome = hand.give(a_copy(recipient="a..b@docomo.ne.jp"))  # it waits for its other writing
        await server.heard("RCPT TO:<a..b@docomo.ne.jp>")
        await asyncio.sleep(0.05)
        await hand.close(0)
        assert await outcome == Refused(phase=Phase.RCPT, code=501, enhanced="5.1.3", text="5.1.3 bad address")


async def test_a_copy_that_was_begun_in_vain_is_not_carried_over_any_more_when_we_close() -> None:
    async with ScriptedServer({"MAIL": ["250 ok", Act.SILENCE]}).running() as server, a_hand(server) as hand:
        await hand.over(a_copy(1))
        outcome = hand.give(a_copy(2))
        await asyncio.sleep(0.02)
        closing = asyncio.create_task(hand.close(20))
        await asyncio.sleep(0.02)
        server.hang_up_all()
        await closing
        assert await outcome is CUT
        assert len(server.said) == 1


async def test_a_silent_goodbye_is_not_waited_for_long() -> None:
    async with ScriptedServer(always={"QUIT": Act.SILENCE}).running() as server, a_hand(server, patience=IN_A_HURRY) as hand:
        assert isinstance(await hand.over(), Accepted)


async def test_a_relay_that_never_started_closes() -> None:
    relay = SmtpRelay([NextServer(host="127.0.0.1", port=1, helo="gate.example")])
    relay.nudge()
    await relay.close(5)
    await relay.close(0)


async def test_a_place_that_rests_does_not_keep_us(absent: ScriptedServer) -> None:
    async with a_hand(absent, patience=Patience(rests=(NEVER,))) as hand:
        assert isinstance(await hand.over(), Deferred)


async def test_what_was_named_on_the_wire_is_the_recipient_of_the_copy() -> None:
    async with ScriptedServer().running() as server, a_hand(server) as hand:
        await asyncio.gather(*[hand.give(a_copy(number, recipient=f"r{number}@docomo.example")) for number in range(50)])
    assert sorted(mail.recipient for mail in server.taken) == sorted(b"<r%d@docomo.example>" % number for number in range(50))
    assert RECIPIENT.encode() not in b"".join(mail.recipient for mail in server.taken)
