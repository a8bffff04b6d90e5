"""Who is answered: proven senders and authors, forged ones, and a whole city behind one relay."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from ipaddress import ip_network
from itertools import count

import pytest
from structlog.testing import capture_logs

from mailgate.core.instants import SECOND
from mailgate.journeys.allowance import Allowance
from mailgate.smtp.names import Names, Nobody
from mailgate.smtp.proof import NetworkProver
from mailgate.wiring import inbox_of
from tests.builders import Town
from tests.signed import a_key, key_record, signed
from tests.zones import InZone, Zone

RELAY = "192.0.2.1"
DOCOMO, ELSEWHERE = "198.51.100.7", "203.0.113.9"
ZONE = {
    "docomo.ne.jp MX": ["mx.docomo.ne.jp"],
    "docomo.ne.jp TXT": [f"v=spf1 ip4:{DOCOMO} -all"],
    "_dmarc.docomo.ne.jp TXT": ["v=DMARC1; p=none"],
    "example.jp MX": ["mx.example.jp"],
    "example.jp TXT": [f"v=spf1 ip4:{DOCOMO} -all"],
    "_dmarc.example.jp TXT": ["v=DMARC1; p=none"],
    "s1._domainkey.example.jp TXT": [key_record(a_key())],
    "plain.jp MX": ["mx.plain.jp"],
    "null.jp MX": ["."],
}
NUMBERS = count()


@pytest.fixture
def proving(town: Town) -> Town:
    """A town that asks a piece of the DNS, and knows one relay."""
    return with_names(town, InZone(Zone(ZONE, unknown=["dead.jp MX", "_dmarc.dead.jp TXT"])))


def with_names(town: Town, names: Names) -> Town:
    prover = NetworkProver(names, relays=[ip_network(RELAY)], authserv_id="")
    allowance = Allowance([ip_network("127.0.0.0/8"), ip_network(RELAY)])
    town.inbox = inbox_of(town.footing, town.vault, allowance, town.wake, prover=prover)
    return town


def blank(author: str, *fields: str) -> bytes:
    head = [*fields, f"Message-ID: <{next(NUMBERS)}@phone>", *([f"From: {author}"] if author else [])]
    return ("\r\n".join(head) + "\r\n\r\n").encode()


async def answered(town: Town, sender: str, content: bytes | None = None, *, box: str = "touroku", peer: str = DOCOMO) -> list[str]:
    """Who is answered because of a mail."""
    await town.post(sender, box, content=blank(sender) if content is None else content, peer=peer)
    return [sent.to for sent in await town.sent()]


@pytest.mark.parametrize(
    "sender, content, peer, to",
    [
        ("a..b@docomo.ne.jp", None, DOCOMO, "a..b@docomo.ne.jp"),
        ("a..b@docomo.ne.jp", b"\r\n", DOCOMO, "a..b@docomo.ne.jp"),
        ("a..b@docomo.ne.jp", None, ELSEWHERE, None),
        ("a..b@docomo.ne.jp", b"\r\n", ELSEWHERE, None),
        ("taro@example.jp", signed(), ELSEWHERE, "taro@example.jp"),
        ("taro@plain.jp", None, ELSEWHERE, "taro@plain.jp"),
        ("taro@dead.jp", None, ELSEWHERE, "taro@dead.jp"),
        ("taro@null.jp", None, DOCOMO, None),
        ("taro@none.jp", None, DOCOMO, None),
        ("prvs=1234=taro@example.jp", blank("taro@example.jp"), DOCOMO, "taro@example.jp"),
        ("prvs=1234=taro@example.jp", blank("taro@example.jp"), ELSEWHERE, None),
        ("prvs=1234=taro@example.jp", signed(), ELSEWHERE, "taro@example.jp"),
        ("bounce+7@news.example.jp", blank("taro@example.jp"), DOCOMO, None),  # nothing proves that it is of theirs
        ("bounce+7@news.example.jp", signed(), ELSEWHERE, "taro@example.jp"),
        ("SRS0=x=y=example.jp=taro@plain.jp", signed(), ELSEWHERE, None),
        ("prvs=1=taro@plain.jp", blank("taro@plain.jp"), DOCOMO, None),
        ("jiro@example.jp", blank("taro@example.jp"), DOCOMO, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("box", ["touroku", "code", "id", "en"])
async def test_a_proven_writer_is_answered_and_no_other(
    proving: Town, *, box: str, sender: str, content: bytes | None, peer: str, to: str | None
) -> None:
    assert await answered(proving, sender, content, box=box, peer=peer) == ([to] if to else [])


@pytest.mark.parametrize(
    "sender, author, peer, reason",
    [
        ("taro@example.jp", "taro@example.jp", ELSEWHERE, "dmarc"),
        ("prvs=1=taro@plain.jp", "taro@plain.jp", ELSEWHERE, "differs"),
        ("taro@none.jp", "taro@none.jp", DOCOMO, "no_domain"),
        ("taro@null.jp", "taro@null.jp", DOCOMO, "null_mx"),
        ("jiro@example.jp", "taro@example.jp", DOCOMO, "differs"),
        ("no-reply@example.jp", "no-reply@example.jp", DOCOMO, "role_sender"),
    ],
)
async def test_a_silence_has_its_reason_in_the_log(proving: Town, sender: str, author: str, peer: str, reason: str) -> None:
    with capture_logs() as logs:
        assert await answered(proving, sender, blank(author), peer=peer) == []
    assert [event["reason"] for event in logs if event["event"] == "mail.silenced"] == [reason]


async def test_nobody_is_asked_about_a_mail_that_is_not_answered_anyway(town: Town) -> None:
    zone = Zone(ZONE)
    with_names(town, InZone(zone))
    await answered(town, "no-reply@example.jp")
    await answered(town, "taro@example.jp", blank("taro@example.jp", "Auto-Submitted: auto-replied"))
    await answered(town, "taro@example.jp", box="postmaster")
    await answered(town, "taro@example.jp", box="b+abc")
    assert zone.asked == []


async def test_without_a_name_server_everybody_is_answered(town: Town) -> None:
    with_names(town, Nobody())
    for sender in ("a@docomo.ne.jp", "taro@none.jp", "taro@null.jp"):
        assert await answered(town, sender, peer=ELSEWHERE) == [sender]
    assert await answered(town, "prvs=1=taro@example.jp", blank("taro@example.jp")) == []  # this needs a proof, not the lack of a doubt


async def test_a_forged_mail_does_not_use_up_what_its_victim_may_get(proving: Town) -> None:
    for _ in range(10):
        assert await answered(proving, "taro@example.jp", peer=ELSEWHERE) == []
    assert await answered(proving, "taro@example.jp") == ["taro@example.jp"]


# Behind one relay


def relayed(author: str, result: str, *, client: str = DOCOMO) -> bytes:
    return blank(
        author,
        f"Received: from out.example ([{client}]) by mx.city.jp with ESMTP; date",
        f"Authentication-Results: mx.city.jp; dmarc={result} header.from={author.rpartition('@')[2]}",
    )


async def together(town: Town, mails: Sequence[tuple[str, bytes]]) -> None:
    """Mails that come in at once, over some connections."""
    for at in range(0, len(mails), 40):
        await asyncio.gather(
            *[town.post(sender, "touroku", content=content, peer=RELAY) for sender, content in mails[at : at + 40]]
        )


async def invited(town: Town) -> Counter[str]:
    rows = await town.ask("SELECT a.id, a.sealed FROM outbox o JOIN address a ON a.id = o.address_id WHERE o.letter = 'invitation'")
    return Counter(town.vault.open_address(row["sealed"], row["id"]) for row in rows)


PHONES = ("docomo.ne.jp", "ezweb.ne.jp", "au.com", "softbank.ne.jp", "i.softbank.jp", "icloud.com", "gmail.com", "yahoo.co.jp")


@pytest.mark.timeout(240)  # eight thousand mails, each with its COMMIT
async def test_a_whole_city_behind_one_relay_is_answered_and_forged_mails_beside_it_are_not(town: Town) -> None:
    with_names(town, Nobody())
    families = [f"family{n}@{PHONES[n % len(PHONES)]}" for n in range(3_000)]
    minutes = 20
    for minute in range(minutes):
        genuine = [(each, relayed(each, "pass")) for each in families[minute::minutes]]
        numbers = range(minute * 250, minute * 250 + 250)
        victims = [families[(7 * n) % 3_000] if n % 2 else f"victim{n}@docomo.ne.jp" for n in numbers]
        forged = [(each, relayed(each, "fail", client=ELSEWHERE)) for each in victims]
        for second in range(10):
            await together(town, [*genuine[second::10], *forged[second::10]])
            town.clock.pass_(6 * SECOND)
    assert await invited(town) == Counter(families)


async def test_forged_mails_below_a_relays_word_are_not_believed(town: Town) -> None:
    with_names(town, Nobody())
    forged = b"Authentication-Results: mx.city.jp; dmarc=pass\r\nMessage-ID"
    content = relayed("taro@example.jp", "fail").replace(b"Message-ID", forged)
    assert await answered(town, "taro@example.jp", content, peer=RELAY) == []


# How much a domain and a network may cause


async def caused(town: Town, senders: Sequence[str], *, peer: str, fields: Sequence[str] = ()) -> int:
    """How many of some senders are invited within an instant."""
    before = sum((await invited(town)).values())
    for sender in senders:
        await town.post(sender, "touroku", content=blank(sender, *fields), peer=peer)
        town.clock.pass_(SECOND // 50)
    return sum((await invited(town)).values()) - before


@pytest.mark.parametrize(
    "domain, peer, fields, most",
    [
        ("docomo.ne.jp", DOCOMO, [], 150),  # proven to be a provider's
        ("docomo.ne.jp", "198.51.100.8", [], 0),  # forged
        ("plain.jp", DOCOMO, [], 60),
        ("p{}.jp", ELSEWHERE, [], 120),
        ("gmail.com", ELSEWHERE, [], 120),  # a provider's, and nothing is known
        ("p{}.jp", "127.0.0.1", [], 150),
        ("p{}.jp", RELAY, [], 150),
        ("p{}.jp", RELAY, ["Received: from x ([203.0.113.77]) by mx.city.jp; date"], 120),
        ("gmail.com", RELAY, ["Received: from x ([203.0.113.77]) by mx.city.jp; date"], 150),
        ("p{}.jp", RELAY, ["Received: from x by mx.city.jp; date"], 150),
    ],
)
async def test_a_domain_and_a_network_may_cause_so_much(
    town: Town, domain: str, peer: str, fields: list[str], most: int
) -> None:
    zone = Zone({**ZONE, **{f"p{n}.jp MX": ["mx.plain.jp"] for n in range(150)}}, unknown=["gmail.com MX", "_dmarc.gmail.com TXT"])
    with_names(town, InZone(zone))
    senders = [f"taro{n}@{domain.format(n)}" for n in range(150)]
    assert await caused(town, senders, peer=peer, fields=fields) == most
