"""An address for an ID that is there: one more, or a new phone's in the place of an old one."""

import re

import pytest

from mailgate.journeys.join import AddRefused, ChooseContact
from tests.web.fakes import EXPIRED_TOKEN, OTHER_TOKEN, TOKEN, Site
from tests.web.people import FATHER, MOTHER, OWNER, PASSWORD, PROOF

ADD, REPLACE = f"/j/{TOKEN}/add", f"/j/{TOKEN}/replace"
LOGIN = {"login_id": OWNER, "password": PASSWORD}


async def test_the_landing_leads_to_both_roads(site: Site) -> None:
    page = (await site.get(f"/j/{TOKEN}")).text
    assert f'href="{ADD}"' in page
    assert f'href="{REPLACE}"' in page


async def test_an_address_is_added_and_the_end_says_so(site: Site) -> None:
    answer = await site.post(ADD, {**LOGIN, "label": "父のスマホ", "kind": "guardian"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/j/{TOKEN}/done?end=added")
    page = (await site.get(answer.headers["location"])).text
    for words in ("メールアドレスを加えました", "山田 花子", OWNER, "登録完了のメール"):
        assert words in page


async def test_the_same_form_twice_ends_the_same_way(site: Site) -> None:
    for _ in range(2):
        assert (await site.post(ADD, LOGIN)).headers["location"] == f"/j/{TOKEN}/done?end=added"
    assert len(site.join.registered) == 1


@pytest.mark.parametrize("path", [ADD, REPLACE])
async def test_what_is_blank_is_told_without_a_look_at_a_password(site: Site, path: str) -> None:
    for fields, missing in (({}, ["login_id", "password"]), ({"login_id": OWNER, "password": " "}, ["password"])):
        page = await site.post(path, fields)
        assert page.status_code == 422
        assert re.findall(r'id="(\w+)-fault"', page.text) == missing
    assert site.join.clients == []


@pytest.mark.parametrize("path", [ADD, REPLACE])
async def test_a_wrong_password_is_told_and_never_shown_again(site: Site, path: str) -> None:
    page = await site.post(path, {"login_id": OWNER, "password": "yuki-no-asa"})
    assert page.status_code == 422
    assert "ログインIDかパスワードが違います" in page.text
    assert f'value="{OWNER}"' in page.text
    assert "yuki-no-asa" not in page.text


@pytest.mark.parametrize(
    "refused, status, field, words",
    [
        (AddRefused(reason="full"), 422, "login_id", "すでに3件"),
        (AddRefused(reason="guardian_first"), 422, "kind", "先に保護者"),
        (AddRefused(reason="already"), 422, "login_id", "もうこのIDに登録されています"),
        (AddRefused(reason="wait", wait_s=45), 429, "login_id", "45秒待ってから"),
        (AddRefused(reason="wait", wait_s=121), 429, "login_id", "約3分待ってから"),
    ],
)
async def test_a_refusal_is_told_at_its_field(
    site: Site, refused: AddRefused, status: int, field: str, words: str
) -> None:
    site.join.refusal = refused
    page = await site.post(ADD, LOGIN)
    assert page.status_code == status
    assert page.headers.get("retry-after") == (str(refused.wait_s) if refused.wait_s else None)
    assert words in page.text
    assert f'id="{field}-fault"' in page.text


async def test_a_label_at_fault_stays_to_be_mended(site: Site) -> None:
    page = await site.post(ADD, {**LOGIN, "label": "a@b", "kind": "pupil"})
    assert page.status_code == 422
    assert 'value="a@b"' in page.text
    assert re.search(r'value="pupil" checked', page.text)


async def test_the_only_address_is_replaced_at_once(site: Site) -> None:
    site.join.contacts = [MOTHER]
    answer = await site.post(REPLACE, LOGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/j/{TOKEN}/done?end=replaced")
    assert "メールアドレスを入れ替えました" in (await site.get(answer.headers["location"])).text


async def test_of_several_addresses_one_is_chosen_by_its_label_and_no_password_travels(site: Site) -> None:
    page = await site.post(REPLACE, LOGIN)
    assert page.status_code == 200
    for words in ("母のスマホ", "Gmailのアドレス", "2026年1月に確認", "まだ確認されていません", "ドコモ"):
        assert words in page.text
    assert PASSWORD not in page.text
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text))
    assert fields == {"login_id": OWNER, "proof": PROOF}
    assert re.findall(r'name="contact" value="([^"]+)"', page.text) == [MOTHER.id, FATHER.id]
    answer = await site.post(REPLACE, {**fields, "contact": FATHER.id})
    assert answer.headers["location"] == f"/j/{TOKEN}/done?end=replaced"


async def test_who_chooses_none_is_asked_again(site: Site) -> None:
    page = await site.post(REPLACE, {"login_id": OWNER, "proof": PROOF})
    assert page.status_code == 422
    assert "入れ替えるメールアドレスを選んでください" in page.text


async def test_who_chooses_one_that_is_gone_sees_those_that_are_there(site: Site) -> None:
    page = await site.post(REPLACE, {"login_id": OWNER, "proof": PROOF, "contact": "c9"})
    assert page.status_code == 422
    assert "母のスマホ" in page.text
    assert PROOF in page.text


async def test_a_choice_that_took_too_long_begins_again(site: Site) -> None:
    site.join.proof_over = True
    page = await site.post(REPLACE, {"login_id": OWNER, "proof": PROOF, "contact": FATHER.id})
    assert page.status_code == 422
    assert "もう一度ログインIDとパスワードを入力" in page.text
    assert f'value="{OWNER}"' in page.text


async def test_a_browser_that_logged_in_before_says_so_at_these_forms_too(site: Site) -> None:
    async with site.client("203.0.113.9") as client:
        await client.post("/login", data=LOGIN)
        await client.post(ADD, data=LOGIN)
    (client_seen,) = site.join.clients
    assert (client_seen.network, client_seen.browser) == ("203.0.113.0/24", b"browser-number-one-of-many")


@pytest.mark.parametrize("path", ["add", "replace"])
async def test_a_dead_link_is_dead_here_too(site: Site, path: str) -> None:
    for token, status in ((OTHER_TOKEN, 404), (EXPIRED_TOKEN, 410)):
        for page in (await site.get(f"/j/{token}/{path}"), await site.post(f"/j/{token}/{path}", LOGIN)):
            assert page.status_code == status
            assert "touroku@gate.example.jp" in page.text


async def test_a_link_that_burns_at_that_very_moment_is_dead(site: Site) -> None:
    choice = ChooseContact(proof=PROOF, contacts=(MOTHER, FATHER))

    async def burn(*_: object, **__: object) -> ChooseContact:
        site.join.wrong_codes = 5
        return choice

    site.join.replace = burn  # type: ignore[method-assign]  # the moment
    assert (await site.post(REPLACE, LOGIN)).status_code == 410
