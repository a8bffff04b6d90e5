"""The boxes of guardians: what a mail to each of them causes, over the real store, with the mails as they go out."""

import json
import re

import pytest

from mailgate.core.broadcast import TAG, Kind
from mailgate.core.instants import DAY, HOUR, MINUTE, SECOND
from mailgate.core.returnpath import Slot
from mailgate.journeys.join import Registered
from tests.builders import Sent, Town
from tests.letters.builders import header_lines, read

MOTHER = "a..b@docomo.ne.jp"
TEACHER = "yamakawa@kita-es.example.jp"


async def ask(town: Town, box: str, sender: str = MOTHER, *, content: str = "") -> list[Sent]:
    """A mail like no other to a box, and what goes out because of it."""
    town.clock.pass_(SECOND)
    await town.post(sender, box, content=f"Message-ID: <{town.clock.now()}@phone>\r\n{content}\r\n\r\n".encode())
    return await town.sent()


async def answer(town: Town, box: str, sender: str = MOTHER, *, content: str = "") -> Sent:
    """The one mail that goes out."""
    (sent,) = await ask(town, box, sender, content=content)
    assert sent.to == sender
    return sent


def short_code(sent: Sent) -> str:
    (code,) = re.findall(r"^\d{4} \d{4}$", sent.text, re.MULTILINE)
    return str(code)


def holds_no_url(sent: Sent) -> bool:
    shown = [f"{name}: {value}" for name, value in read(sent.copy.content).items()]
    return "http" not in "\n".join([*shown, *header_lines(sent.copy.content), sent.text]).lower()


async def address(town: Town) -> dict[str, object]:
    (row,) = await town.ask("SELECT language, no_url FROM address")
    return dict(row)


async def join_by_code(town: Town, sender: str = MOTHER, **fields: str) -> Registered:
    """From code@ to a registration; the completion mail is still owed."""
    code = short_code(await answer(town, "code", sender))
    token = await town.join.redeem(code)
    assert token is not None
    return await town.registered(sender, token=token, **fields)


# Joining


@pytest.mark.parametrize(
    "box, language, first",
    [
        ("touroku", "ja", "このメールが届いたアドレスを登録します。"),
        ("en", "en", "The address that received this mail will be registered."),
        ("yasashii", "easy", "この メールが とどいた アドレスを 登録（とうろく）します。"),
    ],
)
async def test_each_box_answers_in_its_language_and_the_address_keeps_it(
    town: Town, box: str, language: str, first: str
) -> None:
    sent = await answer(town, box)
    assert sent.text.split("\n")[0] == first
    assert sent.token("j")
    assert await address(town) == {"language": language, "no_url": 0}
    town.clock.pass_(MINUTE)
    again = await answer(town, "touroku")
    assert again.text.split("\n")[0] == first
    assert again.token("j") == sent.token("j")


async def test_a_language_is_remembered_although_a_limit_keeps_the_answer_back(town: Town) -> None:
    await answer(town, "touroku")
    assert await ask(town, "en") == []
    assert (await address(town))["language"] == "en"
    town.clock.pass_(MINUTE)
    assert (await answer(town, "touroku")).header("Subject") == "Register for school mail (学校メール)"


async def test_the_completion_mail_and_broadcasts_come_in_the_language_of_the_address(town: Town) -> None:
    await town.a_school()
    await town.enrolled()
    town.clock.pass_(MINUTE)
    token = (await answer(town, "en")).token("j")
    await town.registered(MOTHER, token=token)
    (completion,) = await town.sent()
    assert completion.text.startswith("You are registered.\n")
    await town.confirmed("kita-es", subject="【緊急連絡】臨時休業", text="本日は臨時休業とします。")
    await town.expanded()
    (copy,) = await town.sent()
    assert copy.header("Subject") == "【緊急連絡】Emergency: 臨時休業"
    assert copy.text.startswith("From 市教育委員会\nEMERGENCY")
    assert "\n\n本日は臨時休業とします。\n\n" in copy.text


async def test_code_is_answered_with_the_code_alone_and_all_later_mails_hold_no_url(town: Town) -> None:
    await town.a_school()
    sent = await answer(town, "code")
    assert sent.letter == "invitation_code"
    assert holds_no_url(sent)
    assert short_code(sent)
    assert await address(town) == {"language": "ja", "no_url": 1}
    town.clock.pass_(MINUTE)
    again = await answer(town, "touroku")
    assert holds_no_url(again)
    assert short_code(again) == short_code(sent)


async def test_a_code_is_another_than_that_of_a_link_before_it(town: Town) -> None:
    """So that it can be told by which of them somebody came."""
    with_link = await answer(town, "touroku")
    town.clock.pass_(MINUTE)
    without = await answer(town, "code")
    assert short_code(with_link) != short_code(without)
    for sent in (with_link, without):
        assert await town.join.redeem(short_code(sent)) is not None


async def test_the_third_blank_mail_within_a_day_is_answered_without_a_url(town: Town) -> None:
    first = await answer(town, "touroku")
    town.clock.pass_(MINUTE)
    second = await answer(town, "touroku")
    assert first.token("j") == second.token("j")
    town.clock.pass_(MINUTE)
    third = await answer(town, "touroku")
    assert holds_no_url(third)
    assert (await address(town))["no_url"] == 1
    town.clock.pass_(2 * DAY)
    assert holds_no_url(await answer(town, "en"))


async def test_a_third_blank_mail_on_another_day_has_its_link(town: Town) -> None:
    for _ in range(2):
        await answer(town, "touroku")
        town.clock.pass_(MINUTE)
    town.clock.pass_(DAY)
    assert (await answer(town, "touroku")).token("j")
    assert (await address(town))["no_url"] == 0


async def test_mails_that_a_limit_kept_from_being_answered_are_not_counted(town: Town) -> None:
    await answer(town, "touroku")
    assert await ask(town, "touroku") == await ask(town, "touroku") == []
    town.clock.pass_(MINUTE)
    assert (await answer(town, "touroku")).token("j")


async def test_who_used_the_link_is_not_taken_for_somebody_whom_links_do_not_reach(town: Town) -> None:
    """Three blank mails for three children."""
    await town.a_school()
    for number in range(3):
        town.clock.pass_(HOUR)
        token = (await answer(town, "touroku")).token("j")
        kana = "きた " + "はなこ" * (number + 1)
        await town.registered(MOTHER, token=token, login_id=f"child-{number}", name=f"北 花子{number}", kana=kana)
        await town.sent()
    assert (await address(town))["no_url"] == 0


async def test_a_link_that_is_used_after_all_brings_the_links_back(town: Town) -> None:
    """Its mail was late, and two more blank mails were quicker."""
    await town.a_school()
    first = await answer(town, "touroku")
    for _ in range(2):
        town.clock.pass_(MINUTE)
        await answer(town, "touroku")
    assert (await address(town))["no_url"] == 1
    await town.registered(MOTHER, token=first.token("j"))
    assert (await address(town))["no_url"] == 0
    (completion,) = await town.sent()
    assert completion.token("k")


async def test_a_code_that_is_used_says_nothing_of_links(town: Town) -> None:
    await town.a_school()
    await join_by_code(town)
    assert (await address(town))["no_url"] == 1
    (completion,) = await town.sent()
    assert holds_no_url(completion)


async def test_an_answer_to_code_holds_no_url_even_if_it_is_written_when_links_are_back(town: Town) -> None:
    await town.post(MOTHER, "code")
    await town.change("UPDATE address SET no_url = 0")
    (sent,) = await town.sent()
    assert holds_no_url(sent)
    assert short_code(sent)


async def test_a_link_that_is_still_owed_when_urls_are_refused_is_left_out(town: Town) -> None:
    await town.post(MOTHER, "touroku")
    await town.change("UPDATE address SET no_url = 1")
    (sent,) = await town.sent()
    assert holds_no_url(sent)
    assert short_code(sent)


# IDs


async def test_id_tells_the_ids_of_the_address_and_of_no_other(town: Town) -> None:
    await town.a_school()
    token = (await town.invited(MOTHER)).token("j")
    await town.registered(MOTHER, token=token, login_id="hanako2026")
    await town.registered(MOTHER, token=token, login_id="taro2028", name="苫小牧 太郎", kana="とまこまい たろう")
    await town.registered("other@ezweb.ne.jp", login_id="jiro2025", name="南 次郎", kana="みなみ じろう")
    await town.sent()
    town.clock.pass_(MINUTE)
    sent = await answer(town, "id")
    assert re.findall("ログインID：(.*)", sent.text) == ["hanako2026", "taro2028"]
    assert "苫小牧 太郎 さん\n北小学校 3年1組\n" in sent.text
    assert "jiro" not in sent.text


async def test_id_tells_a_stranger_how_to_join(town: Town) -> None:
    sent = await answer(town, "id")
    assert sent.text.startswith("このアドレスは、登録されていません。\n")
    assert "touroku@gate.example.jp" in sent.text


async def test_ids_and_invitations_share_their_limits(town: Town) -> None:
    await answer(town, "id")
    assert await ask(town, "touroku") == []
    town.clock.pass_(MINUTE)
    await answer(town, "touroku")
    assert await ask(town, "id") == []
    town.clock.pass_(MINUTE)
    await answer(town, "id")
    town.clock.pass_(MINUTE)
    assert await ask(town, "touroku") == []  # three within the hour


# Silence


@pytest.mark.parametrize("box", ["touroku", "code", "en", "yasashii", "id", "renraku"])
@pytest.mark.parametrize(
    "sender, head",
    [
        ("", ""),
        (MOTHER, "Auto-Submitted: auto-replied"),
        (MOTHER, "Precedence: bulk"),
        (MOTHER, "List-Id: <x.example.jp>"),
        (MOTHER, "From: other@docomo.ne.jp"),
        ("MAILER-DAEMON@docomo.ne.jp", ""),
        ("no-reply@docomo.ne.jp", ""),
    ],
)
async def test_no_box_answers_a_machine_or_remembers_what_it_asked_for(town: Town, box: str, sender: str, head: str) -> None:
    assert await ask(town, box, sender, content=head + "\r\n\r\nhello") == []
    assert await town.count("address") == 0


async def test_a_mail_to_two_boxes_is_answered_by_none(town: Town) -> None:
    await town.post(MOTHER, "touroku", "code")
    assert await town.sent() == []
    assert await town.count("address") == 0


# Replies


async def receipts(town: Town) -> set[int]:
    return {int(row["outbox_id"]) for row in await town.ask("SELECT outbox_id FROM receipt")}


async def a_family(town: Town, *, by_code: bool = False) -> Sent:
    """A registered mother; her completion mail."""
    await town.a_school()
    await town.enrolled()
    if by_code:
        await join_by_code(town)
    else:
        await town.registered(MOTHER)
    (completion,) = await town.sent()
    assert completion.letter == "completion"
    return completion


async def a_broadcast(town: Town, *, subject: str = "【お知らせ】遠足", text: str = "あすは遠足です。") -> Sent:
    town.clock.pass_(MINUTE)
    await town.confirmed("kita-es", subject=subject, text=text)
    await town.expanded()
    (copy,) = [sent for sent in await town.sent() if sent.letter == "broadcast"]
    return copy


async def is_proven(town: Town) -> bool:
    (row,) = await town.ask("SELECT proven_at FROM contact")
    return row["proven_at"] is not None


@pytest.mark.parametrize("by_code", [False, True])
async def test_an_empty_reply_to_the_completion_mail_proves_the_address(town: Town, by_code: bool) -> None:
    completion = await a_family(town, by_code=by_code)
    reply_to = completion.header("Reply-To").partition("@")[0]
    assert await ask(town, reply_to) == []
    assert await receipts(town) == {completion.row.id}
    assert await is_proven(town)


@pytest.mark.parametrize("by_code", [False, True])
async def test_an_empty_mail_to_the_from_proves_it_too_and_then_confirms_the_newest_open_broadcast(
    town: Town, by_code: bool
) -> None:
    completion = await a_family(town, by_code=by_code)
    assert await ask(town, "renraku") == []
    assert await receipts(town) == {completion.row.id}
    assert await is_proven(town)
    older, newer = await a_broadcast(town), await a_broadcast(town)
    assert await ask(town, "renraku", content="Subject: Re: ") == []
    assert await receipts(town) == {completion.row.id, newer.row.id}
    await ask(town, "renraku")
    assert await receipts(town) == {completion.row.id, newer.row.id, older.row.id}
    assert await ask(town, "renraku") == []  # nothing waits any more
    assert len(await receipts(town)) == 3


async def test_a_completion_mail_that_is_newer_than_a_broadcast_is_confirmed_first(town: Town) -> None:
    await a_family(town)
    copy = await a_broadcast(town)
    town.clock.pass_(HOUR)
    await town.registered(MOTHER, login_id="taro2028", name="苫小牧 太郎", kana="とまこまい たろう")
    (completion,) = await town.sent()
    await ask(town, "renraku")
    assert await receipts(town) == {completion.row.id}
    # Proven: what is open is the broadcast, and no other completion mail.
    await ask(town, "renraku")
    assert await receipts(town) == {completion.row.id, copy.row.id}
    assert await ask(town, "renraku") == []
    assert len(await receipts(town)) == 2


async def test_a_reply_that_says_which_mail_it_answers_confirms_that_one(town: Town) -> None:
    await a_family(town)
    older, newer = await a_broadcast(town), await a_broadcast(town)
    named = f"In-Reply-To: {older.header('Message-ID')}\r\nSubject: Re: x"
    assert await ask(town, "renraku", content=named) == []
    assert await receipts(town) == {older.row.id}
    await ask(town, "renraku", content=named)
    assert newer.row.id not in await receipts(town)


async def test_another_mails_message_id_or_a_forged_one_confirms_no_copy(town: Town) -> None:
    await a_family(town)
    copy = await a_broadcast(town)
    token = town.links.tokens(copy.row.id)[Slot.RECEIPT]
    for sender in ("stranger@ezweb.ne.jp", "another@ezweb.ne.jp"):
        await ask(town, "renraku", sender, content=f"In-Reply-To: <{token}@gate.example.jp>")
        await ask(town, "renraku", sender, content="In-Reply-To: <a@gate.example.jp>")
    assert await receipts(town) == set()


async def test_a_copy_of_a_week_ago_waits_only_for_who_says_that_it_is_meant(town: Town) -> None:
    await a_family(town)
    await ask(town, "renraku")
    copy = await a_broadcast(town)
    before = await receipts(town)
    town.clock.pass_(7 * DAY)
    assert await ask(town, "renraku") == []
    assert await receipts(town) == before
    await ask(town, "renraku", content=f"References: {copy.header('Message-ID')}")
    assert await receipts(town) == before | {copy.row.id}


@pytest.mark.parametrize("head", ["Auto-Submitted: auto-replied", "Precedence: auto_reply", "X-Autoreply: yes"])
async def test_an_automatic_reply_is_neither_a_receipt_nor_answered(town: Town, head: str) -> None:
    await a_family(town)
    copy = await a_broadcast(town)
    for box in ("renraku", copy.header("Reply-To").partition("@")[0]):
        for text in ("", "\r\n\r\nただいま休暇中です。"):
            content = f"{head}\r\nIn-Reply-To: {copy.header('Message-ID')}{text}"
            assert await ask(town, box, content=content) == []
    assert await receipts(town) == set()


async def test_what_somebody_writes_is_answered_once_a_day_and_confirms_nothing(town: Town) -> None:
    await a_family(town)
    await a_broadcast(town)
    sent = await answer(town, "renraku", content="\r\n何時に終わりますか")
    assert sent.letter == "not_read"
    assert sent.header("Auto-Submitted") == "auto-replied"
    assert "確認済み" not in sent.text
    assert "登録がまだ" not in sent.text
    assert "何時に" not in sent.text  # MR-24
    town.clock.pass_(HOUR)
    assert await ask(town, "renraku", content="\r\n返事をください") == []
    town.clock.pass_(DAY)
    await answer(town, "renraku", content="\r\n返事をください")
    assert await receipts(town) == set()


async def test_who_thanks_for_a_broadcast_has_read_it_and_is_told_once_a_day_that_nobody_reads_the_thanks(town: Town) -> None:
    await a_family(town)
    first, second = await a_broadcast(town), await a_broadcast(town)
    box = first.header("Reply-To").partition("@")[0]
    sent = await answer(town, box, content="\r\n了解しました")
    assert sent.letter == "not_read"
    assert "確認済み" in sent.text
    assert await receipts(town) == {first.row.id}
    assert await ask(town, second.header("Reply-To").partition("@")[0], content="\r\n了解しました") == []
    assert await receipts(town) == {first.row.id, second.row.id}
    assert await ask(town, "renraku", content="\r\nよろしくお願いします") == []


async def test_thanks_from_another_address_confirm_and_are_not_answered(town: Town) -> None:
    """A copy that was forwarded: the token says which, and nobody there asked us anything."""
    await a_family(town)
    copy = await a_broadcast(town)
    box = copy.header("Reply-To").partition("@")[0]
    assert await ask(town, box, "sobo@softbank.ne.jp", content="\r\n了解しました") == []
    assert await receipts(town) == {copy.row.id}


@pytest.mark.parametrize("box", ["k", "yame"])
async def test_a_machine_and_a_forged_token_confirm_and_stop_nothing(town: Town, box: str) -> None:
    await a_family(town)
    copy = await a_broadcast(town)
    tokens = town.links.tokens(copy.row.id)
    right = tokens[Slot.RECEIPT if box == "k" else Slot.STOP]
    wrong = tokens[Slot.STOP if box == "k" else Slot.RECEIPT]
    assert await ask(town, f"{box}+{right}", content="Auto-Submitted: auto-generated") == []
    assert await ask(town, f"{box}+{wrong}") == []
    assert await ask(town, f"{box}+x") == []
    assert await receipts(town) == set()
    assert await town.ask("SELECT 1 FROM address WHERE paused_at IS NOT NULL") == []


async def test_strangers_of_one_domain_are_answered_no_more_often_than_they_are_invited(town: Town) -> None:
    told = [await ask(town, "renraku", f"a{number}@company.example.jp", content="\r\nこんにちは") for number in range(62)]
    # Sixty at once, and one more for each minute; a mail comes each second.
    assert [len(sent) for sent in told] == [1] * 61 + [0]
    assert await ask(town, "touroku", "b@company.example.jp") == []


async def test_a_stranger_is_told_to_call_and_how_to_join(town: Town) -> None:
    sent = await answer(town, "renraku", content="\r\n登録したいです")
    assert "touroku@gate.example.jp" in sent.text
    assert "お電話" in sent.text.split("\n")[0]
    # And may join at once, although he was answered a moment ago.
    assert (await answer(town, "touroku")).token("j")


async def test_a_strangers_empty_mail_is_answered_too_because_he_wants_something(town: Town) -> None:
    assert (await answer(town, "renraku")).letter == "not_read"


async def test_a_stranger_is_told_once_a_day_although_his_address_is_forgotten(town: Town) -> None:
    await answer(town, "renraku", "a@docomo.ne.jp", content="\r\nこんにちは")
    town.clock.pass_(HOUR)
    await town.forget.tidy()
    await town.inbox.forget()
    assert await ask(town, "renraku", "a@docomo.ne.jp", content="\r\nこんにちは") == []
    town.clock.pass_(2 * DAY)
    await town.inbox.forget()
    await town.forget.tidy()
    assert await town.count("address") == 0


async def test_a_naive_vacation_program_gets_two_mails_and_no_more(town: Town) -> None:
    """It marks nothing as automatic, and answers to From or Reply-To whatever it gets."""
    waiting = await ask(town, "touroku")
    got = 0
    for _ in range(20):
        if not waiting:
            break
        got += len(waiting)
        reply_to = waiting[-1].header("Reply-To")
        box = "renraku" if reply_to == "None" else reply_to.partition("@")[0]
        town.clock.pass_(2 * MINUTE)
        waiting = await ask(town, box, content="Subject: 休暇中\r\n\r\n12月5日まで休暇をいただいております。")
    assert got == 2


# Stops


async def test_a_stop_by_mail_is_taken_back_by_an_empty_reply_to_its_notice(town: Town) -> None:
    await a_family(town, by_code=True)
    copy = await a_broadcast(town)
    (stop_box,) = re.findall(r"mailto:(yame\+\w+)@", copy.header("List-Unsubscribe"))
    notice = await answer(town, stop_box)
    assert notice.letter == "stopped"
    assert holds_no_url(notice)
    assert (await town.ask("SELECT paused_at FROM address WHERE no_url = 1"))[0]["paused_at"] is not None
    way_back = notice.header("Reply-To").partition("@")[0]
    told = await answer(town, way_back, content="\r\nなぜですか")
    assert "確認済み" not in told.text
    assert (await town.ask("SELECT paused_at FROM address WHERE no_url = 1"))[0]["paused_at"] is not None
    assert await ask(town, way_back) == []
    assert (await town.ask("SELECT paused_at FROM address WHERE no_url = 1"))[0]["paused_at"] is None
    assert await ask(town, way_back) == []
    assert not await is_proven(town)  # no receipt


async def test_the_same_by_the_from_of_the_notice(town: Town) -> None:
    await a_family(town)
    copy = await a_broadcast(town)
    (stop_box,) = re.findall(r"mailto:(yame\+\w+)@", copy.header("List-Unsubscribe"))
    notice = await answer(town, stop_box)
    await ask(town, "renraku", content=f"In-Reply-To: {notice.header('Message-ID')}\r\nSubject: Re: {'x' * 5}")
    assert await town.ask("SELECT 1 FROM address WHERE paused_at IS NOT NULL") == []


# No URL, ever


async def test_every_mail_to_a_phone_that_refuses_urls_holds_none(town: Town) -> None:
    completion = await a_family(town, by_code=True)
    sent = [completion]
    for kind in Kind:
        text = "https://kita.example.jp/a をご覧ください。"
        sent.append(await a_broadcast(town, subject=f"【{TAG[kind]}】https://a.jp", text=text))
    sent.append(await answer(town, re.findall(r"mailto:(yame\+\w+)@", sent[-1].header("List-Unsubscribe"))[0]))
    town.clock.pass_(MINUTE)
    sent.append(await answer(town, "id"))
    sent.append(await answer(town, "renraku", content="\r\n質問です"))
    town.clock.pass_(MINUTE)
    sent.append(await answer(town, "touroku"))
    town.clock.pass_(HOUR)
    await town.registered("papa@ezweb.ne.jp", login_id="papa2026", name="苫小牧 花子", kana="とまこまい はなこ")
    sent += [mail for mail in await town.sent() if mail.to == MOTHER]
    assert [mail.letter for mail in sent] == [
        *("completion", *["broadcast"] * 5, "stopped", "id_list", "not_read", "invitation_code", "joined"),
    ]
    for mail in sent:
        assert mail.to == MOTHER
        assert holds_no_url(mail), mail.letter


async def test_a_letter_that_speaks_of_what_is_gone_is_not_made(town: Town) -> None:
    await a_family(town)
    for letter, params in (
        *(("joined", {"registration": 99}), ("password_link", {"link": 99}), ("address_changed", {"change": 99})),
        *(("completion", {"registration": 99, "invitation": None}), ("invitation", {"invitation": 99})),
    ):
        await town.change(
            "INSERT INTO outbox (letter, params, address_id, lane, state, created_at, due_at, expires_at)"
            " SELECT ?, ?, address_id, 1, 'pending', ?, ?, ? FROM contact",
            (letter, json.dumps(params), town.clock.now(), town.clock.now(), town.clock.now() + HOUR),
        )
        (made,) = await town.written()
        assert getattr(made, "permanent", None) is True, letter


async def test_a_completion_mail_that_asks_once_more_has_no_link_for_another_child(town: Town) -> None:
    await a_family(town)
    town.clock.pass_(DAY + HOUR)
    await town.forget.tidy()
    (again,) = await town.sent()
    assert (again.letter, again.to) == ("completion", MOTHER)
    assert again.token("k")
    assert "/j/" not in again.text
