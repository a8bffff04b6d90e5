"""Behind the login: what an owner sees and changes, and what no other page can make them do."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from mailgate.web.session import FIELD, ticket
from tests.web.fake_keep import SCHOOLS_CODE
from tests.web.fakes import Site
from tests.web.people import MOTHER, OWNER, PASSWORD

PAGES = ("/me", "/me/child", "/me/password", "/me/language", "/me/contact/c1", "/me/withdraw", "/me/held")
CHILD = {"name": "髙橋 𠮷子", "kana": "タカハシ", "grade": "4", "class_name": "2"}
# Every POST of these pages, as it would succeed.
POSTS = {
    "/me/child": CHILD,
    "/me/password": {"old": PASSWORD, "password": "ame-to-kumo"},
    "/me/language": {"language": "en"},
    "/me/contact/c1": {"action": "rename", "label": "母の新しいスマホ"},
    "/me/contact/c2": {"action": "remove"},
    "/me/withdraw": {"what": "all", "password": PASSWORD},
    "/logout": {},
}


class Owner:
    """A browser that is logged in."""

    def __init__(self, site: Site, client: httpx.AsyncClient) -> None:
        self.site = site
        self.client = client

    async def enter(self, password: str = PASSWORD) -> None:
        await self.client.post("/login", data={"login_id": OWNER, "password": password})

    @property
    def ticket(self) -> str:
        return ticket(self.client.cookies["__Host-login"])

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path)

    async def post(self, path: str, **fields: str) -> httpx.Response:
        return await self.client.post(path, data={FIELD: self.ticket, **fields})


@pytest.fixture
async def owner(site: Site) -> AsyncIterator[Owner]:
    async with site.client() as client:
        entered = Owner(site, client)
        await entered.enter()
        yield entered


@pytest.mark.parametrize("path", PAGES)
async def test_without_a_login_every_page_leads_to_the_login(site: Site, path: str) -> None:
    answer = await site.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert (await site.get("/me", Cookie="__Host-login=session-of-long-ago-and-far-away")).status_code == 303


@pytest.mark.parametrize("path", [path for path in POSTS if path != "/logout"])
async def test_a_form_sent_after_the_login_ended_changes_nothing_and_says_so(owner: Owner, path: str) -> None:
    before, fields = owner.site.keep.owner, {FIELD: owner.ticket, **POSTS[path]}
    owner.site.keep.sessions.clear()
    page = await owner.client.post(path, data=fields)
    assert page.status_code == 403
    assert "ログインの時間が切れたため、何も変えていません" in page.text
    assert '<form method="post" action="/login"' in page.text
    assert (owner.site.keep.owner, owner.site.keep.password, owner.site.keep.erased) == (before, PASSWORD, [])


@pytest.mark.parametrize("path", [path for path in POSTS if path != "/logout"])
async def test_a_login_that_ends_at_that_very_moment_is_told_the_same(owner: Owner, path: str) -> None:
    owner.site.keep.ends_after_a_look = True
    page = await owner.post(path, **POSTS[path])
    assert page.status_code == 403
    assert "何も変えていません" in page.text


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("given", [None, "", "0" * 32, "あ", "of the login before"])
async def test_a_form_without_this_logins_token_does_nothing(owner: Owner, path: str, given: str | None) -> None:
    if given == "of the login before":  # another tab, or the back button after a new login
        given = owner.ticket
        await owner.enter()
    before, sessions = owner.site.keep.owner, dict(owner.site.keep.sessions)
    fields = POSTS[path] if given is None else {FIELD: given, **POSTS[path]}
    page = await owner.client.post(path, data=fields)
    assert page.status_code == 403
    assert "この画面は古くなりました" in page.text
    assert (owner.site.keep.owner, owner.site.keep.password, owner.site.keep.erased) == (before, PASSWORD, [])
    assert owner.site.keep.sessions == sessions


@pytest.mark.parametrize("path", POSTS)
async def test_another_sites_page_cannot_press_these_buttons(owner: Owner, path: str) -> None:
    answer = await owner.client.post(
        path, data={FIELD: owner.ticket, **POSTS[path]}, headers={"Origin": "https://evil.example"}
    )
    assert answer.status_code == 403
    assert owner.site.keep.erased == []


async def test_at_a_glance_there_are_labels_providers_and_days_and_no_address(owner: Owner) -> None:
    page = (await owner.get("/me")).text
    for words in (
        "山田 花子 (ヤマダ ハナコ)",
        "3年1組",
        OWNER,
        "母のスマホ",
        "ドコモ",
        "2026年1月に確認",
        "最後の連絡：2026年1月2日（金）",
        "Gmailのアドレス",
        "まだ確認されていません",
        "まだ連絡を送っていません",
        "jiro-y",
        "touroku@gate.example.jp",
    ):
        assert words in page


async def test_a_child_on_no_roster_is_told_what_to_check(owner: Owner) -> None:
    assert "名簿に同じお名前が見つかりません" not in (await owner.get("/me")).text
    owner.site.keep.owner = replace(owner.site.keep.owner, on_roster=False)
    assert "名簿に同じお名前が見つかりません" in (await owner.get("/me")).text


@pytest.mark.parametrize(
    "path, fields, news, words",
    [
        ("/me/child", CHILD, "child", "髙橋 𠮷子"),
        ("/me/password", POSTS["/me/password"], "password", "パスワードを変えました"),
        ("/me/contact/c1", POSTS["/me/contact/c1"], "label", "母の新しいスマホ"),
        ("/me/contact/c2", {"action": "remove"}, "removed", "アドレスを外しました"),
        ("/me/withdraw", {"what": "c2", "password": PASSWORD}, "removed", "アドレスを外しました"),
    ],
)
async def test_what_is_changed_is_confirmed_at_a_glance(
    owner: Owner, path: str, fields: dict[str, str], news: str, words: str
) -> None:
    answer = await owner.post(path, **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/me?news={news}")
    page = (await owner.get(answer.headers["location"])).text
    assert words in page
    assert 'role="status"' in page


async def test_the_form_of_the_child_begins_with_what_is_there_and_keeps_what_was_typed(owner: Owner) -> None:
    form = (await owner.get("/me/child")).text
    for value in ("山田 花子", "ヤマダ ハナコ"):
        assert f'value="{value}"' in form
    assert '<option value="3" selected>' in form
    page = await owner.post("/me/child", name="", kana="a@b", grade="5", class_name="<")
    assert page.status_code == 422
    assert re.findall(r'id="(\w+)-fault"', page.text) == ["name", "kana"]
    assert 'value="a@b"' in page.text
    assert 'value="&lt;"' in page.text
    assert '<option value="5" selected>' in page.text


@pytest.mark.parametrize(
    "fields, field, words",
    [
        ({"password": "ame-to-kumo"}, "old", "今のパスワードを入力"),
        ({"old": "wrong", "password": "ame-to-kumo"}, "old", "今のパスワードが違います"),
        ({"old": PASSWORD, "password": "x"}, "password", "8文字以上"),
    ],
)
async def test_a_password_that_is_not_changed_says_why_at_its_field(
    owner: Owner, fields: dict[str, str], field: str, words: str
) -> None:
    page = await owner.post("/me/password", **fields)
    assert page.status_code == 422
    assert re.findall(r'id="(\w+)-fault"', page.text) == [field]
    assert words in page.text
    for value in fields.values():
        assert f'"{value}"' not in page.text


@pytest.mark.parametrize("path", ["/me/password", "/me/withdraw"])
async def test_too_many_wrong_passwords_are_told_how_long_to_wait(owner: Owner, path: str) -> None:
    owner.site.keep.wait_s = 30
    page = await owner.post(path, **POSTS[path])
    assert (page.status_code, page.headers["retry-after"]) == (429, "30")
    assert "30秒待ってから" in page.text


async def test_a_login_by_the_schools_code_sets_a_password_without_the_old_one(site: Site) -> None:
    async with site.client() as client:
        owner = Owner(site, client)
        await owner.enter(SCHOOLS_CODE)
        form = (await owner.get("/me/password")).text
        assert 'name="old"' not in form
        assert "パスワードを決めてください" in (await owner.get("/me")).text
        answer = await owner.post("/me/password", password="ame-to-kumo")
        assert answer.headers["location"] == "/me?news=password"
        assert 'name="password"' in (await owner.get("/me/withdraw?what=all")).text


async def test_the_language_of_the_registration_is_the_language_of_its_pages(owner: Owner) -> None:
    answer = await owner.client.post("/me/language?lang=easy", data={FIELD: owner.ticket, "language": "en"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/me?news=language")
    assert "The language was changed" in (await owner.get("/me?news=language")).text
    assert '<html lang="ja">' in (await owner.get("/me?lang=ja")).text
    assert (await owner.post("/me/language", language="klingon")).status_code == 400


async def test_a_label_at_fault_is_told_and_stays(owner: Owner) -> None:
    page = await owner.post("/me/contact/c1", action="rename", label="a@b")
    assert page.status_code == 422
    assert 'value="a@b"' in page.text
    assert "呼び名に「@」は使えません" in page.text


async def test_the_last_address_goes_only_by_withdrawing(owner: Owner) -> None:
    owner.site.keep.owner = replace(owner.site.keep.owner, contacts=(MOTHER,))
    for path, fields in (
        ("/me/contact/c1", {"action": "remove"}),
        ("/me/withdraw", {"what": "c1", "password": PASSWORD}),
    ):
        page = await owner.post(path, **fields)
        assert page.status_code == 409
        assert "ここでは外せません" in page.text
        assert "/me/withdraw" in page.text


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_address_that_is_gone_has_a_page(owner: Owner, method: str) -> None:
    page = await owner.client.request(method, "/me/contact/c9", data={FIELD: owner.ticket, "action": "remove"})
    assert page.status_code == 404
    assert "このアドレスは登録されていません" in page.text


async def test_an_unknown_action_changes_nothing(owner: Owner) -> None:
    assert (await owner.post("/me/contact/c1", action="burn")).status_code == 400
    assert owner.site.keep.erased == []


async def test_withdrawing_asks_twice_and_says_what_it_means(owner: Owner) -> None:
    first = (await owner.get("/me/withdraw")).text
    assert '<form method="get"' in first
    assert 'name="password"' not in first
    second = (await owner.get("/me/withdraw?what=all")).text
    for words in ("本当にやめますか", "緊急のものも届かなくなります", "24時間のうちに消します", "元に戻せません", OWNER):
        assert words in second
    one = (await owner.get("/me/withdraw?what=c1")).text
    assert "母のスマホ" in one
    assert owner.site.keep.erased == []


async def test_withdrawing_all_ends_the_login_and_leaves_a_word(owner: Owner) -> None:
    answer = await owner.post("/me/withdraw", what="all", password=PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/withdrawn")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert "登録をやめました" in (await owner.get("/withdrawn")).text
    assert owner.site.keep.erased == ["all"]
    assert (await owner.get("/me")).headers["location"] == "/login"


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"what": "all"}, "パスワードを入力してください"),
        ({"what": "all", "password": "wrong"}, "パスワードが違います"),
        ({"what": "c9", "password": PASSWORD}, "何をやめますか"),
        ({"password": PASSWORD}, "何をやめますか"),
    ],
)
async def test_a_withdrawal_that_is_not_meant_erases_nothing(
    owner: Owner, fields: dict[str, str], words: str
) -> None:
    page = await owner.post("/me/withdraw", **fields)
    assert page.status_code == 422
    assert words in page.text
    assert owner.site.keep.erased == []


async def test_all_that_is_held_is_on_one_page(owner: Owner) -> None:
    page = (await owner.get("/me/held")).text
    for words in ("ヤマダ ハナコ", "名簿にあります", "入れ替えた", "日本語", "Gmail", "2026年1月1日に登録", "2026年1月4日に消えます"):
        assert words in page
    assert page.count("<dd>") == len(owner.site.keep.owner.held)


async def test_looking_changes_nothing(owner: Owner) -> None:
    before = owner.site.keep.owner
    for path in PAGES:
        assert (await owner.get(path)).status_code == 200
        head = await owner.client.head(path)
        assert (head.status_code, head.content) == (200, b"")
    assert (owner.site.keep.owner, owner.site.keep.erased) == (before, [])
