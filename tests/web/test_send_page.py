"""The page of a broadcast for its sender."""

import re

import pytest

from mailgate.core import broadcast
from mailgate.core.broadcast import Kind, State
from mailgate.core.drafting import Caution
from mailgate.core.instants import DAY, later
from mailgate.web.staff import actions_in
from tests.fakes import NEW_YEAR_2026
from tests.web.fakes import EXPIRED_TOKEN, OTHER_TOKEN, PIN, TOKEN, Site, a_broadcast

SEND = f"/send/{TOKEN}"
COUNTS = {
    "pending": 30,
    "leased": 4,
    "handed_over": 900,
    "delivered": 50,
    "bounced": 6,
    "failed": 3,
    "expired": 2,
    "cancelled": 1,
}


async def test_a_draft_is_shown_as_it_will_look(site: Site) -> None:
    page = (await site.get(SEND)).text
    for words in (
        "遠足の持ち物",
        "お知らせ",
        "佐藤 校長",
        "北小学校 3年1組",
        "北小学校 3年2組",
        "1,234件",
        "68人",
        "7人",
        "2026年1月2日（金）0時までに確定しないと",
        "予定どおり行います。<br>水筒と",
        "署名と見なして、送らない部分",
        "0144-00-0000",
    ):
        assert words in page
    assert '<input type="hidden" name="seen" value="0123456789abcdef">' in page


async def test_looking_at_a_draft_sends_nothing(site: Site) -> None:
    await site.get(SEND)
    await site.get(f"{SEND}?action=confirm&pin={PIN}")
    assert site.send.broadcast.state is State.DRAFTED


async def test_the_pin_confirms(site: Site) -> None:
    answer = await site.post(SEND, {"action": "confirm", "pin": f" {PIN} ", "seen": "0123456789abcdef"})
    assert (answer.status_code, answer.headers["location"]) == (303, SEND)
    assert site.send.acts == [("confirm", PIN)]


@pytest.mark.parametrize(
    "fields, status, words",
    [
        ({"action": "confirm"}, 422, "PIN（暗証番号）を入力してください"),
        ({"action": "confirm", "pin": "000000"}, 422, "PIN（暗証番号）が違います"),
        ({"action": "halt", "pin": PIN}, 409, "今の状態では、その操作はできません"),
        ({"action": "confirm", "pin": PIN, "seen": "f" * 16}, 409, "もう一度確かめてください"),
    ],
)
async def test_a_refused_press_is_told_with_the_page(
    site: Site, fields: dict[str, str], status: int, words: str
) -> None:
    page = await site.post(SEND, fields)
    assert page.status_code == status
    assert words in page.text
    assert 'role="alert"' in page.text
    assert "遠足の持ち物" in page.text
    assert 'value="000000"' not in page.text
    assert site.send.broadcast.state is State.DRAFTED


@pytest.mark.parametrize("wait_s, words", [(45, "45秒待って"), (60, "約1分待って"), (61, "約2分待って")])
async def test_too_many_wrong_pins_are_told_how_long_to_wait(site: Site, wait_s: int, words: str) -> None:
    site.send.wait_s = wait_s
    page = await site.post(SEND, {"action": "confirm", "pin": PIN})
    assert page.status_code == 429
    assert page.headers["retry-after"] == str(wait_s)
    assert words in page.text


async def test_dropping_needs_no_pin(site: Site) -> None:
    assert (await site.post(SEND, {"action": "drop"})).status_code == 303
    page = (await site.get(SEND)).text
    assert "取りやめました" in page
    assert "<form" not in page


@pytest.mark.parametrize("action", ["", "start", "finish", "delete"])
async def test_an_unknown_action_is_refused(site: Site, action: str) -> None:
    assert (await site.post(SEND, {"action": action, "pin": PIN})).status_code == 400


@pytest.mark.parametrize("state", list(State))
async def test_a_page_has_the_buttons_of_its_state_and_no_others(site: Site, state: State) -> None:
    site.send.broadcast = a_broadcast(state=state)
    page = await site.get(SEND)
    assert page.status_code == 200
    buttons = re.findall(r'<button name="action" value="([a-z]+)"', page.text)
    assert buttons == list(actions_in(state))
    assert ("<form" in page.text) == bool(buttons)
    assert ("表示を新しくする" in page.text) == (state not in broadcast.TERMINAL and state is not State.DRAFTED)


def test_the_actions_follow_the_table_of_states() -> None:
    assert {state: actions_in(state) for state in State if actions_in(state)} == {
        State.DRAFTED: ("confirm", "drop"),
        State.CONFIRMED: ("halt", "cancel"),
        State.SENDING: ("halt", "cancel"),
        State.HALTED: ("resume", "cancel"),
    }


async def test_progress_is_told_in_numbers(site: Site) -> None:
    site.send.broadcast = a_broadcast(state=State.SENDING, counts=COUNTS)
    page = (await site.get(SEND)).text
    assert "996件のうち956件を送りました" in page
    assert '<progress id="sent" max="996" value="956">' in page
    for number in ("900件", "50件", "34件", "9件", "2件", "1件"):
        assert f'<dd class="num">{number}</dd>' in page


async def test_of_a_handful_of_addresses_the_number_is_not_told(site: Site) -> None:
    site.send.broadcast = a_broadcast(state=State.SENDING, recipients=3, counts={"handed_over": 2, "pending": 1})
    page = (await site.get(SEND)).text
    assert page.count("1〜4件") == 3
    assert "<progress" not in page
    assert "0件" in page


async def test_without_a_roster_the_unregistered_are_unknown(site: Site) -> None:
    site.send.broadcast = a_broadcast(unregistered=None)
    assert "名簿がないので分かりません" in (await site.get(SEND)).text


@pytest.mark.parametrize("caution", [*Caution, "no_subject"])
async def test_every_caution_has_words(site: Site, caution: str) -> None:
    site.send.broadcast = a_broadcast(warnings=(caution,))
    page = (await site.get(SEND)).text
    assert '<p class="warn">' in page
    assert "確かめていただきたい所があります" not in page


async def test_a_caution_without_words_still_warns(site: Site) -> None:
    site.send.broadcast = a_broadcast(warnings=("to_come",))
    assert "確かめていただきたい所があります" in (await site.get(SEND)).text


@pytest.mark.parametrize("kind", list(Kind))
async def test_every_kind_has_its_name(site: Site, kind: Kind) -> None:
    site.send.broadcast = a_broadcast(kind=kind, subject="", text="", cut="")
    page = (await site.get(SEND)).text
    assert f"<dd><strong>{broadcast.TAG[kind]}</strong></dd>" in page
    assert "（件名なし）" in page
    assert "署名と見なして" not in page


async def test_a_finished_broadcast_says_when(site: Site) -> None:
    site.send.broadcast = a_broadcast(
        state=State.DONE, confirmed_at=NEW_YEAR_2026, done_at=later(NEW_YEAR_2026, DAY), counts=COUNTS
    )
    assert "送り終わりました。</strong>（2026年1月2日（金）0時）" in (await site.get(SEND)).text


async def test_a_text_cannot_become_markup(site: Site) -> None:
    site.send.broadcast = a_broadcast(subject="<script>", text="<img src=x>\r\n\r\n\r\n&amp;", cut="</div>")
    page = (await site.get(SEND)).text
    for raw in ("<script>", "<img", "</div></div></div>"):
        assert raw not in page
    assert "<p>&lt;img src=x&gt;</p>\n<p>&amp;amp;</p>" in page


@pytest.mark.parametrize("token, status", [(OTHER_TOKEN, 404), (EXPIRED_TOKEN, 410)])
async def test_a_dead_link_is_the_same_for_looking_and_for_pressing(site: Site, token: str, status: int) -> None:
    looked = await site.get(f"/send/{token}")
    pressed = await site.post(f"/send/{token}", {"action": "confirm", "pin": PIN})
    assert looked.status_code == pressed.status_code == status
    assert looked.content == pressed.content
