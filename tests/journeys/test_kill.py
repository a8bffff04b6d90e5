"""Promise 1: killed at any instant, nothing is left out, and only what was under way comes twice, looking the same."""

import asyncio
import csv
import random
from collections import defaultdict

from mailgate.journeys.sample import SAMPLE_PIN
from tests.conftest import ROOT
from tests.journeys.acts import a_gate, done, send
from tests.journeys.gate import MAILGATE, Gate
from tests.journeys.sink import Caught, Sink

KILLS = 5
WINDOW = 64
BOARD = "n.sasahara@kyoiku.example.jp"


def registered() -> set[str]:
    with (ROOT / "data/sample/contacts.csv").open(encoding="utf-8", newline="") as file:
        return {row["address"] for row in csv.DictReader(file)}


async def test_five_kills_in_a_broadcast_leave_nobody_out_and_double_no_more_than_the_window(gate: Gate, sink: Sink) -> None:
    await a_gate(gate, sink, "mail", sample=True)
    await gate.start("web")
    sink.delay_s = 0.02  # 16 connections: long enough to be killed in the middle of it
    expected = registered()
    await send(gate, sink, BOARD, "all", pin=SAMPLE_PIN)
    dice = random.Random(1)
    for kill in range(KILLS):
        goal = len(sink.caught) + dice.randrange(40, 240)
        await sink.wait_for(lambda caught, goal=goal: len(caught) >= goal)  # type: ignore[misc]  # bound now, not later
        await gate.kill("mail")
        assert len({mail.recipient for mail in sink.caught}) < len(expected), f"kill {kill} came too late"
        await gate.start("mail")
    (row,) = await done(gate)
    copies: dict[str, list[Caught]] = defaultdict(list)
    for mail in sink.caught:
        if mail.recipient != BOARD:
            copies[mail.recipient].append(mail)
    assert set(copies) == expected
    assert row["recipients"] == row["handed_over"] == len(expected)
    twice = [mails for mails in copies.values() if len(mails) > 1]
    assert sum(len(mails) - 1 for mails in twice) <= KILLS * WINDOW
    for mails in twice:
        assert len({(mail.message["Message-ID"], mail.message["Date"]) for mail in mails}) == 1
    assert len({mails[0].message["Message-ID"] for mails in copies.values()}) == len(expected)


async def test_a_stop_in_the_middle_sends_nothing_twice(gate: Gate, sink: Sink) -> None:
    await a_gate(gate, sink, sample=True)
    sink.delay_s = 0.02
    await send(gate, sink, BOARD, "all", pin=SAMPLE_PIN)
    await sink.wait_for(lambda caught: len(caught) > 300)
    assert await gate.stop() == 0
    await gate.start()
    await done(gate)
    recipients = [mail.recipient for mail in sink.caught if mail.recipient != BOARD]
    assert len(recipients) == len(set(recipients)) == len(registered())


async def test_one_mail_side_at_a_time(gate: Gate, sink: Sink) -> None:
    await a_gate(gate, sink)
    second = await asyncio.create_subprocess_exec(
        *MAILGATE, "-c", str(gate.config), "serve", "mail", stderr=asyncio.subprocess.PIPE
    )
    _, said = await second.communicate()
    assert second.returncode == 1
    assert b"runs already" in said
