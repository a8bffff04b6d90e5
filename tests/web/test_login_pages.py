"""Logging in and out, and the ways back in."""

import re

import httpx
import pytest

from mailgate.web.session import FIELD, ticket
from tests.web.fake_keep import OLD_TOKEN, RESET_TOKEN, SCHOOLS_CODE, UNDO_TOKEN
from tests.web.fakes import Site
from tests.web.people import OWNER, PASSWORD

LOGIN = {"login_id": OWNER, "password": PASSWORD}
RESET, UNDO = f"/reset/{RESET_TOKEN}", f"/undo/{UNDO_TOKEN}"


def cookies_in(answer: httpx.Response) -> dict[str, set[str]]:
    """The cookies that an answer sets, by name: their attributes, lower-case."""
    found = {}
    for header in answer.headers.get_list("set-cookie"):
        first, *attributes = header.split("; ")
        found[first.partition("=")[0]] = {first.partition("=")[2], *(word.lower() for word in attributes)}
    return found


async def test_a_login_sets_two_cookies_that_only_we_can_read(site: Site) -> None:
    answer = await site.post("/login", LOGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/me")
    cookies = cookies_in(answer)
    assert cookies["__Host-login"] >= {"path=/", "secure", "httponly", "samesite=lax"}
    assert cookies["__Host-known"] >= {"path=/", "secure", "httponly", "samesite=lax", "max-age=34560000"}
    assert not any("domain" in attribute for given in cookies.values() for attribute in given)
    assert not any("max-age" in attribute for attribute in cookies["__Host-login"])


async def test_on_a_loopback_http_address_the_cookies_have_plain_names() -> None:
    site = Site(public_url="http://127.0.0.1:8080")
    cookies = cookies_in(await site.post("/login", LOGIN))
    assert set(cookies) == {"login", "known"}
    for attributes in cookies.values():
        assert "secure" not in attributes
        assert attributes >= {"path=/", "httponly", "samesite=lax"}


async def test_an_unknown_id_and_a_wrong_password_look_alike_to_the_byte(site: Site) -> None:
    wrong = await site.post("/login", {**LOGIN, "password": "x"})
    unknown = await site.post("/login", {"login_id": OWNER, "password": "y"})
    assert wrong.status_code == unknown.status_code == 422
    assert wrong.content == unknown.content
    nobody = await site.post("/login", {"login_id": "nobody-here", "password": PASSWORD})
    assert nobody.text.replace("nobody-here", OWNER) == wrong.text
    assert cookies_in(wrong) == {}


async def test_a_wrong_login_keeps_the_id_and_never_the_password(site: Site) -> None:
    page = await site.post("/login", {"login_id": '"><b>', "password": "yuki-no-asa"})
    assert 'value="&#34;&gt;&lt;b&gt;"' in page.text
    assert "yuki-no-asa" not in page.text


async def test_after_too_many_mistakes_the_page_says_how_long_to_wait(site: Site) -> None:
    site.keep.wait_s = 130
    page = await site.post("/login", LOGIN)
    assert (page.status_code, page.headers["retry-after"]) == (429, "130")
    assert "約3分待ってから" in page.text


async def test_what_is_blank_is_told_without_a_look(site: Site) -> None:
    page = await site.post("/login", {"login_id": " "})
    assert re.findall(r'id="(\w+)-fault"', page.text) == ["login_id", "password"]
    assert site.keep.tries == []


async def test_who_scanned_the_wrong_qr_code_is_told_so_before_the_form(site: Site) -> None:
    page = (await site.get("/login")).text
    assert page.index("上のQRコード") < page.index("<form")
    assert "/help/wrong-qr" in page


async def test_who_tries_is_known_by_network_and_browser_and_an_old_login_ends(site: Site) -> None:
    async with site.client("203.0.113.9") as client:
        await client.post("/login", data=LOGIN)
        first = next(iter(site.keep.sessions))
        await client.post("/login", data=LOGIN)
    assert first not in site.keep.sessions
    *_, (login_id, password, seen, previous) = site.keep.tries
    assert (login_id, password, previous) == (OWNER, PASSWORD, first)
    assert (seen.network, seen.browser) == ("203.0.113.0/24", b"browser-number-one-of-many")


@pytest.mark.parametrize("value", ["x", "a" * 200, "ü" * 20, "a b c d e f g h i j", ""])
async def test_a_cookie_that_is_none_of_ours_is_no_cookie(site: Site, value: str) -> None:
    headers = {b"cookie": f"__Host-login={value}; __Host-known={value}".encode()}
    answer = await site.client().get("/me", headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    await site.client().post("/login", data=LOGIN, headers=headers)
    assert site.keep.tries[-1][2].browser is None


async def test_a_one_time_code_of_the_school_leads_to_a_new_password(site: Site) -> None:
    answer = await site.post("/login", {"login_id": OWNER, "password": SCHOOLS_CODE})
    assert (answer.status_code, answer.headers["location"]) == (303, "/me/password")


async def test_logging_out_ends_the_login_and_takes_a_form_of_ours(site: Site) -> None:
    async with site.client() as client:
        await client.post("/login", data=LOGIN)
        session = next(iter(site.keep.sessions))
        assert (await client.post("/logout")).status_code == 403
        assert session in site.keep.sessions
        assert f'value="{ticket(session)}"' in (await client.get("/logout")).text
        answer = await client.post("/logout", data={FIELD: ticket(session)})
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?news=out")
        assert "max-age=0" in cookies_in(answer)["__Host-login"]
        assert "__Host-known" not in cookies_in(answer)
        assert "ログアウトしました" in (await client.get("/login?news=out")).text
        assert (await client.post("/logout")).status_code == 303
    assert site.keep.sessions == {}


async def test_news_that_we_do_not_know_are_not_told(site: Site) -> None:
    assert (await site.get("/login?news=<b>")).content == (await site.get("/login")).content


# Forgotten


async def test_asking_for_a_link_is_answered_alike_whether_there_is_such_an_id_or_not(site: Site) -> None:
    for login_id in (OWNER, "nobody"):
        answer = await site.post("/forgot", {"login_id": login_id})
        assert (answer.status_code, answer.headers["location"]) == (303, "/forgot?news=sent")
    assert site.keep.asked == [OWNER, "nobody"]
    page = (await site.get("/forgot?news=sent")).text
    for words in ("2時間", "id@gate.example.jp", "お子さまを通して"):
        assert words in page


async def test_asking_for_no_id_is_told(site: Site) -> None:
    page = await site.post("/forgot", {"login_id": "  "})
    assert page.status_code == 422
    assert site.keep.asked == []


async def test_a_new_password_is_set_by_the_link_and_ends_at_the_login(site: Site) -> None:
    assert OWNER in (await site.get(RESET)).text
    short = await site.post(RESET, {"password": "x"})
    assert short.status_code == 422
    assert "8文字以上" in short.text
    answer = await site.post(RESET, {"password": "ame-to-kumo"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?news=password")
    assert "max-age=0" in cookies_in(answer)["__Host-login"]
    assert site.keep.password == "ame-to-kumo"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("token, status, words", [("x", 404, "/forgot"), (OLD_TOKEN, 410, "もう決め直した方")])
async def test_a_dead_reset_link_says_what_to_do(site: Site, method: str, token: str, status: int, words: str) -> None:
    page = await site.client().request(method, f"/reset/{token}", data={"password": "ame-to-kumo"})
    assert page.status_code == status
    assert words in page.text


# Taken back


async def test_looking_at_an_undo_link_changes_nothing_and_tells_what_it_would_do(site: Site) -> None:
    page = (await site.get(UNDO)).text
    await site.client().head(UNDO)
    assert not site.keep.undone
    for words in ("入れ替えられました", "母のスマホ", "新しいスマホ", "2026年1月4日（日）0時まで", "一緒に元に戻します"):
        assert words in page


@pytest.mark.parametrize("no_place, news, words", [(False, "undone", "元に戻しました"), (True, "no_place", "戻せませんでした")])
async def test_an_undo_asks_for_a_new_password_at_once(site: Site, no_place: bool, news: str, words: str) -> None:
    site.keep.no_place = no_place
    answer = await site.post(UNDO)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/reset/{RESET_TOKEN}?news={news}")
    assert words in (await site.get(answer.headers["location"])).text


async def test_an_undo_twice_is_once_and_has_its_page(site: Site) -> None:
    await site.post(UNDO)
    again = await site.post(UNDO)
    assert (again.status_code, again.headers["location"]) == (303, UNDO)
    page = (await site.get(UNDO)).text
    assert "元に戻っています" in page
    assert "<button" not in page


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("token, status", [("x", 404), (OLD_TOKEN, 410)])
async def test_a_dead_undo_link_is_a_page(site: Site, method: str, token: str, status: int) -> None:
    assert (await site.client().request(method, f"/undo/{token}")).status_code == status


# What the pages before the login speak


@pytest.mark.parametrize("path", [RESET, UNDO])
async def test_the_links_of_a_registration_speak_its_language(site: Site, path: str) -> None:
    site.speech.language = "easy"
    assert "<ruby>" in (await site.get(path, Accept_Language="en")).text


@pytest.mark.parametrize("accepted, words", [("ja", "ログイン"), ("en", "Log in"), ("vi", "<ruby>")])
async def test_public_pages_speak_what_the_browser_accepts(site: Site, accepted: str, words: str) -> None:
    for path in ("/login", "/", "/help/", "/privacy", "/forgot"):
        page = await site.get(path, Accept_Language=accepted)
        assert page.status_code == 200
    assert words in (await site.get("/login", Accept_Language=accepted)).text


async def test_a_choice_beats_the_browser_and_survives_a_redirect(site: Site) -> None:
    page = await site.get("/login?lang=en", Accept_Language="ja")
    assert "Log in" in page.text
    answer = await site.client().post("/login?lang=en", data=LOGIN, headers={"Accept-Language": "ja"})
    assert answer.headers["location"] == "/me?lang=en"
    assert (await site.get("/login?lang=klingon", Accept_Language="en")).text == (
        await site.get("/login", Accept_Language="en")
    ).text
