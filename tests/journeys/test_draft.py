"""Draft: a staff mail becomes a draft, and its preview goes to the enrolled address (J3, MR-71)."""

import pytest
from structlog.testing import capture_logs

from mailgate.core.broadcast import Kind, State
from mailgate.core.instants import MINUTE, SECOND
from mailgate.journeys.links import LinkDead
from mailgate.journeys.send import BroadcastView
from tests.builders import TEACHER, Sent, Town, staff_mail


@pytest.fixture
async def city(town: Town) -> Town:
    """Two schools of three kinds."""
    await town.a_school(classes=("3-1", "3-tanpopo=たんぽぽ", "4-1"))
    await town.a_school("chuo-jhs", name="中央中学校", kind="junior", classes=("1-1",))
    await town.a_school("mori-gimu", name="森の学園", kind="compulsory", classes=("9-1",))
    return town


async def write(town: Town, *audiences: str, **mail: str) -> list[Sent]:
    """A staff mail; what is owed for it."""
    to = [f"haishin+{audience}" for audience in audiences]
    await town.post(TEACHER, *to, content=staff_mail(TEACHER, message_id=mail.pop("message_id", f"<{town.clock.now()}@x>"), **mail))
    return await town.sent()


async def view(town: Town, preview: Sent) -> BroadcastView:
    shown = await town.send.view(preview.token("send"))
    assert not isinstance(shown, LinkDead)
    return shown


async def parts(town: Town) -> list[str]:
    return [row["part"] for row in await town.ask("SELECT part FROM broadcast_part ORDER BY broadcast_id, part")]


async def test_a_staff_mail_becomes_a_draft_and_a_preview_goes_to_the_enrolled_address(city: Town) -> None:
    await city.enrolled("Yamakawa@kita-es.example.jp")
    (preview,) = await write(city, "kita-es.3-1", subject="Re: 【緊急連絡】臨時休業", text="本日は休業です。\n\n--\n北小学校 0144-00-0000")
    assert (preview.letter, preview.to) == ("preview", "Yamakawa@kita-es.example.jp")
    shown = await view(city, preview)
    assert (shown.state, shown.kind, shown.subject, shown.text) == (State.DRAFTED, Kind.EMERGENCY, "臨時休業", "本日は休業です。")
    assert shown.cut == "--\n北小学校 0144-00-0000"
    assert shown.audience == ("北小学校 3年1組",)
    assert shown.confirmed_at is None
    assert "本日は休業です。" in preview.text


async def test_a_draft_sends_nothing_by_itself(city: Town) -> None:
    await city.enrolled()
    await city.a_contact("a@docomo.ne.jp")
    await write(city, "all")
    await city.expanded()
    assert [row["letter"] for row in await city.ask("SELECT letter FROM outbox")] == ["preview"]


# Scope


SCOPES = {
    "all": {"all", "elementary", "junior", "staff", "staff.kita-es", "kita-es", "kita-es.3", "kita-es.3-1", "chuo-jhs.1-1"},
    "kita-es": {"kita-es", "kita-es.3", "kita-es.3-1", "staff.kita-es"},
    "kita-es.3": {"kita-es.3", "kita-es.3-1"},
    "kita-es.3-1": {"kita-es.3-1"},
    "chuo-jhs": {"chuo-jhs.1-1"},
}


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("audience", sorted(SCOPES["all"]))
async def test_nobody_sends_beyond_their_scope(city: Town, scope: str, audience: str) -> None:
    await city.enrolled(scope=scope)
    (answer,) = await write(city, audience)
    if audience in SCOPES[scope]:
        assert answer.letter == "preview"
        assert await parts(city) == [audience]
    else:
        assert answer.letter == "staff_refused"
        assert audience in answer.text
        assert await city.count("broadcast") == 0


async def test_one_audience_beyond_the_scope_refuses_the_whole_mail(city: Town) -> None:
    await city.enrolled(scope="kita-es")
    (answer,) = await write(city, "kita-es.3", "chuo-jhs")
    assert (answer.letter, await city.count("broadcast")) == ("staff_refused", 0)


UNKNOWN = ["minami-es", "kita-es.7", "kita-es.3-9", "kita-es.0", "chuo-jhs.4", "staff.minami-es", "kita-es.3-", "kita-es-3", "everybody"]


@pytest.mark.parametrize("audience", UNKNOWN)
async def test_an_audience_that_is_none_is_told(city: Town, audience: str) -> None:
    await city.enrolled()
    with capture_logs() as logged:
        (answer,) = await write(city, audience)
    assert (answer.letter, await city.count("broadcast")) == ("staff_refused", 0)
    assert audience in answer.text
    assert {"event": "broadcast.refused", "staff": 1, "reason": "unknown_audience", "log_level": "info"} in logged


async def test_an_audience_may_be_written_in_capitals(city: Town) -> None:
    await city.enrolled()
    await write(city, "KITA-ES.3-TANPOPO")
    assert await parts(city) == ["kita-es.3-tanpopo"]


async def test_nothing_of_a_strange_audience_gets_into_the_database(city: Town) -> None:
    await city.enrolled()
    (answer,) = await write(city, "a..b=docomo.ne.jp")
    (row,) = await city.ask("SELECT params FROM outbox")
    assert "docomo" not in row["params"]
    assert answer.letter == "staff_refused"


# Text


@pytest.mark.parametrize(
    "mail, reason",
    [
        ({"text": ""}, "no_text"),
        ({"text": "\n \n"}, "no_text"),
        ({"text": "長い" * 30_000}, "too_large"),
        ({"subject": "長" * 300}, "too_large"),
    ],
)
async def test_a_text_that_cannot_go_out_is_told(city: Town, mail: dict[str, str], reason: str) -> None:
    await city.enrolled()
    with capture_logs() as logged:
        (answer,) = await write(city, "kita-es", **mail)
    assert (answer.letter, await city.count("broadcast")) == ("staff_refused", 0)
    assert reason in [line.get("reason") for line in logged]


async def test_what_is_doubtful_is_named_on_the_preview(city: Town) -> None:
    await city.enrolled()
    (preview,) = await write(city, "kita-es", text="詳しくは https://example.jp/ か info@example.jp へ。")
    assert (await view(city, preview)).warnings == ("mail_address", "url")


@pytest.mark.parametrize("tag, kind, lane", [
    ("緊急連絡", "emergency", 0), ("緊急情報", "alert", 0), ("教育情報", "education", 2), ("お知らせ", "notice", 2), ("訓練", "drill", 2),
    ("ごあんない", "notice", 2),
])  # fmt: skip
async def test_the_tag_of_the_subject_says_the_kind(city: Town, tag: str, kind: str, lane: int) -> None:
    await city.enrolled()
    await write(city, "kita-es", subject=f"【{tag}】題")
    (row,) = await city.ask("SELECT kind, lane FROM broadcast")
    assert tuple(row) == (kind, lane)


async def test_texts_lie_sealed_in_the_database(city: Town) -> None:
    await city.enrolled()
    await write(city, "kita-es", subject="秘密の題", text="秘密の本文\n\n--\n秘密の署名 0144-00-0000")
    assert "秘密".encode() not in city.stored()


# One mail in several transactions


async def test_a_mail_that_a_relay_splits_is_one_draft_with_a_second_preview(city: Town) -> None:
    await city.enrolled()
    (first,) = await write(city, "kita-es.3", message_id="<1@x>")
    (second,) = await write(city, "chuo-jhs", "kita-es.3", message_id="<1@x>")
    assert await city.count("broadcast") == 1
    assert await parts(city) == ["chuo-jhs", "kita-es.3"]
    assert first.token("send") == second.token("send")
    assert (await view(city, second)).audience == ("中央中学校", "北小学校 3年")
    assert "中央中学校" in second.text
    assert "中央中学校" not in first.text


async def test_a_part_that_adds_nothing_owes_no_second_preview(city: Town) -> None:
    await city.enrolled()
    await write(city, "kita-es", message_id="<1@x>")
    await city.post(TEACHER, "haishin+kita-es", "renraku", content=staff_mail(TEACHER, message_id="<1@x>"))
    assert await city.sent() == []
    assert await city.count("broadcast") == 1


async def test_a_part_that_is_refused_leaves_the_draft_as_it_was(city: Town) -> None:
    await city.enrolled(scope="kita-es")
    (preview,) = await write(city, "kita-es.3", message_id="<1@x>")
    before = (await view(city, preview)).seen
    (answer,) = await write(city, "chuo-jhs", message_id="<1@x>")
    assert answer.letter == "staff_refused"
    assert (await view(city, preview)).seen == before


async def test_two_mails_are_two_drafts(city: Town) -> None:
    await city.enrolled()
    for number in range(2):
        await write(city, "kita-es", message_id=f"<{number}@x>")
    assert await city.count("broadcast") == 2


async def test_the_same_mail_after_ten_minutes_is_another_draft(city: Town) -> None:
    await city.enrolled()
    await write(city, "kita-es.3", message_id="<1@x>")
    city.clock.pass_(10 * MINUTE)
    await write(city, "chuo-jhs", message_id="<1@x>")
    assert await city.count("broadcast") == 2


@pytest.mark.parametrize("action", ["confirm", "drop"])
async def test_a_part_that_comes_after_the_decision_is_a_draft_of_its_own(city: Town, action: str) -> None:
    await city.enrolled()
    (first,) = await write(city, "kita-es.3", message_id="<1@x>")
    await city.act(first.token("send"), action)  # type: ignore[arg-type]  # one of the table
    city.clock.pass_(SECOND)
    (second,) = [mail for mail in await write(city, "chuo-jhs", message_id="<1@x>") if mail.letter == "preview"]
    assert second.token("send") != first.token("send")
    assert (await view(city, second)).audience == ("中央中学校",)
    assert (await view(city, first)).audience == ("北小学校 3年",)


async def test_two_people_who_send_the_same_text_have_a_draft_each(city: Town) -> None:
    await city.enrolled()
    await city.enrolled("other@kita-es.example.jp")
    for sender in (TEACHER, "other@kita-es.example.jp"):
        await city.post(sender, "haishin+kita-es", content=staff_mail(sender, message_id="<1@x>"))
    assert await city.count("broadcast") == 2
