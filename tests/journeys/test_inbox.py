"""The inbox: every box and what comes of a mail to it, in one transaction each, once."""

import asyncio
import threading
from collections.abc import Callable
from threading import get_ident

import pytest
from structlog.testing import capture_logs

from mailgate.core.addresses import NULL_PATH, parse_spec
from mailgate.core.admission import Admission
from mailgate.core.instants import HOUR, MINUTE, SECOND
from mailgate.core.outages import StoreFull
from mailgate.core.returnpath import Slot
from mailgate.journeys.allowance import Allowance
from mailgate.journeys.inbox import ORDINARY_SIZE, STAFF_SIZE
from mailgate.vault import AddressVault
from mailgate.wiring import inbox_of
from tests.builders import BLANK, DOMAIN, TEACHER, Town, a_key, some_keys, staff_mail
from tests.fakes import FixedDice

MOTHER, FATHER = "a..b@docomo.ne.jp", "chichi@ezweb.ne.jp"
REPORT = (
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x\r\n"
    b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
    b"Final-Recipient: rfc822; a@ezweb.ne.jp\r\nAction: %s\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 unknown\r\n\r\n--x--\r\n"
)


async def outcomes(town: Town, sender: str, *to: str, content: bytes = BLANK) -> list[str]:
    """A mail comes in; what the log says came of it at each box."""
    with capture_logs() as logged:
        await town.post(sender, *to, content=content)
    return [f"{line['box']}: {line['outcome']}" for line in logged if line["event"] == "mail.accepted"]


async def a_copy(town: Town, sender: str = MOTHER, audience: str = "kita-es") -> int:
    """A guardian, and an alarm that was handed over to her; its delivery."""
    await town.a_school()
    await town.enrolled()
    await town.a_contact(sender)
    await town.confirmed(audience, subject="【緊急連絡】休業")
    await town.expanded()
    (copy,) = await town.sent()
    assert (copy.to, copy.letter) == (sender, "broadcast")
    return copy.row.id


def token(town: Town, delivery: int, slot: Slot) -> str:
    return town.links.tokens(delivery)[slot]


# Boxes


@pytest.mark.parametrize(
    "recipient, admission",
    [
        ("touroku@gate.example.jp", Admission.OURS),
        ("Touroku@Gate.Example.JP", Admission.OURS),
        ("renraku@gate.example.jp", Admission.OURS),
        ("haishin+kita-es.3-1@gate.example.jp", Admission.OURS),
        ("haishin+nonsense@gate.example.jp", Admission.OURS),  # who is enrolled is told why not, by mail
        ("k+x@gate.example.jp", Admission.OURS),
        ("b+x@gate.example.jp", Admission.OURS),
        ("yame+x@gate.example.jp", Admission.OURS),
        ("postmaster@gate.example.jp", Admission.OURS),
        ("abuse@gate.example.jp", Admission.OURS),
        ("touroku+x@gate.example.jp", Admission.UNKNOWN),
        ("haishin@gate.example.jp", Admission.UNKNOWN),
        ("k@gate.example.jp", Admission.UNKNOWN),
        ("info@gate.example.jp", Admission.UNKNOWN),
        ("touroku@example.jp", Admission.FOREIGN),
        ("touroku@mail.gate.example.jp", Admission.FOREIGN),
        ("postmaster@example.jp", Admission.FOREIGN),
    ],
)
async def test_a_box_is_known_before_the_mail(town: Town, recipient: str, admission: Admission) -> None:
    assert town.inbox.admits(parse_spec(recipient)) is admission


async def test_staff_who_write_to_an_audience_may_send_more_than_others(town: Town) -> None:
    staff_id = await town.enrolled()
    audience, join = parse_spec(f"haishin+all@{DOMAIN}"), parse_spec(f"touroku@{DOMAIN}")
    for sender, recipients, size in (
        (parse_spec(TEACHER), (audience,), STAFF_SIZE),
        (parse_spec(TEACHER.upper()), (join, audience), STAFF_SIZE),
        (parse_spec(TEACHER), (join,), ORDINARY_SIZE),
        (parse_spec(MOTHER), (audience,), ORDINARY_SIZE),
        (NULL_PATH, (audience,), ORDINARY_SIZE),
    ):
        assert await town.inbox.size_limit(sender, recipients) == size
    await town.change("UPDATE staff SET disabled_at = 1 WHERE id = ?", (staff_id,))
    assert await town.inbox.size_limit(parse_spec(TEACHER), (audience,)) == ORDINARY_SIZE


# Joining


@pytest.mark.parametrize(
    "sender, head",
    [
        ("", b""),
        ("mailer-daemon@docomo.ne.jp", b""),
        (MOTHER, b"Auto-Submitted: auto-replied\r\n"),
        (MOTHER, b"Precedence: bulk\r\n"),
        (MOTHER, b"List-Id: <x.example.jp>\r\n"),
        (MOTHER, b"From: other@docomo.ne.jp\r\n"),
        (MOTHER, b"From: a@docomo.ne.jp, b@docomo.ne.jp\r\n"),
        (f"renraku@{DOMAIN}", b""),
        (f"x@sub.{DOMAIN}", b""),
        (MOTHER, b"Subject: Undelivered Mail Returned to Sender\r\n"),
    ],
)
async def test_what_a_machine_writes_gets_no_answer_and_leaves_no_address(town: Town, sender: str, head: bytes) -> None:
    assert await outcomes(town, sender, "touroku", content=head + b"\r\n") == ["join: silenced"]
    assert [await town.count("outbox"), await town.count("address"), await town.count("invitation")] == [0, 0, 0]


@pytest.mark.parametrize(
    "content", [b"", BLANK, b"\x00\xff", b"From: a..b@docomo.ne.jp\r\n", b"Subject: =?iso-2022-jp?B?GyRC?=\r\n\r\n\x1b$B"]
)
async def test_whatever_a_person_writes_gets_one_answer(town: Town, content: bytes) -> None:
    assert await outcomes(town, MOTHER, "touroku", content=content) == ["join: invited"]
    assert [(mail.letter, mail.to) for mail in await town.sent()] == [("invitation", MOTHER)]


async def test_an_address_that_asks_too_often_is_limited(town: Town) -> None:
    assert await outcomes(town, MOTHER, "touroku", content=b"Message-ID: <1>\r\n\r\n") == ["join: invited"]
    assert await outcomes(town, MOTHER, "touroku", content=b"Message-ID: <2>\r\n\r\n") == ["join: limited"]


async def test_a_domain_that_asks_too_often_is_limited_and_leaves_no_address(town: Town) -> None:
    town.inbox = inbox_of(town.footing, town.vault, Allowance([]), town.wake)
    told = [await outcomes(town, f"a{number}@small.example.jp", "touroku") for number in range(62)]
    assert told == [["join: invited"]] * 60 + [["join: limited"]] * 2
    assert await town.count("address") == 60


async def test_who_writes_to_our_from_is_told_once_that_nobody_reads_it(town: Town) -> None:
    assert await outcomes(town, MOTHER, "renraku", content=b"Message-ID: <1>\r\n\r\n") == ["replies: not_read"]
    assert await outcomes(town, MOTHER, "renraku", content=b"Message-ID: <2>\r\n\r\n") == ["replies: not_read_known"]
    assert [(mail.letter, mail.to) for mail in await town.sent()] == [("not_read", MOTHER)]


# The same mail again


async def test_the_same_mail_within_ten_minutes_changes_nothing(town: Town) -> None:
    await town.a_school()
    await town.enrolled()
    mails = [
        (MOTHER, "touroku", b"Message-ID: <1@x>\r\n\r\n"),
        (MOTHER, "postmaster", b"Message-ID: <2@x>\r\n\r\n"),
        (TEACHER, "haishin+kita-es", staff_mail(TEACHER)),
    ]
    for sender, box, content in mails:
        assert len(await outcomes(town, sender, box, content=content)) == 1
    before = [await town.count(table) for table in ("outbox", "kept_mail", "broadcast", "broadcast_part", "answer")]
    town.clock.pass_(9 * MINUTE)
    for sender, box, content in mails:
        assert await outcomes(town, sender, box, content=content) == []
    assert before == [await town.count(table) for table in ("outbox", "kept_mail", "broadcast", "broadcast_part", "answer")]
    town.clock.pass_(2 * MINUTE)
    for sender, box, content in mails:
        assert len(await outcomes(town, sender, box, content=content)) == 1


async def test_the_same_mail_brought_by_many_peers_at_once_is_one(town: Town) -> None:
    await asyncio.gather(*(town.post(MOTHER, "touroku", content=b"Message-ID: <1@x>\r\n\r\n") for _ in range(20)))
    assert [mail.letter for mail in await town.sent()] == ["invitation"]


async def statements_of(town: Town, sender: str, to: str, content: bytes = BLANK) -> list[tuple[str, bool]]:
    """What a mail makes the store do: its first word, and whether it ran in the thread of the loop."""
    ran: list[tuple[str, bool]] = []
    await town.db._writer.set_trace_callback(lambda sql: ran.append((sql.split()[0], get_ident() == threading.main_thread().ident)))
    await town.post(sender, to, content=content)
    await town.db._writer.set_trace_callback(None)  # type: ignore[arg-type]  # None is "no more", the stubs do not know
    return [each for each in ran if each[0] not in {"PRAGMA", "BEGIN", "COMMIT"}]


async def test_a_first_blank_mail_costs_six_brief_statements(town: Town) -> None:
    """What has been seen, who it is, the address, the answer, the invitation, the letter."""
    assert await statements_of(town, MOTHER, "touroku") == [(word, True) for word in ("INSERT", "SELECT", *["INSERT"] * 4)]


@pytest.mark.parametrize("box, content", [("postmaster", BLANK), ("haishin+kita-es", staff_mail(TEACHER))])
async def test_what_may_take_long_does_not_run_in_the_loop(town: Town, box: str, content: bytes) -> None:
    await town.a_school()
    await town.enrolled()
    ran = await statements_of(town, TEACHER, box, content)
    assert len(ran) > 2
    assert not any(in_loop for _, in_loop in ran)


async def test_what_is_long_seen_is_forgotten(town: Town) -> None:
    await town.post(MOTHER, "touroku")
    town.clock.pass_(26 * HOUR)
    await town.post(FATHER, "touroku")
    await town.inbox.forget()
    assert [await town.count("seen_mail"), await town.count("answer")] == [1, 1]


# Receipts and stops


async def test_an_empty_reply_is_a_receipt_and_proves_the_address(town: Town) -> None:
    delivery = await a_copy(town)
    box = f"k+{token(town, delivery, Slot.RECEIPT)}"
    assert await outcomes(town, MOTHER, box, content=b"Message-ID: <1>\r\nSubject: Re: x\r\n\r\n") == ["receipt: receipt"]
    assert await outcomes(town, MOTHER, box, content=b"Message-ID: <2>\r\n\r\n") == ["receipt: receipt_known"]
    (row,) = await town.ask("SELECT outbox_id, received_at, way FROM receipt")
    assert tuple(row) == (delivery, town.clock.now(), "reply")
    (contact,) = await town.ask("SELECT proven_at FROM contact")
    assert contact["proven_at"] == town.clock.now()


async def test_a_reply_from_another_program_or_to_several_is_a_receipt_too(town: Town) -> None:
    delivery = await a_copy(town)
    box = f"k+{token(town, delivery, Slot.RECEIPT).upper()}"
    content = b"From: other@docomo.ne.jp\r\n\r\n"
    assert await outcomes(town, MOTHER, box, "renraku", content=content) == ["receipt: receipt", "replies: silenced"]


AUTOMATIC = [
    ("", b""),
    ("postmaster@docomo.ne.jp", b""),
    (MOTHER, b"Auto-Submitted: auto-replied\r\n"),
    (MOTHER, b"Precedence: bulk\r\n"),
    (MOTHER, b"X-Autoreply: yes\r\n"),
    (MOTHER, b"Content-Type: multipart/report; boundary=x\r\n"),
    (MOTHER, b"Subject: Undelivered Mail Returned to Sender\r\n"),
    (MOTHER, b"X-Failed-Recipients: x@docomo.ne.jp\r\n"),
    (f"renraku@{DOMAIN}", b""),
]


@pytest.mark.parametrize("sender, head", AUTOMATIC)
async def test_an_automatic_reply_is_no_receipt_and_no_stop(town: Town, sender: str, head: bytes) -> None:
    delivery = await a_copy(town)
    receipt, stop = f"k+{token(town, delivery, Slot.RECEIPT)}", f"yame+{token(town, delivery, Slot.STOP)}"
    assert await outcomes(town, sender, receipt, content=head + b"\r\n") == ["receipt: receipt_refused"]
    assert await outcomes(town, sender, stop, content=head + b"\r\n") == ["stop: stop_refused"]
    assert await town.count("receipt") == 0
    assert await town.ask("SELECT 1 FROM address WHERE paused_at IS NOT NULL") == []


async def test_a_stop_pauses_ordinary_mail_and_says_so_once(town: Town) -> None:
    delivery = await a_copy(town)
    box = f"yame+{token(town, delivery, Slot.STOP)}"
    assert await outcomes(town, MOTHER, box, content=b"Message-ID: <1>\r\n\r\n") == ["stop: stopped"]
    assert await outcomes(town, MOTHER, box, content=b"Message-ID: <2>\r\n\r\n") == ["stop: stop_known"]
    (told,) = await town.sent()
    assert (told.letter, told.to) == ("stopped", MOTHER)
    assert told.token("stop") == token(town, delivery, Slot.STOP)


# Bounces


@pytest.mark.parametrize(
    "action, outcome, state",
    [
        (b"failed", "bounce_applied", "bounced"),
        (b"delivered", "bounce_applied", "delivered"),
        (b"delayed", "bounce_unfinished", "handed_over"),
        (b"relayed", "bounce_unfinished", "handed_over"),
        (b"expanded", "bounce_unfinished", "handed_over"),
    ],
)
async def test_a_report_finds_its_delivery(town: Town, action: bytes, outcome: str, state: str) -> None:
    delivery = await a_copy(town)
    box = f"b+{token(town, delivery, Slot.BOUNCE)}"
    assert await outcomes(town, "", box, content=REPORT % action) == [f"bounce: {outcome}"]
    (row,) = await town.ask("SELECT state FROM outbox WHERE id = ?", (delivery,))
    assert row["state"] == state


async def test_a_report_is_stored_with_its_codes_and_applied_once(town: Town) -> None:
    delivery = await a_copy(town)
    box = f"b+{token(town, delivery, Slot.BOUNCE)}"
    assert await outcomes(town, "", box, content=REPORT % b"failed") == ["bounce: bounce_applied"]
    again = b"Message-ID: <2@x>\r\n" + REPORT % b"failed"
    assert await outcomes(town, "", box, content=again) == ["bounce: bounce_known"]
    (row,) = await town.ask("SELECT phase, reply_code, enhanced FROM outbox WHERE id = ?", (delivery,))
    assert tuple(row) == ("notice", 550, "5.1.1")


@pytest.mark.parametrize("content", [BLANK, b"Subject: failure notice\r\n\r\n<a@ezweb.ne.jp>: sorry", b"\xff" * 3000])
async def test_a_bounce_that_is_no_report_changes_nothing(town: Town, content: bytes) -> None:
    delivery = await a_copy(town)
    assert await outcomes(town, "", f"b+{token(town, delivery, Slot.BOUNCE)}", content=content) == ["bounce: bounce_unknown"]


@pytest.mark.parametrize(
    "box, slot, refused",
    [
        ("b", Slot.BOUNCE, "bounce: bounce_unknown"),
        ("k", Slot.RECEIPT, "receipt: receipt_refused"),
        ("yame", Slot.STOP, "stop: stop_refused"),
    ],
)
async def test_forged_and_foreign_tokens_change_nothing(town: Town, box: str, slot: Slot, refused: str) -> None:
    delivery = await a_copy(town)
    genuine = token(town, delivery, slot)
    foreign = Town(town.path, town.db, some_keys(links=(a_key("foreign"),)), town.clock)
    forged = [
        genuine[:-4] + ("aaaa" if genuine[-4:] != "aaaa" else "bbba"), genuine[:-1], genuine + "a", "x", "1" * 26,
        token(foreign, delivery, slot), *(token(town, delivery, other) for other in Slot if other is not slot),
    ]  # fmt: skip
    before = [tuple(row) for row in await town.ask("SELECT * FROM outbox")]
    for number, each in enumerate(forged):
        content = b"Message-ID: <%d@x>\r\n" % number + (REPORT % b"failed" if box == "b" else b"\r\n")
        assert await outcomes(town, MOTHER if box != "b" else "", f"{box}+{each}", content=content) == [refused], each
    assert before == [tuple(row) for row in await town.ask("SELECT * FROM outbox")]
    assert await town.count("receipt") == 0


async def test_a_token_of_a_delivery_that_is_not_there_changes_nothing(town: Town) -> None:
    assert await outcomes(town, MOTHER, f"k+{token(town, 99, Slot.RECEIPT)}") == ["receipt: receipt_refused"]
    assert await outcomes(town, MOTHER, f"yame+{token(town, 99, Slot.STOP)}") == ["stop: stop_known"]
    assert await outcomes(town, "", f"b+{token(town, 99, Slot.BOUNCE)}", content=REPORT % b"failed") == ["bounce: bounce_known"]
    assert await town.count("outbox") == 0


async def test_return_paths_outlive_a_rotation_of_keys(town: Town) -> None:
    delivery = await a_copy(town)
    box = f"k+{token(town, delivery, Slot.RECEIPT)}"
    rotated = Town(town.path, town.db, some_keys(links=(a_key("links"), a_key("new"))), town.clock)
    assert await outcomes(rotated, MOTHER, box) == ["receipt: receipt"]


# The operator


@pytest.mark.parametrize("box", ["postmaster", "abuse", "Postmaster"])
async def test_mail_to_the_operator_is_kept_sealed_and_goes_on_wrapped(town: Town, box: str) -> None:
    content = b"From: x@example.com\r\nSubject: spam from you\r\n\r\nPlease look at secret-word.\r\n"
    assert await outcomes(town, "x@example.com", box, content=content) == ["operator: for_operator"]
    (row,) = await town.ask("SELECT id, reason, sealed, octets FROM kept_mail")
    assert (row["reason"], row["octets"]) == ("operator", len(content))
    assert b"secret-word" not in row["sealed"]
    kept = town.vault.open_mail(row["sealed"], row["id"])
    assert kept == f"X-Envelope-From: <x@example.com>\r\nX-Envelope-To: <{box}@{DOMAIN}>\r\n".encode() + content
    (mail,) = await town.sent()
    assert (mail.to, mail.letter) == ("root@localhost", "for_operator")
    assert b"secret-word" in mail.octets
    assert mail.header("Auto-Submitted") == "auto-generated"


async def test_a_notice_from_nowhere_reaches_the_operator(town: Town) -> None:
    assert await outcomes(town, "", "postmaster", content=REPORT % b"failed") == ["operator: for_operator"]


@pytest.mark.parametrize(
    "sender, head",
    [
        (f"renraku@{DOMAIN}", b""),
        (f"b+x@{DOMAIN}", b"From: root@localhost\r\n"),
        ("root@localhost", f"X-Loop: {DOMAIN}\r\n".encode()),
        ("root@localhost", b"Received: x\r\n" * 31),
        # Our own letter, passed on by a server that writes an envelope of its own.
        (f"SRS0=x=y={DOMAIN}=b+z@localhost", f"From: =?utf-8?B?5a2m5qCh?= <renraku@{DOMAIN}>\r\n".encode()),
        ("root@localhost", f"From: renraku@{DOMAIN.upper()}\r\n".encode()),
    ],
)
async def test_what_would_come_round_again_is_not_passed_on(town: Town, sender: str, head: bytes) -> None:
    assert await outcomes(town, sender, "postmaster", content=head + b"\r\n") == ["operator: operator_loop"]
    assert [await town.count("outbox"), await town.count("kept_mail")] == [0, 0]


async def test_what_the_operator_gets_never_comes_back_for_a_second_round(town: Town) -> None:
    await town.post("x@example.com", "abuse", content=b"From: x@example.com\r\n\r\nlook\r\n")
    (mail,) = await town.sent()
    assert await outcomes(town, "root@localhost", "postmaster", content=mail.copy.content) == ["operator: operator_loop"]
    sender = mail.copy.sender
    assert await outcomes(town, "root@localhost", sender, content=b"Auto-Submitted: auto-replied\r\n\r\n") == ["bounce: bounce_unknown"]
    assert await outcomes(town, "root@localhost", "renraku", content=b"Auto-Submitted: auto-replied\r\n\r\n") == ["replies: silenced"]
    assert await town.sent() == []


# Staff mail: who is believed


@pytest.mark.parametrize(
    "sender, content",
    [
        ("stranger@kita-es.example.jp", staff_mail("stranger@kita-es.example.jp")),
        ("stranger@kita-es.example.jp", staff_mail(TEACHER)),  # a forged From
        (TEACHER, staff_mail("other@kita-es.example.jp")),
        (TEACHER, staff_mail(f"{TEACHER}, other@kita-es.example.jp")),
        (TEACHER, staff_mail(TEACHER, head=f"From: {TEACHER}\r\n")),
        (TEACHER, staff_mail(TEACHER, head="Auto-Submitted: auto-replied\r\n")),
        (TEACHER, staff_mail(TEACHER, head="List-Id: <x.y>\r\n")),
        (TEACHER, staff_mail(TEACHER, head="Precedence: bulk\r\n")),
        (TEACHER, b"Subject: no From\r\n\r\ntext\r\n"),
        ("", staff_mail(TEACHER)),
    ],
)
async def test_a_mail_that_does_not_prove_to_be_staffs_is_met_with_silence(town: Town, sender: str, content: bytes) -> None:
    await town.a_school()
    await town.enrolled()
    assert await outcomes(town, sender, "haishin+kita-es", content=content) == ["broadcast: silenced"]
    assert [await town.count("outbox"), await town.count("broadcast")] == [0, 0]


async def test_staff_who_are_disabled_are_strangers(town: Town) -> None:
    await town.a_school()
    staff_id = await town.enrolled()
    await town.change("UPDATE staff SET disabled_at = 1 WHERE id = ?", (staff_id,))
    assert await outcomes(town, TEACHER, "haishin+kita-es", content=staff_mail(TEACHER)) == ["broadcast: silenced"]


async def test_staff_are_known_by_any_spelling_of_their_address_and_after_a_rotation_of_keys(town: Town) -> None:
    await town.a_school()
    await town.enrolled("a..b@docomo.ne.jp")
    rotated = Town(town.path, town.db, some_keys(lookup=(a_key("lookup"), a_key("new"))), town.clock)
    for number, spelt in enumerate(('"a..b"@docomo.ne.jp', "A..b@Docomo.ne.jp", "a..b@docomo.ne.jp")):
        content = staff_mail("a..b@docomo.ne.jp", message_id=f"<{number}@x>")
        assert await outcomes(rotated, spelt, "haishin+kita-es", content=content) == ["broadcast: drafted"]


async def test_several_audiences_in_one_mail_are_one_draft_beside_other_boxes(town: Town) -> None:
    await town.a_school()
    await town.enrolled()
    told = await outcomes(town, TEACHER, "haishin+kita-es.3", "renraku", "haishin+staff", "haishin+KITA-ES.3", content=staff_mail(TEACHER))
    assert told == ["replies: silenced", "broadcast: drafted"]
    assert await town.count("broadcast") == 1
    assert [row["part"] for row in await town.ask("SELECT part FROM broadcast_part ORDER BY part")] == ["kita-es.3", "staff"]
    assert [mail.letter for mail in await town.sent()] == ["preview"]


# When something goes wrong


class Stumbling(AddressVault):
    """A vault that a certain mail makes stumble."""

    def digest(self, material: bytes) -> bytes:
        if b"poison" in material:
            raise LookupError("about a..b@docomo.ne.jp")
        return super().digest(material)


async def test_a_mail_that_makes_us_stumble_is_kept_sealed_and_the_next_one_is_served(town: Town) -> None:
    town.inbox = inbox_of(town.footing, Stumbling(town.keys, FixedDice()), Allowance([]), town.wake)
    poison = b"Message-ID: <poison@x>\r\n\r\nsecret-word"
    with capture_logs() as logged:
        await town.post(MOTHER, "touroku", "renraku", content=poison)
    (line,) = logged
    assert (line["event"], line["log_level"]) == ("mail.quarantined", "error")
    assert line["fault"].startswith("LookupError in ")
    assert "docomo" not in str(logged)
    (row,) = await town.ask("SELECT id, reason, sealed, octets FROM kept_mail")
    assert (row["id"], row["reason"], row["octets"]) == (line["mail"], "LookupError", len(poison))
    assert b"secret-word" not in row["sealed"]
    kept = town.vault.open_mail(row["sealed"], row["id"])
    assert kept.startswith(b"X-Envelope-From: <a..b@docomo.ne.jp>\r\nX-Envelope-To: <touroku@gate.example.jp>\r\nX-Envelope-To: <renraku@")
    assert kept.endswith(poison)
    assert await outcomes(town, MOTHER, "touroku") == ["join: invited"]


async def full(town: Town) -> Callable[[], object]:
    """The disk is full from now on; call what comes back to make room."""
    pages = int((await town.ask("PRAGMA page_count"))[0][0])
    await town.db._writer.execute(f"PRAGMA max_page_count = {pages}")
    return lambda: town.db._writer.execute("PRAGMA max_page_count = 1000000")


@pytest.mark.parametrize("stumbles", [False, True])
async def test_a_full_disk_is_said_nothing_is_kept_and_the_same_mail_is_taken_later(town: Town, stumbles: bool) -> None:
    town.inbox = inbox_of(town.footing, Stumbling(town.keys, FixedDice()), Allowance([]), town.wake)
    content = (b"Message-ID: <poison@x>\r\n\r\n" if stumbles else b"Message-ID: <1@x>\r\n\r\n") + b"x" * 500_000
    make_room = await full(town)
    with pytest.raises(StoreFull):
        await town.post(MOTHER, "postmaster", content=content)
    assert [await town.count(table) for table in ("kept_mail", "outbox", "seen_mail", "address")] == [0, 0, 0, 0]
    await make_room()  # type: ignore[misc]  # aiosqlite's own awaitable
    await town.post(MOTHER, "postmaster", content=content)
    assert await town.count("kept_mail") == 1


async def test_a_mail_that_fails_inside_its_transaction_leaves_nothing(town: Town) -> None:
    await town.change("DROP TABLE invitation_use")
    await town.change("DROP TABLE invitation")
    with pytest.raises(Exception, match="no such table"):
        await town.post(MOTHER, "touroku")
    assert [await town.count(table) for table in ("address", "answer", "seen_mail", "outbox")] == [0, 0, 0, 0]


async def test_many_mails_at_once_are_all_taken(town: Town) -> None:
    senders = [f"a..{number}@docomo.ne.jp" for number in range(100)]
    town.clock.pass_(SECOND)
    await asyncio.gather(*(town.post(sender, "touroku") for sender in senders))
    assert sorted(mail.to for mail in await town.sent()) == sorted(senders)
