"""A copy's page with its button, and the way to stop and back."""

import pytest

from tests.web.fakes import COPY_TOKEN, LETTER_TOKEN, STOP_TOKEN, Site, instant_of_new_year

COPY = f"/k/{COPY_TOKEN}"
STOP = f"/stop/{STOP_TOKEN}"


async def test_a_broadcast_is_a_page_with_a_button(site: Site) -> None:
    page = (await site.get(COPY)).text
    for words in (
        "緊急連絡",
        "明日は臨時休業です",
        "北小学校",
        "2026年1月1日（木）1時",
        "<button>確認しました</button>",
    ):
        assert words in page
    assert "とします。<br>外出" in page


async def test_looking_at_a_copy_is_no_receipt(site: Site) -> None:
    await site.get(COPY)
    await site.client().head(COPY)
    assert site.reach.copies[COPY_TOKEN].confirmed_at is None


@pytest.mark.parametrize("token", [COPY_TOKEN, LETTER_TOKEN])
async def test_a_press_is_a_receipt_and_twice_is_once(site: Site, token: str) -> None:
    for _ in range(2):
        answer = await site.post(f"/k/{token}")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/k/{token}")
        site.clock.pass_(60_000_000)
    page = (await site.get(f"/k/{token}")).text
    assert "確認済みです" in page
    assert "<button>" not in page
    assert site.reach.copies[token].confirmed_at == instant_of_new_year()


async def test_a_completion_mail_has_a_page_without_a_text(site: Site) -> None:
    page = (await site.get(f"/k/{LETTER_TOKEN}")).text
    assert "登録完了の確認" in page
    assert "<button>確認しました</button>" in page


@pytest.mark.parametrize("path", ["/k/unknown", "/stop/unknown"])
async def test_a_link_nobody_made_is_dead_for_looking_and_for_pressing(site: Site, path: str) -> None:
    looked, pressed = await site.get(path), await site.post(path, {"action": "resume"})
    assert looked.status_code == pressed.status_code == 404
    assert looked.content == pressed.content


async def test_a_stop_is_a_press_and_has_a_way_back(site: Site) -> None:
    assert "お知らせのメールを止める</button>" in (await site.get(STOP)).text
    assert site.stop.presses == []
    answer = await site.post(STOP, {"action": "pause"})
    assert (answer.status_code, answer.headers["location"]) == (303, STOP)
    page = (await site.get(STOP)).text
    assert "もう一度受け取る</button>" in page
    assert "【緊急連絡】【緊急情報】は、これからも届きます" in page
    await site.post(STOP, {"action": "resume"})
    assert site.stop.presses == ["pause", "resume"]


async def test_a_stop_without_any_field_stops(site: Site) -> None:
    assert (await site.post(STOP)).status_code == 303
    assert site.stop.is_paused


async def test_an_unknown_action_changes_nothing(site: Site) -> None:
    assert (await site.post(STOP, {"action": "burn"})).status_code == 400
    assert site.stop.presses == []


@pytest.mark.parametrize(
    "media_type, body",
    [
        ("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click"),
        ("application/x-www-form-urlencoded; charset=utf-8", b"List-Unsubscribe=One-Click\r\n"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n',
        ),
    ],
)
async def test_a_mail_provider_stops_in_one_click_without_a_redirect(site: Site, media_type: str, body: bytes) -> None:
    for _ in range(2):
        answer = await site.client().post(STOP, content=body, headers={"content-type": media_type})
        assert answer.status_code == 200
        assert "お知らせのメールを止めています" in answer.text
        assert "set-cookie" not in answer.headers
    assert site.stop.is_paused


async def test_one_click_on_a_dead_link_is_told_so(site: Site) -> None:
    answer = await site.client().post("/stop/x", data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 404


async def test_another_multipart_body_is_refused_there_too(site: Site) -> None:
    answer = await site.client().post(STOP, files={"action": b"pause"})
    assert answer.status_code == 415
    assert not site.stop.is_paused


@pytest.mark.parametrize("path", [COPY, STOP])
async def test_the_page_of_a_mail_speaks_the_language_of_its_address(site: Site, path: str) -> None:
    site.speech.language = "en"
    assert '<html lang="en">' in (await site.get(path, Accept_Language="ja")).text
    assert "<ruby>" in (await site.get(f"{path}?lang=easy")).text


async def test_what_a_school_wrote_stays_japanese_on_an_english_page(site: Site) -> None:
    page = (await site.get(f"{COPY}?lang=en")).text
    assert '<h1 lang="ja">明日は臨時休業です</h1>' in page
    assert '<div class="letter" lang="ja">' in page
    assert "Emergency" in page
