"""broadcast, outbox, quarantine: what they print, and what an operator can do."""

import json
import re

import pytest

from mailgate.core.addresses import parse_spec
from mailgate.core.inbound import Inbound
from mailgate.journeys.allowance import Allowance
from mailgate.journeys.safekeeping import Safe
from mailgate.wiring import inbox_of
from tests.builders import Town
from tests.cli.run import Commands, live

COUNTS = ("handed_over", "delivered", "bounced", "failed", "expired", "cancelled", "confirmed")


async def a_school_with_two_guardians(town: Town) -> None:
    await town.a_school()
    await town.a_contact("a@docomo.ne.jp")
    await town.a_contact("b@docomo.ne.jp")
    await town.enrolled()


async def two_broadcasts(town: Town) -> None:
    """An alarm that is out and read once, and a draft."""
    await a_school_with_two_guardians(town)
    await town.confirmed("kita-es.3", "staff", subject="【緊急連絡】休業", text="休みます。")
    await town.expanded()
    copy = (await town.sent())[0]
    await town.reach.confirm(town.receipt_token(copy.row.id))
    await town.drafted("kita-es", subject="遠足")


async def confirmed(town: Town) -> None:
    await a_school_with_two_guardians(town)
    await town.confirmed("kita-es")


# Broadcasts


def test_broadcasts_are_listed_as_scripts_read_them(gate: Commands) -> None:
    assert gate.json("broadcast", "list") == []
    live(gate, two_broadcasts)
    draft, alarm = gate.json("broadcast", "list")
    assert set(draft) == {"id", "kind", "subject", "audience", "state", "recipients", *COUNTS, "created", "confirmed_at", "done_at"}
    assert (draft["id"], draft["kind"], draft["subject"], draft["state"], draft["recipients"]) == (2, "notice", "遠足", "drafted", 0)
    assert (draft["audience"], draft["confirmed_at"], draft["done_at"]) == (["kita-es"], None, None)
    assert [draft[name] for name in COUNTS] == [0] * 7
    assert (alarm["id"], alarm["kind"], alarm["state"], alarm["recipients"]) == (1, "emergency", "sending", 3)
    assert alarm["audience"] == ["kita-es.3", "staff"]
    assert {name: alarm[name] for name in COUNTS} == dict.fromkeys(COUNTS, 0) | {"handed_over": 3, "confirmed": 1}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", alarm["created"])
    assert alarm["confirmed_at"] is not None


def test_one_broadcast_is_shown_with_its_text(gate: Commands) -> None:
    live(gate, two_broadcasts)
    shown = gate.json("broadcast", "show", "1")
    assert shown.pop("text") == "休みます。"
    assert shown == gate.json("broadcast", "list")[1]
    assert "text: 休みます。" in gate.ok("broadcast", "show", "1")


def test_no_address_is_printed(gate: Commands) -> None:
    live(gate, two_broadcasts)
    for words in ("broadcast list", "broadcast show 1", "outbox stats", "staff list", "school list"):
        printed = gate.ok(*words.split()) + gate.ok(*words.split(), "--json")
        assert "docomo" not in printed
        assert "yamakawa" not in printed


def test_an_operator_halts_resumes_and_cancels(gate: Commands) -> None:
    live(gate, confirmed)
    for command, state in (("halt", "halted"), ("resume", "sending"), ("cancel", "cancelled")):
        assert gate.ok("broadcast", command, "1") == ""
        assert gate.json("broadcast", "show", "1")["state"] == state

    async def lines(town: Town) -> list[tuple[object, ...]]:
        return [tuple(row) for row in await town.ask("SELECT actor, event FROM audit ORDER BY id")]

    assert live(gate, lines)[1:] == [
        ("operator", "broadcast.halt"), ("operator", "broadcast.resume"), ("operator", "broadcast.cancel"),
    ]  # fmt: skip


@pytest.mark.parametrize("command", ["halt", "resume", "cancel"])
def test_what_is_not_possible_now_is_refused_with_the_state(gate: Commands, command: str) -> None:
    live(gate, two_broadcasts)
    gate.refused(1, "broadcast", command, "2", says=f"broadcast 2 is drafted: {command} is not possible now")
    assert gate.json("broadcast", "show", "2")["state"] == "drafted"


def test_what_a_cancel_cancels_is_counted(gate: Commands) -> None:
    live(gate, confirmed)
    live(gate, lambda town: town.expanded())
    gate.ok("broadcast", "cancel", "1")
    assert gate.json("broadcast", "list")[0]["cancelled"] == 2


def test_a_text_that_somebody_changed_in_the_database_is_one_line(gate: Commands) -> None:
    live(gate, two_broadcasts)
    live(gate, lambda town: town.change("UPDATE broadcast SET text = subject"))
    gate.refused(1, "broadcast", "show", "1", says="does not open")


# The outbox


def test_the_outbox_is_counted_by_state_and_lane(gate: Commands) -> None:
    states = ["pending", "leased", "handed_over", "delivered", "bounced", "failed", "expired", "cancelled"]
    empty = gate.json("outbox", "stats")
    assert set(empty) == {*states, "oldest_pending_s", "by_lane"}
    assert ([empty[state] for state in states], empty["oldest_pending_s"]) == ([0] * 8, None)
    assert empty["by_lane"] == {lane: dict.fromkeys(states, 0) for lane in ("alarm", "single", "ordinary")}
    live(gate, two_broadcasts)

    async def a_guardian_asks(town: Town) -> None:
        await town.post("c@docomo.ne.jp", "touroku")

    live(gate, a_guardian_asks)
    stats = gate.json("outbox", "stats")
    assert (stats["pending"], stats["handed_over"]) == (1, 5)
    alarm, single = stats["by_lane"]["alarm"], stats["by_lane"]["single"]
    assert (alarm["handed_over"], single["handed_over"], single["pending"]) == (3, 2, 1)
    assert 0 <= stats["oldest_pending_s"] < 60
    assert "pending: 1" in gate.ok("outbox", "stats").splitlines()


# Quarantine

POISON = b"Message-ID: <1@x>\r\n\r\nsecret \xff word\r\n"


async def a_quarantined_mail(town: Town) -> int:
    mail = Inbound(
        sender=parse_spec("a..b@docomo.ne.jp"),
        recipients=(parse_spec("touroku@gate.example.jp"),),
        peer="192.0.2.1",
        received_at=town.clock.now(),
        content=POISON,
    )
    async with town.db.write() as tx:
        return await Safe(town.vault, town.footing.dice).keep(tx, mail, reason="LookupError", now=town.clock.now())


async def a_mail_for_the_operator(town: Town) -> int:
    inbox = inbox_of(town.footing, town.vault, Allowance([]), town.wake)
    town.inbox = inbox
    await town.post("x@example.com", "abuse", content=b"look\r\n")
    return int((await town.ask("SELECT MAX(id) AS id FROM kept_mail"))[0]["id"])


def test_a_quarantined_mail_is_listed_shown_whole_and_dropped(gate: Commands) -> None:
    assert gate.json("quarantine", "list") == []
    mail_id = live(gate, a_quarantined_mail)
    (line,) = gate.json("quarantine", "list")
    assert set(line) == {"id", "reason", "octets", "received"}
    assert (line["id"], line["reason"], line["octets"]) == (mail_id, "LookupError", len(POISON))
    shown = gate.run("quarantine", "show", str(mail_id))
    assert (shown.exit_code, shown.stderr) == (0, "")
    envelope = b"X-Envelope-From: <a..b@docomo.ne.jp>\r\nX-Envelope-To: <touroku@gate.example.jp>\r\n"
    assert shown.stdout_bytes == envelope + POISON
    assert gate.ok("quarantine", "drop", str(mail_id)) == ""
    assert gate.json("quarantine", "list") == []
    for command in ("show", "drop"):
        gate.refused(1, "quarantine", command, str(mail_id), says=f"there is no quarantined mail {mail_id}")


def test_the_list_of_the_quarantine_shows_nothing_of_a_mail(gate: Commands) -> None:
    live(gate, a_quarantined_mail)
    printed = gate.ok("quarantine", "list") + json.dumps(gate.json("quarantine", "list"))
    assert not re.search("docomo|secret", printed)


def test_what_is_on_its_way_to_the_operator_is_no_quarantined_mail(gate: Commands) -> None:
    mail_id = live(gate, a_mail_for_the_operator)
    assert gate.json("quarantine", "list") == []
    for command in ("show", "drop"):
        gate.refused(1, "quarantine", command, str(mail_id), says="no quarantined mail")

    async def letters(town: Town) -> list[str]:
        return [mail.letter for mail in await town.sent()]

    assert live(gate, letters) == ["for_operator"]
