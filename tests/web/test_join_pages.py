"""From the code or the link of a mail to a registration."""

import re

import pytest

from tests.web.fakes import EXPIRED_TOKEN, GOOD_FORM, OTHER_TOKEN, TOKEN, Site

NEW = f"/j/{TOKEN}/new"
PASSWORD = GOOD_FORM["password"]


async def test_a_short_code_leads_to_its_link(site: Site) -> None:
    for typed in ("12345678", "1234 5678", "１２３４－５６７８", " 1234\u30005678 "):
        answer = await site.post("/", {"short_code": typed})
        assert (answer.status_code, answer.headers["location"]) == (303, f"/j/{TOKEN}")


@pytest.mark.parametrize(
    "typed, words",
    [
        ("", "番号を入力してください"),
        ("1234567", "8けたの数字で"),
        ("abc", "8けたの数字で"),
        ("87654321", "この番号では開けません"),
    ],
)
async def test_a_wrong_short_code_is_told_and_stays(site: Site, typed: str, words: str) -> None:
    answer = await site.post("/", {"short_code": typed})
    assert answer.status_code == 422
    assert words in answer.text
    assert f'value="{typed}"' in answer.text
    assert 'role="alert"' in answer.text


async def test_what_cannot_be_a_code_is_not_looked_up(site: Site) -> None:
    await site.post("/", {"short_code": "1234"})
    assert site.join.redeemed == []


async def test_the_front_says_what_to_do_when_no_mail_came(site: Site) -> None:
    page = (await site.get("/")).text
    for words in (
        "touroku@gate.example.jp",
        "gate.example.jp</strong> からのメール",
        "迷惑メール",
        "/help/no-mail",
        "0120-000-000",
    ):
        assert words in page


async def test_a_link_offers_a_new_registration_and_tells_until_when(site: Site) -> None:
    page = await site.get(f"/j/{TOKEN}")
    assert page.status_code == 200
    assert re.search(rf'<a class="button" href="/j/{TOKEN}/new">新規登録の人はこちら</a>', page.text)
    assert "2026年1月2日（金）0時まで" in page.text
    assert "ドコモ" in page.text
    assert "フリーメール" not in page.text


async def test_a_free_mail_address_is_warned_about_and_not_refused(site: Site) -> None:
    site.join.free_mail, site.join.provider = True, "gmail"
    page = (await site.get(f"/j/{TOKEN}")).text
    assert "フリーメール" in page
    assert "新規登録の人はこちら" in page


async def test_an_unknown_provider_is_not_named(site: Site) -> None:
    site.join.provider = "other"
    page = await site.get(f"/j/{TOKEN}")
    assert page.status_code == 200
    assert "受け取ったメールアドレス</strong>" in page.text


async def test_a_registration_ends_on_its_page_by_303(site: Site) -> None:
    answer = await site.post(NEW, GOOD_FORM)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/j/{TOKEN}/done")
    page = (await site.get(f"/j/{TOKEN}/done")).text
    for words in ("登録が終わりました", "山田 花子", "北小学校 3年 1", "hanako-y", "もう一人のお子さまを登録する"):
        assert words in page
    assert PASSWORD not in page


async def test_the_form_sent_twice_ends_the_same_way(site: Site) -> None:
    first = await site.post(NEW, GOOD_FORM)
    second = await site.post(NEW, GOOD_FORM)
    assert (first.status_code, first.headers["location"]) == (second.status_code, second.headers["location"])
    assert len(site.join.registered) == 1


async def test_a_sibling_registers_by_the_same_link(site: Site) -> None:
    await site.post(NEW, GOOD_FORM)
    await site.post(NEW, {**GOOD_FORM, "login_id": "jiro-y", "name": "山田 次郎", "grade": "", "class_name": ""})
    done = (await site.get(f"/j/{TOKEN}/done")).text
    assert done.index("山田 次郎") < done.index("山田 花子")
    assert "分かったあとで学校が入れます" in done
    landing = (await site.get(f"/j/{TOKEN}")).text
    assert "登録済みのお子さま" in landing
    assert "もう一人のお子さまを登録する" in landing


async def test_before_anything_is_registered_there_is_no_end_to_look_at(site: Site) -> None:
    answer = await site.get(f"/j/{TOKEN}/done")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/j/{TOKEN}")


async def test_all_faults_are_told_at_once_beside_their_fields(site: Site) -> None:
    answer = await site.post(NEW, {"kana": "ヤマダ@", "grade": "0"})
    assert answer.status_code == 422
    assert "<title>エラー：" in answer.text
    for field in ("code", "login_id", "password", "name", "kana", "grade"):
        assert f'id="{field}-fault"' in answer.text
        assert re.search(
            rf'id="{field}"[^>]*aria-describedby="{field}-hint {field}-fault" aria-invalid="true"', answer.text
        )
        assert f'<a href="#{field}">' in answer.text
    assert 'id="label-fault"' not in answer.text


async def test_what_was_typed_stays_but_never_the_password(site: Site) -> None:
    typed = {**GOOD_FORM, "code": "WRONG", "name": '<b>"髙橋 𠮷"', "kind": "pupil"}
    page = (await site.post(NEW, typed)).text
    assert 'value="&lt;b&gt;&#34;髙橋 𠮷&#34;"' in page
    assert '<option value="3" selected>' in page
    assert re.search(r'value="pupil" checked', page)
    assert re.search(r'value="guardian">', page)
    for field in ("login_id", "kana", "class_name", "label"):
        assert f'value="{typed[field]}"' in page
    assert PASSWORD not in page
    assert "パスワードは残していません" in page


async def test_a_taken_id_comes_with_free_ones_to_choose(site: Site) -> None:
    page = await site.post(NEW, {**GOOD_FORM, "login_id": "taro"})
    assert page.status_code == 422
    assert "ほかの方が使っています" in page.text
    choices = re.findall(r'<input type="radio" name="pick" value="([^"]+)">', page.text)
    assert choices == ["taro2023", "taro2023-1", "taro-2023a"]
    await site.post(NEW, {**GOOD_FORM, "login_id": "taro", "pick": choices[0]})
    assert site.join.registered[0].login_id == "taro2023"


async def test_a_choice_left_alone_takes_what_was_typed(site: Site) -> None:
    await site.post(NEW, {**GOOD_FORM, "pick": ""})
    assert site.join.registered[0].login_id == "hanako-y"


async def test_a_pupil_with_three_addresses_is_told_so(site: Site) -> None:
    site.join.full = True
    page = await site.post(NEW, GOOD_FORM)
    assert page.status_code == 422
    assert "すでに3件のメールアドレス" in page.text


async def test_a_fault_of_no_field_is_told_all_the_same(site: Site) -> None:
    page = await site.post(NEW, {**GOOD_FORM, "kind": "teacher"})
    assert page.status_code == 422
    assert "選び直してください" in page.text


async def test_five_wrong_codes_end_on_the_page_of_a_burnt_link(site: Site) -> None:
    for _ in range(4):
        assert (await site.post(NEW, {**GOOD_FORM, "code": "WRONG"})).status_code == 422
    last = await site.post(NEW, {**GOOD_FORM, "code": "WRONG"})
    assert last.status_code == 410
    assert "認証コードの間違いが続いた" in last.text
    assert "空メールを送ってください" in last.text
    assert (await site.get(f"/j/{TOKEN}")).content == last.content


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("end", ["", "/new", "/done"])
async def test_a_dead_link_says_what_to_do_on_every_page(site: Site, method: str, end: str) -> None:
    if method == "POST" and end != "/new":
        return
    for token, status in ((EXPIRED_TOKEN, 410), (OTHER_TOKEN, 404)):
        page = await site.client().request(
            method, f"/j/{token}{end}", data=dict(GOOD_FORM) if method == "POST" else None
        )
        assert page.status_code == status
        assert "touroku@gate.example.jp" in page.text


async def test_links_that_were_never_ours_look_the_same_to_the_byte(site: Site) -> None:
    altered = [OTHER_TOKEN, TOKEN[:-1], TOKEN + "x", "x", "%00", "%0a", "あ", "a" * 3000, '"><script>']
    pages = [await site.get(f"/j/{token}") for token in altered]
    assert {page.status_code for page in pages} == {404}
    assert len({page.content for page in pages}) == 1
    assert len({tuple(sorted(page.headers.items())) for page in pages}) == 1


async def test_the_form_works_without_the_optional_fields(site: Site) -> None:
    required = {field: GOOD_FORM[field] for field in ("code", "login_id", "password", "name")}
    assert (await site.post(NEW, required)).status_code == 303


async def test_an_address_that_is_registered_already_is_told_so(site: Site) -> None:
    site.join.here = ("hanako-y", "jiro-y")
    page = (await site.get(f"/j/{TOKEN}")).text
    for words in ("登録されています", "hanako-y", "jiro-y", "もう一度登録する必要はありません"):
        assert words in page


async def test_a_child_on_no_roster_is_told_what_to_check(site: Site) -> None:
    site.join.on_roster = False
    await site.post(NEW, GOOD_FORM)
    page = (await site.get(f"/j/{TOKEN}/done")).text
    for words in ("名簿に同じお名前が見つかりませんでした", "学校全体への連絡は届きます", "カナ"):
        assert words in page


@pytest.mark.parametrize("language, words", [("ja", "登録の手続き"), ("easy", "<ruby>登録"), ("en", "Registration")])
async def test_the_pages_of_a_link_speak_the_language_of_its_address(site: Site, language: str, words: str) -> None:
    site.join.language = language
    for end in ("", "/new", "/add", "/replace"):
        page = await site.get(f"/j/{TOKEN}{end}", Accept_Language="fr")
        assert f'<html lang="{"en" if language == "en" else "ja"}">' in page.text
    assert words in (await site.get(f"/j/{TOKEN}")).text


async def test_the_language_that_was_asked_for_goes_along_from_page_to_page(site: Site) -> None:
    landing = await site.get(f"/j/{TOKEN}?lang=en")
    assert f'href="/j/{TOKEN}/new?lang=en"' in landing.text
    form = await site.get(f"/j/{TOKEN}/new?lang=en")
    assert f'action="/j/{TOKEN}/new?lang=en"' in form.text
    done = await site.post(f"/j/{TOKEN}/new?lang=en", GOOD_FORM)
    assert done.headers["location"] == f"/j/{TOKEN}/done?lang=en"
    assert "You are registered" in (await site.get(done.headers["location"])).text
