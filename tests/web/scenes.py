"""Every page there is, in every state worth looking at: how to bring it about.

The tests about all pages (their size, their words, what a browser and a checker of accessibility say) go through this table, so a page that
is added is added here. `test_scenes` sees to it that no template is left out.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

import httpx

from mailgate.core.broadcast import Kind, State
from mailgate.core.readers import Language
from mailgate.journeys.join import AddRefused
from mailgate.web.help import CARRIERS, TOPICS
from mailgate.web.session import FIELD, ticket
from tests.web.fake_keep import OLD_TOKEN, RESET_TOKEN, SCHOOLS_CODE, UNDO_TOKEN
from tests.web.fakes import (
    COPY_TOKEN,
    EXPIRED_TOKEN,
    GOOD_FORM,
    LETTER_TOKEN,
    STOP_TOKEN,
    TOKEN,
    Site,
    a_broadcast,
)
from tests.web.people import OWNER, PASSWORD

J = f"/j/{TOKEN}"
LOGIN = {"login_id": OWNER, "password": PASSWORD}

Prepare = Callable[[Site], Awaitable[None] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A page and the way to it."""

    name: str
    path: str
    post: Mapping[str, str] | None = None
    status: int = 200
    login: str = ""  # with which password; empty: nobody logs in
    prepare: Prepare | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = ""
    staff: bool = False  # Japanese alone

    @property
    def languages(self) -> tuple[Language, ...]:
        return (Language.JA,) if self.staff else tuple(Language)


def a_scene(name: str, path: str, post: Mapping[str, str] | None = None, status: int = 200, **more: object) -> Scene:
    return Scene(name=name, path=path, post=post, status=status, **more)  # type: ignore[arg-type]  # the record's fields


async def played(scene: Scene, language: Language) -> httpx.Response:
    """The page as the application gives it."""
    site = Site()
    if scene.prepare is not None and (waiting := scene.prepare(site)) is not None:
        await waiting
    async with site.client() as client:
        post = scene.post
        if scene.login:
            entered = await client.post("/login", data={**LOGIN, "password": scene.login})
            assert entered.status_code == 303
            if post is not None:
                post = {FIELD: ticket(next(iter(site.keep.sessions))), **post}
        path = f"{scene.path}{'&' if '?' in scene.path else '?'}lang={language}"
        method = scene.method or ("GET" if post is None else "POST")
        return await client.request(method, path, data=post, headers=dict(scene.headers))


async def _register(site: Site) -> None:
    await site.post(f"{J}/new", GOOD_FORM)


async def _register_two(site: Site) -> None:
    await _register(site)
    await site.post(f"{J}/new", {**GOOD_FORM, "login_id": "jiro-y", "name": "山田 次郎", "grade": "", "class_name": ""})


async def _off_roster(site: Site) -> None:
    site.join.on_roster = False
    await _register(site)


async def _added(site: Site) -> None:
    await site.post(f"{J}/add", LOGIN)


async def _guesses(site: Site) -> None:
    for _ in range(20):
        await site.post("/", {"short_code": "00000000"})


def _free_mail(site: Site) -> None:
    site.join.free_mail, site.join.provider = True, "gmail"


def _known_here(site: Site) -> None:
    site.join.here, site.join.provider = (OWNER, "jiro-y"), "other"


def _refused(reason: str, wait_s: int = 0) -> Prepare:
    def prepare(site: Site) -> None:
        site.join.refusal = AddRefused(reason=reason, wait_s=wait_s)  # type: ignore[arg-type]  # one of its words

    return prepare


def _burnt(site: Site) -> None:
    site.join.wrong_codes = 5


def _waiting(site: Site) -> None:
    site.keep.wait_s = 130


def _one_contact(site: Site) -> None:
    site.keep.owner = replace(site.keep.owner, contacts=site.keep.owner.contacts[:1], on_roster=False, grade=None)


def _much_held(site: Site) -> None:
    """As much as one family is ever likely to leave behind."""
    lines = {line.what: line for line in site.keep.owner.held}
    about = [line for what, line in lines.items() if what not in ("session", "browser", "invitation", "change")]
    addresses = [lines[what] for what in ("contact", "proven", "paused", "no_url", "language")]
    times = {"session": 10, "browser": 10, "invitation": 8, "change": 6}
    more = [lines[what] for what, count in times.items() for _ in range(count)]
    site.keep.owner = replace(site.keep.owner, held=(*about, *addresses, *addresses, *more))


def _undone(site: Site) -> None:
    site.keep.undone = True


def _stumbling(site: Site) -> None:
    async def stumble(_token: str) -> None:
        raise RuntimeError

    site.reach.copy = stumble  # type: ignore[method-assign, assignment]  # the fault


def _confirmed(site: Site) -> Awaitable[object]:
    return site.post(f"/k/{COPY_TOKEN}")


def _paused(site: Site) -> None:
    site.stop.is_paused = True


def _sent(**changes: object) -> Prepare:
    def prepare(site: Site) -> None:
        site.send.broadcast = a_broadcast(**changes)

    return prepare


def _join() -> list[Scene]:
    bad = {"kana": "ヤマダ@", "grade": "0", "login_id": "a@b", "label": "x" * 30}
    return [
        a_scene("front", "/"),
        a_scene("front-missing", "/", {}, 422),
        a_scene("front-unknown", "/", {"short_code": "8765 4321"}, 422),
        a_scene("wait", "/", {"short_code": "00000000"}, 429, prepare=_guesses),
        a_scene("landing", J),
        a_scene("landing-free-mail", J, prepare=_free_mail),
        a_scene("landing-known", J, prepare=_known_here),
        a_scene("landing-registered", J, prepare=_register),
        a_scene("new", f"{J}/new"),
        a_scene("new-faults", f"{J}/new", bad, 422),
        a_scene("new-taken", f"{J}/new", {**GOOD_FORM, "login_id": "taro"}, 422),
        a_scene("add", f"{J}/add"),
        a_scene("add-missing", f"{J}/add", {}, 422),
        a_scene("add-login", f"{J}/add", {**LOGIN, "password": "x"}, 422),
        a_scene("add-guardian-first", f"{J}/add", LOGIN, 422, prepare=_refused("guardian_first")),
        a_scene("add-full", f"{J}/add", LOGIN, 422, prepare=_refused("full")),
        a_scene("replace", f"{J}/replace"),
        a_scene("replace-wait", f"{J}/replace", LOGIN, 429, prepare=_refused("wait", 45)),
        a_scene("replace-already", f"{J}/replace", LOGIN, 422, prepare=_refused("already")),
        a_scene("choose", f"{J}/replace", LOGIN),
        a_scene("choose-again", f"{J}/replace", {"login_id": OWNER, "proof": "proof.of-a-quarter-hour"}, 422),
        a_scene("choose-over", f"{J}/replace", {"login_id": OWNER, "proof": "old", "contact": "c1"}, 422),
        a_scene("done", f"{J}/done", prepare=_register),
        a_scene("done-two", f"{J}/done", prepare=_register_two),
        a_scene("done-off-roster", f"{J}/done", prepare=_off_roster),
        a_scene("done-added", f"{J}/done?end=added", prepare=_added),
        a_scene("done-replaced", f"{J}/done?end=replaced", prepare=_added),
        a_scene("dead-join-invalid", "/j/x", status=404),
        a_scene("dead-join-expired", f"/j/{EXPIRED_TOKEN}", status=410),
        a_scene("dead-join-burnt", J, status=410, prepare=_burnt),
    ]


def _copies() -> list[Scene]:
    return [
        a_scene("copy", f"/k/{COPY_TOKEN}"),
        a_scene("copy-confirmed", f"/k/{COPY_TOKEN}", prepare=_confirmed),
        a_scene("copy-letter", f"/k/{LETTER_TOKEN}"),
        a_scene("dead-copy", "/k/x", status=404),
        a_scene("stop", f"/stop/{STOP_TOKEN}"),
        a_scene("stop-paused", f"/stop/{STOP_TOKEN}", prepare=_paused),
        a_scene("dead-stop", "/stop/x", status=404),
    ]


def _before_login() -> list[Scene]:
    return [
        a_scene("login", "/login"),
        a_scene("login-missing", "/login", {}, 422),
        a_scene("login-wrong", "/login", {**LOGIN, "password": "x"}, 422),
        a_scene("login-wait", "/login", LOGIN, 429, prepare=_waiting),
        a_scene("login-over", "/me/child", {"name": "x"}, 403),
        a_scene("login-out", "/login?news=out"),
        a_scene("login-password", "/login?news=password"),
        a_scene("forgot", "/forgot"),
        a_scene("forgot-missing", "/forgot", {}, 422),
        a_scene("forgot-sent", "/forgot?news=sent"),
        a_scene("reset", f"/reset/{RESET_TOKEN}"),
        a_scene("reset-short", f"/reset/{RESET_TOKEN}", {"password": "x"}, 422),
        a_scene("reset-undone", f"/reset/{RESET_TOKEN}?news=undone"),
        a_scene("reset-no-place", f"/reset/{RESET_TOKEN}?news=no_place"),
        a_scene("dead-reset-invalid", "/reset/x", status=404),
        a_scene("dead-reset-expired", f"/reset/{OLD_TOKEN}", status=410),
        a_scene("undo", f"/undo/{UNDO_TOKEN}"),
        a_scene("undo-done", f"/undo/{UNDO_TOKEN}", prepare=_undone),
        a_scene("dead-undo-invalid", "/undo/x", status=404),
        a_scene("dead-undo-expired", f"/undo/{OLD_TOKEN}", status=410),
        a_scene("withdrawn", "/withdrawn"),
    ]


def _me() -> list[Scene]:
    own, code = PASSWORD, SCHOOLS_CODE
    wrong = {"old": "x", "password": "long-enough"}
    return [
        a_scene("me", "/me", login=own),
        a_scene("me-news", "/me?news=language", login=own, prepare=_one_contact),
        a_scene("me-by-code", "/me", login=code),
        a_scene("child", "/me/child", login=own),
        a_scene("child-faults", "/me/child", {"kana": "a@b"}, 422, login=own),
        a_scene("password", "/me/password", login=own),
        a_scene("password-by-code", "/me/password", login=code),
        a_scene("password-wrong", "/me/password", wrong, 422, login=own),
        a_scene("password-short", "/me/password", {"old": own, "password": "x"}, 422, login=own),
        a_scene("language", "/me/language", login=own),
        a_scene("contact", "/me/contact/c1", login=own),
        a_scene("contact-nameless", "/me/contact/c2", login=own),
        a_scene("contact-fault", "/me/contact/c1", {"action": "rename", "label": "a@b"}, 422, login=own),
        a_scene("contact-last", "/me/contact/c1", {"action": "remove"}, 409, login=own, prepare=_one_contact),
        a_scene("contact-gone", "/me/contact/c9", status=404, login=own),
        a_scene("withdraw", "/me/withdraw", login=own),
        a_scene("withdraw-all", "/me/withdraw?what=all", login=own),
        a_scene("withdraw-one", "/me/withdraw?what=c1", login=own),
        a_scene("withdraw-wrong", "/me/withdraw", {"what": "all", "password": "x"}, 422, login=own),
        a_scene("withdraw-last", "/me/withdraw", {"what": "c1", "password": own}, 409, login=own, prepare=_one_contact),
        a_scene("held", "/me/held", login=own),
        a_scene("held-much", "/me/held", login=own, prepare=_much_held),
        a_scene("logout", "/logout", login=own),
        a_scene("stale", "/me/child", {FIELD: "of another login"}, 403, login=own),
    ]


def _for_everybody() -> list[Scene]:
    foreign = {"Origin": "https://evil.example"}
    return [
        a_scene("help", "/help/"),
        *(a_scene(f"help-{topic}", f"/help/{topic}") for topic in (*TOPICS, *CARRIERS)),
        a_scene("help-faq", "/help/faq"),
        a_scene("privacy", "/privacy"),
        a_scene("problem-400", "/", status=400, headers={"Host": "evil.example"}),
        a_scene("problem-403", "/login", {}, 403, headers=foreign),
        a_scene("problem-404", "/attic", status=404),
        a_scene("problem-405", "/help/", status=405, method="DELETE"),
        a_scene("problem-413", "/login", {"login_id": "x" * 20_000}, 413),
        a_scene("problem-500", f"/k/{COPY_TOKEN}", status=500, prepare=_stumbling),
    ]


def _staff() -> list[Scene]:
    send = f"/send/{TOKEN}"
    counts = {"pending": 300, "leased": 64, "handed_over": 800, "delivered": 50, "bounced": 12, "failed": 8}
    done = {"handed_over": 1184, "delivered": 50}
    lapses_at = a_broadcast().lapses_at
    return [
        a_scene("send-draft", send, prepare=_sent(warnings=("mail_address", "url")), staff=True),
        a_scene("send-refused", send, {"action": "confirm", "pin": "000000"}, 422, staff=True),
        a_scene("send-changed", send, {"action": "confirm", "seen": "old"}, 409, staff=True),
        a_scene("send-sending", send, prepare=_sent(state=State.SENDING, counts=counts), staff=True),
        a_scene("send-halted", send, prepare=_sent(state=State.HALTED, counts={"handed_over": 3}), staff=True),
        a_scene(
            "send-done",
            send,
            prepare=_sent(state=State.DONE, kind=Kind.EMERGENCY, done_at=lapses_at, counts=done),
            staff=True,
        ),
        a_scene("dead-send-invalid", "/send/x", status=404, staff=True),
        a_scene("dead-send-expired", f"/send/{EXPIRED_TOKEN}", status=410, staff=True),
    ]


SCENES = (*_join(), *_copies(), *_before_login(), *_me(), *_for_everybody(), *_staff())


_PLAYED: dict[str, httpx.Response] = {}


async def gallery() -> Mapping[str, httpx.Response]:
    """Every scene in every language, by `name.language`; played once for all tests."""
    if not _PLAYED:
        for scene in SCENES:
            for language in scene.languages:
                _PLAYED[f"{scene.name}.{language}"] = await played(scene, language)
    return _PLAYED
