"""Gates and other machines that face each other fall silent (MR-26); behind a relay whole processes answer the right ones."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count, product
from pathlib import Path

import pytest

from tests.journeys.gate import DOMAIN, Gate
from tests.journeys.sink import Caught, Sink
from tests.signed import a_key, key_record, signed
from tests.wire.nameserver import a_name_server
from tests.zones import Zone

A, B = "a-gate.example.jp", "b-gate.example.jp"
NUMBERS = count()


@pytest.fixture
async def gates(tmp_path: Path, sink: Sink) -> AsyncIterator[dict[str, Gate]]:
    """Two gates that hand their mail to one relay."""
    made = {domain: Gate(tmp_path / domain) for domain in (A, B)}
    relay = await sink.start()
    for domain, gate in made.items():
        await gate.make(relay=relay, domain=domain)
        await gate.start("mail")
    yield made
    for gate in made.values():
        await gate.end()


async def carried(sink: Sink, gates: list[Gate], hand_on: Callable[[Caught], Awaitable[object]]) -> list[Caught]:
    """Hand on what the relay has taken, and what comes of that, until nothing is owed any more: all that it has taken."""
    done = 0
    async with asyncio.timeout(40):
        while True:
            owed = [await gate.run("outbox", "stats", "--json") for gate in gates]
            if done == len(sink.caught) and not any(each["pending"] or each["leased"] for each in owed):
                return sink.caught
            for mail in sink.caught[done:]:
                await hand_on(mail)
                done += 1


MARKS = re.compile(rb"^(?:Auto-Submitted|X-Auto-Response-Suppress|Precedence):[^\r]*\r\n(?:[ \t][^\r]*\r\n)*", re.MULTILINE)


def stripped(content: bytes) -> bytes:
    """A mail without the marks of an automatic one, as some relays leave it."""
    return MARKS.sub(b"", content)


@pytest.mark.parametrize("change", [bytes, stripped])
async def test_two_gates_that_face_each_other_fall_silent(
    sink: Sink, gates: dict[str, Gate], change: Callable[[bytes], bytes]
) -> None:
    boxes = ("touroku", "code", "en", "yasashii", "id", "renraku")

    async def hand_on(mail: Caught) -> None:
        assert mail.recipient.rpartition("@")[0] in boxes
        reply = await gates[mail.recipient.rpartition("@")[2]].mail(mail.sender, mail.recipient, change(mail.content))
        assert reply.startswith("250")

    for box, their_box in zip(boxes, (*boxes[1:], boxes[0]), strict=True):
        forged = f"From: {their_box}@{B}\r\nMessage-ID: <{next(NUMBERS)}@x>\r\n\r\nhello\r\n".encode()
        assert (await gates[A].mail(f"{their_box}@{B}", f"{box}@{A}", forged)).startswith("250")
    caught = await carried(sink, list(gates.values()), hand_on)
    assert all(mail.sender.endswith(f"@{A}") for mail in caught)  # the other one has not said a word
    assert 1 <= len(caught) <= len(boxes)
    assert max(Counter(mail.recipient for mail in caught).values()) == 1


async def test_a_gate_that_faces_a_naive_vacation_program_says_two_things_at_most(gate: Gate, sink: Sink) -> None:
    await gate.make(relay=await sink.start())
    await gate.start("mail")
    boxes, targets = ("touroku", "id", "renraku"), ("From", "Return-Path", "Reply-To")
    answers = {f"away{n}@phone.example.jp": pair for n, pair in enumerate(product(boxes, targets))}

    async def say(sender: str, to: str, text: str) -> None:
        content = f"From: {sender}\r\nTo: {to}\r\nSubject: {text}\r\nMessage-ID: <{next(NUMBERS)}@phone>\r\n\r\n{text}\r\n"
        await gate.mail(sender, to, content.encode())

    async def away(mail: Caught) -> None:
        """It answers everything, always, and marks nothing as automatic."""
        target = answers[mail.recipient][1]
        to = mail.sender if target == "Return-Path" else str(mail.message.get(target, mail.message["From"]))
        await say(mail.recipient, to.rpartition("<")[2].rstrip(">"), "I am away.")

    for sender, (box, _) in answers.items():
        await say(sender, f"{box}@{DOMAIN}", "I am here.")
    said = Counter(mail.recipient for mail in await carried(sink, [gate], away))
    assert said.keys() == answers.keys()
    assert max(said.values()) <= 2


async def test_behind_a_relay_the_right_ones_are_answered(gate: Gate, sink: Sink) -> None:
    await gate.make(relay=await sink.start(), trusted="127.0.0.0/8")
    await gate.start("mail")
    families = [f"family{n}@docomo.ne.jp" for n in range(150)]
    victims = [f"victim{n}@docomo.ne.jp" if n % 2 else families[n % 150] for n in range(250)]

    async def hand_in(author: str, result: str) -> None:
        received = "Received: from out.example ([198.51.100.7]) by mx.city.jp with ESMTP; date"
        said = f"Authentication-Results: mx.city.jp; dmarc={result} header.from=docomo.ne.jp"
        content = f"{received}\r\n{said}\r\nFrom: {author}\r\nMessage-ID: <{next(NUMBERS)}@phone>\r\n\r\n"
        assert (await gate.mail(author, f"touroku@{DOMAIN}", content.encode())).startswith("250")

    for at in range(15):
        mails = [(each, "pass") for each in families[at::15]] + [(each, "fail") for each in victims[at::15]]
        await asyncio.gather(*[hand_in(*mail) for mail in mails], asyncio.sleep(0.1))
    await sink.wait_for(lambda caught: len(caught) >= len(families))
    stats = await gate.run("outbox", "stats", "--json")
    assert (stats["pending"], stats["leased"], stats["handed_over"]) == (0, 0, len(families))
    assert Counter(mail.recipient for mail in sink.caught) == Counter(families)


async def test_a_whole_process_asks_a_name_server(gate: Gate, sink: Sink) -> None:
    zone = Zone(
        {
            "example.jp MX": ["mx.example.jp"],
            "example.jp TXT": ["v=spf1 ip4:198.51.100.7 -all"],
            "_dmarc.example.jp TXT": ["v=DMARC1; p=none"],
            "s1._domainkey.example.jp TXT": [key_record(a_key())],
            "null.jp MX": ["."],
            "local.jp MX": ["mx.local.jp"],
            "local.jp TXT": ["v=spf1 ip4:127.0.0.0/8 -all"],
            "_dmarc.local.jp TXT": ["v=DMARC1; p=reject"],
        }
    )
    async with a_name_server(zone) as server:
        await gate.make(relay=await sink.start(), dns=f"127.0.0.1:{server.port}")
        await gate.start("mail")
        for sender, content in (
            ("taro@null.jp", b"\r\n"),
            ("taro@none.jp", b"\r\n"),
            ("jiro@example.jp", b"From: jiro@example.jp\r\n\r\n"),
            ("taro@example.jp", signed()),
            ("taro@local.jp", b"\r\n"),
        ):
            assert (await gate.mail(sender, f"touroku@{DOMAIN}", content)).startswith("250")
        await sink.wait_for(lambda caught: len(caught) >= 2)
        stats = await gate.run("outbox", "stats", "--json")
        assert stats["handed_over"] + stats["leased"] + stats["pending"] == 2
        assert {mail.recipient for mail in sink.caught} == {"taro@example.jp", "taro@local.jp"}
