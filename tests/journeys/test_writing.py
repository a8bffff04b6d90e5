"""Writing: claimed rows become copies; links and texts are made at this moment, so that none lies in the database."""

import base64
import json
import re

import pytest

from mailgate.core.addresses import parse_spec
from mailgate.core.delivery import LIFETIME, Lane
from mailgate.core.instants import DAY, MINUTE, SECOND, later
from mailgate.core.relay import Copy
from mailgate.core.returnpath import Slot
from mailgate.journeys.join import Landing
from mailgate.journeys.ports import Unmakeable
from mailgate.journeys.send import BroadcastView
from mailgate.store import outbox
from mailgate.vault import SealBroken
from tests.builders import PIN, TEACHER, Sent, Town, staff_mail

GUARDIAN = "a..b@docomo.ne.jp"


async def one(town: Town) -> Sent:
    (sent,) = await town.sent()
    return sent


async def owed(town: Town, letter: str, **params: object) -> int:
    """A letter owed to a guardian, written straight into the outbox."""
    now = town.clock.now()
    async with town.db.write() as tx:
        return await outbox.enqueue_letter(
            tx,
            letter=letter,
            params=json.dumps(params),
            address_id=await town.book.enter(tx, parse_spec(GUARDIAN), now=now),
            lane=Lane.SINGLE,
            now=now,
            due_at=now,
            expires_at=later(now, LIFETIME[Lane.SINGLE]),
        )


# Each letter is made from its row


async def test_an_invitation_has_its_link_and_its_short_code_alone_on_their_lines(town: Town) -> None:
    invitation = await town.invited(GUARDIAN)
    assert (invitation.letter, invitation.to) == ("invitation", GUARDIAN)
    assert len(re.findall(r"^http://127\.0\.0\.1:8080/j/\S{71}$", invitation.text, re.MULTILINE)) == 1
    assert len(re.findall(r"^\d{4} \d{4}$", invitation.text, re.MULTILINE)) == 1
    assert isinstance(await town.join.landing(invitation.token("j")), Landing)
    assert invitation.header("Auto-Submitted") == "auto-replied"


async def test_a_completion_mail_says_what_was_registered_and_asks_for_a_receipt(town: Town) -> None:
    await town.a_school()
    token = (await town.invited(GUARDIAN)).token("j")
    await town.registered(GUARDIAN, token=token, login_id="hanako2026")
    completion = await one(town)
    for word in ("hanako2026", "苫小牧 花子", "北小学校", "3年1組", "母のスマホ"):
        assert word in completion.text
    assert completion.token("j") == token, "another child comes by the same link"
    assert completion.token("k") == town.receipt_token(completion.row.id)
    assert completion.header("Reply-To") == f"k+{town.receipt_token(completion.row.id)}@gate.example.jp"


async def test_a_preview_says_what_would_be_sent_and_to_whom(town: Town) -> None:
    await town.a_school()
    await town.a_contact(GUARDIAN)
    await town.enrolled()
    await town.post(TEACHER, "haishin+kita-es", content=staff_mail(TEACHER, subject="【緊急連絡】休業", text="休みます。"))
    preview = await one(town)
    for word in ("緊急連絡", "休業", "休みます。", "北小学校"):
        assert word in preview.text
    assert isinstance(await town.send.view(preview.token("send")), BroadcastView)


async def test_a_preview_written_later_shows_the_draft_as_it_was_when_it_was_owed(town: Town) -> None:
    await town.a_school()
    await town.enrolled()
    for audience in ("kita-es.3", "staff"):
        await town.post(TEACHER, f"haishin+{audience}", content=staff_mail(TEACHER))
    first, second = await town.sent()
    assert "すべての教職員" not in first.text
    assert "すべての教職員" in second.text


@pytest.mark.parametrize("audience, words", [("minami-es", ("minami-es",)), ("junior", ("junior",))])
async def test_a_refusal_names_the_audience(town: Town, audience: str, words: tuple[str, ...]) -> None:
    await town.a_school()
    await town.enrolled(scope="kita-es")
    await town.post(TEACHER, f"haishin+{audience}", content=staff_mail(TEACHER))
    refusal = await one(town)
    assert refusal.letter == "staff_refused"
    for word in words:
        assert word in refusal.text


async def test_a_notice_of_a_stop_leads_back_to_the_mail_that_was_stopped(town: Town) -> None:
    await town.invited(GUARDIAN)
    await town.stop.pause(town.links.tokens(1)[Slot.STOP])
    assert (await one(town)).token("stop") == town.links.tokens(1)[Slot.STOP]


async def test_what_goes_on_to_the_operator_is_the_mail_with_its_envelope(town: Town) -> None:
    await town.post("x@example.com", "abuse", content=b"Subject: look\r\n\r\nhere\r\n")
    forwarded = await one(town)
    assert b"X-Envelope-From: <x@example.com>" in forwarded.octets
    assert b"Subject: look" in forwarded.octets


async def test_a_copy_of_a_broadcast_has_a_return_path_and_a_link_of_its_own(town: Town) -> None:
    await town.a_school()
    await town.a_contact(GUARDIAN)
    await town.enrolled(scope="kita-es")
    await town.confirmed("kita-es", subject="遠足", text="水筒")
    await town.expanded()
    copy = await one(town)
    tokens = town.links.tokens(copy.row.id)
    assert copy.copy.sender == f"b+{tokens[Slot.BOUNCE]}@gate.example.jp"
    assert copy.token("k") == tokens[Slot.RECEIPT]
    assert copy.header("List-Id") == "<kita-es.gate.example.jp>"
    assert "水筒" in copy.text
    assert copy.copy.content.count(GUARDIAN.encode()) == 1  # in To


async def test_the_same_row_is_written_the_same_again(town: Town) -> None:
    await town.a_school()
    await town.a_contact(GUARDIAN)
    await town.enrolled()
    await town.confirmed("kita-es")
    await town.expanded()
    await town.post("b@docomo.ne.jp", "touroku")
    rows = await town.claimed()
    first = {copy.id: copy for copy in await town.written(rows)}
    town.clock.pass_(MINUTE)
    restarted = Town(town.path, town.db, town.keys, town.clock)
    assert {copy.id: copy for copy in await restarted.written(rows[::-1])} == first


async def test_many_broadcasts_at_once_are_each_written_as_they_are(town: Town) -> None:
    await town.a_school()
    await town.a_contact(GUARDIAN)
    await town.enrolled()
    for number in range(10):
        await town.confirmed("kita-es", subject=f"題{number}", text=f"これは題{number}の本文です。")
    await town.expanded()
    for _ in range(2):
        sent = await town.sent()
        assert len(sent) == 10
        for mail in sent:
            assert f"これは{mail.header('Subject')[-2:]}の本文です。" in mail.text
        await town.change("UPDATE outbox SET state = 'pending' WHERE letter IS NULL")


# What is gone


async def gone(town: Town) -> list[bool]:
    """Whether each row that is due can never be made."""
    made = await town.written()
    assert all(isinstance(each, Unmakeable) for each in made)
    return [each.permanent for each in made if isinstance(each, Unmakeable)]


async def test_an_invitation_that_is_gone_is_never_made(town: Town) -> None:
    await town.post(GUARDIAN, "touroku")
    await town.change("DELETE FROM invitation")
    assert await gone(town) == [True]


@pytest.mark.parametrize("table", ["contact", "registration"])
async def test_a_completion_mail_whose_registration_is_gone_is_never_made(town: Town, table: str) -> None:
    await town.a_school()
    await town.registered(GUARDIAN)
    await town.change("DELETE FROM invitation_use")
    if table == "registration":
        await town.change("DELETE FROM contact")
    await town.change(f"DELETE FROM {table}")
    assert await gone(town) == [True]


async def test_a_completion_mail_whose_invitation_is_gone_offers_no_link_for_another_child(town: Town) -> None:
    await town.a_school()
    await town.registered(GUARDIAN)
    await town.change("DELETE FROM invitation_use")
    await town.change("DELETE FROM invitation")
    completion = await one(town)
    assert (completion.letter, completion.token("k")) == ("completion", town.receipt_token(completion.row.id))
    assert "/j/" not in completion.text


async def test_a_preview_whose_draft_is_gone_is_never_made(town: Town) -> None:
    await owed(town, "preview", broadcast=99, widened=False)
    assert await gone(town) == [True]


async def test_a_forwarded_mail_that_was_dropped_is_never_made(town: Town) -> None:
    await town.post(GUARDIAN, "postmaster")
    await town.change("DELETE FROM kept_mail")
    assert await gone(town) == [True]


@pytest.mark.parametrize("letter, params", [("unknown", {}), ("invitation", {}), ("staff_refused", {"reason": "x"})])
async def test_a_row_that_makes_no_sense_is_a_fault_that_the_sender_catches(town: Town, letter: str, params: dict[str, object]) -> None:
    await owed(town, letter, **params)
    with pytest.raises((KeyError, ValueError)):
        await town.written()


async def test_an_address_moved_to_another_row_is_not_written_to(town: Town) -> None:
    await town.post("a@docomo.ne.jp", "touroku")
    await town.post("b@docomo.ne.jp", "touroku")
    first, second = await town.claimed()
    with pytest.raises(SealBroken):
        await town.written([first._replace(sealed=second.sealed)])


# What lies in the database


async def test_no_address_no_token_and_no_code_lies_in_the_database(town: Town) -> None:
    """The whole of a gate's day: every link that went out, every address, every short code and PIN."""
    await town.a_school()
    invitation = await town.invited(GUARDIAN)
    await town.registered(GUARDIAN, token=invitation.token("j"), login_id="hanako2026")
    await town.enrolled()
    await town.post("x@example.com", "postmaster", content=b"From: x@example.com\r\n\r\nsecret-word\r\n")
    await town.post(TEACHER, "haishin+minami-es", content=staff_mail(TEACHER, message_id="<0@x>"))
    send_token = await town.drafted("kita-es", text="秘密の本文")
    await town.act(send_token, "confirm")
    await town.expanded()
    sent = await town.sent()
    copy = next(mail for mail in sent if mail.letter == "broadcast")
    await town.reach.confirm(copy.token("k"))
    await town.stop.pause(town.links.tokens(copy.row.id)[Slot.STOP])
    await town.post(GUARDIAN, f"k+{copy.token('k')}")
    await town.sent()

    stored = town.stored()
    (row,) = await town.ask("SELECT link_id FROM invitation")
    code = town.links.short_code(row["link_id"])
    tokens = [invitation.token("j"), send_token]
    tokens += [town.links.tokens(number)[slot] for number in range(1, 12) for slot in Slot]
    signatures = [token.partition(".")[2] for token in tokens if "." in token]
    words = [*tokens, *signatures, code, f"{code[:4]} {code[4:]}", "yuki-no-asa-5", PIN, "secret-word", "秘密の本文"]
    words += [GUARDIAN, "a..b", "docomo.ne.jp", TEACHER, "yamakawa", "x@example.com", "root@localhost"]
    secrets = [word.encode() for word in words] + [base64.urlsafe_b64decode(each + "=") for each in signatures]
    for octets in secrets:
        assert octets not in stored, octets
        assert octets.hex().encode() not in stored, octets
        assert base64.b64encode(octets).rstrip(b"=") not in stored, octets


async def test_a_link_sent_again_later_is_the_same_and_ends_when_it_should(town: Town) -> None:
    await town.a_school()
    await town.post(GUARDIAN, "touroku")
    (row,) = await town.claimed()
    town.clock.pass_(20 * MINUTE)
    (copy,) = await town.written([row])
    assert isinstance(copy, Copy)
    token = Sent(row=row, copy=copy).token("j")
    town.clock.pass_(DAY - 20 * MINUTE - SECOND)
    assert getattr(await town.join.landing(token), "valid_until", 0) == later(town.clock.now(), SECOND)
