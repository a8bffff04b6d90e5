"""What an owner sees and changes behind the login: the child, the password, the language, the addresses, and leaving.

An address is never shown, because it is not known here: a contact is its label, its provider and its days. Every form carries the token
of the login (`session`). A login that is over is told on the login page, and nothing that was sent with it has happened; a form of an
earlier login, from another tab or by the back button, is told so and does nothing either.

Leaving is two pages: the first asks what, the second says what it means and asks for the password.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mailgate.core.registration import Fault
from mailgate.journeys.keep import LoginRefused, Me
from mailgate.journeys.shown import ContactLine
from mailgate.journeys.words import class_words
from mailgate.web import forms
from mailgate.web.join import in_order
from mailgate.web.routes import one_of, page, see_other
from mailgate.web.session import Cookies, is_ours, ticket
from mailgate.web.texts import Tongue
from mailgate.web.views import Views

CHILD: Final = ("name", "kana", "grade", "class_name")
PASSWORDS: Final = ("old", "password")
NEWS: Final = ("child", "password", "language", "label", "removed")


class KeepJourney(Protocol):
    """What these pages need: `journeys.keep.Keep`."""

    async def me(self, session: str) -> Me | None: ...

    async def change_child(
        self, session: str, *, name: str, kana: str, grade: str, class_name: str
    ) -> Me | Mapping[str, Fault] | None: ...

    async def change_password(
        self, session: str, *, old: str, new: str
    ) -> Literal[True] | Fault | LoginRefused | None: ...

    async def change_language(self, session: str, language: str) -> bool | None: ...

    async def rename_contact(self, session: str, contact: str, label: str) -> Literal[True] | Fault | None: ...

    async def remove_contact(
        self, session: str, contact: str
    ) -> Literal["removed", "last", "unknown"] | None: ...

    async def withdraw(
        self, session: str, *, what: str, password: str
    ) -> Literal["withdrawn", "last", "unknown"] | LoginRefused | None: ...


@dataclass(frozen=True, slots=True)
class Visit:
    """A login as a request finds it, and what was posted with it."""

    session: str
    me: Me
    tongue: Tongue
    fields: Mapping[str, str]

    def contact(self, contact: str) -> ContactLine | None:
        """One of its addresses."""
        return next((line for line in self.me.contacts if line.id == contact), None)


class MePages:
    """The pages behind the login."""

    def __init__(self, *, keep: KeepJourney, views: Views, cookies: Cookies) -> None:
        self._keep = keep
        self._views = views
        self._cookies = cookies

    def routes(self) -> list[Route]:
        """The pages behind the login, and the one that is left when there is none any more."""
        return [
            page("/me", self.me),
            page("/me/child", self.me_child, self.me_child),
            page("/me/password", self.me_password, self.me_password),
            page("/me/language", self.me_language, self.me_language),
            page("/me/contact/{contact}", self.me_contact, self.me_contact),
            page("/me/withdraw", self.me_withdraw, self.me_withdraw),
            page("/me/held", self.held),
            page("/withdrawn", self.withdrawn),
        ]

    async def me(self, request: Request) -> Response:
        """Everything at a glance."""
        visit = await self._visit(request)
        if isinstance(visit, Response):
            return visit
        class_text = class_words(visit.me.grade, visit.me.class_name)
        return self._page("me", visit, news=one_of(request, "news", NEWS), class_text=class_text)

    async def held(self, request: Request) -> Response:
        """What we hold about them."""
        visit = await self._visit(request)
        return visit if isinstance(visit, Response) else self._page("held", visit)

    async def me_child(self, request: Request) -> Response:
        """Name, kana, grade, class."""
        visit = await self._visit(request)
        if isinstance(visit, Response):
            return visit
        me = visit.me
        if request.method != "POST":
            grade = "" if me.grade is None else str(me.grade)
            form = {"name": me.pupil_name, "kana": me.kana, "grade": grade, "class_name": me.class_name or ""}
            return self._page("child", visit, form=form, faults={}, fields=CHILD)
        typed = {field: visit.fields.get(field, "") for field in CHILD}
        outcome = await self._keep.change_child(visit.session, **typed)
        match outcome:
            case None:
                return self._over(request)
            case Me():
                return see_other(visit.tongue, "me", news="child")
            case faults:
                return self._page("child", visit, 422, form=typed, faults=in_order(faults, CHILD), fields=CHILD)

    async def me_password(self, request: Request) -> Response:
        """A new password."""
        visit = await self._visit(request)
        if isinstance(visit, Response):
            return visit
        if request.method != "POST":
            return self._page("password", visit, faults={}, fields=PASSWORDS)
        old, new = visit.fields.get("old", ""), visit.fields.get("password", "")
        if not old.strip() and not visit.me.set_password:
            return self._page("password", visit, 422, faults={"old": "missing"}, fields=PASSWORDS)
        outcome = await self._keep.change_password(visit.session, old=old, new=new)
        match outcome:
            case None:
                return self._over(request)
            case Fault():
                return self._page("password", visit, 422, faults={"password": outcome}, fields=PASSWORDS)
            case LoginRefused():
                return self._refused("password", visit, outcome, "old", fields=PASSWORDS)
            case _:
                return see_other(visit.tongue, "me", news="password")

    async def me_language(self, request: Request) -> Response:
        """The language of mails and pages."""
        visit = await self._visit(request)
        if isinstance(visit, Response):
            return visit
        if request.method != "POST":
            return self._page("language", visit)
        wanted = visit.fields.get("language", "")
        changed = await self._keep.change_language(visit.session, wanted)
        if changed is None:
            return self._over(request)
        if not changed:  # our form has no other value
            raise HTTPException(400)
        # From here on the registration says it: the choice in the address has done its work.
        return see_other(self._views.known(wanted), "me", news="language")

    async def me_contact(self, request: Request) -> Response:
        """One address: its label, and taking it away."""
        visit = await self._visit(request)
        if isinstance(visit, Response):
            return visit
        contact = visit.contact(str(request.path_params["contact"]))
        if contact is None:
            return self._views.page("no_contact", visit.tongue, status=404)
        if request.method != "POST":
            return self._page("contact", visit, contact=contact, typed=contact.label, faults={}, last=False)
        match visit.fields.get("action", ""):
            case "rename":
                return await self._rename(request, visit, contact)
            case "remove":
                return await self._remove(request, visit, contact)
            case _:
                raise HTTPException(400)

    async def me_withdraw(self, request: Request) -> Response:
        """Leave: what, what that means, and the button."""
        visit = await self._visit(request)
        if isinstance(visit, Response):
            return visit
        posted = request.method == "POST"
        what = visit.fields.get("what", "") if posted else request.query_params.get("what", "")
        contact = visit.contact(what)
        if what != "all" and contact is None:
            return self._page("withdraw", visit, 422 if posted else 200)
        facts = {"what": what, "contact": contact}
        if not posted:
            return self._page("withdraw_sure", visit, 200, faults={}, last=False, **facts)
        password = visit.fields.get("password", "")
        if not password.strip() and not visit.me.set_password:
            return self._page("withdraw_sure", visit, 422, faults={"password": "missing"}, last=False, **facts)
        outcome = await self._keep.withdraw(visit.session, what=what, password=password)
        match outcome:
            case None:
                return self._over(request)
            case LoginRefused():
                return self._refused("withdraw_sure", visit, outcome, "password", last=False, **facts)
            case "last":
                return self._page("withdraw_sure", visit, 409, faults={}, last=True, **facts)
            case "withdrawn" if what == "all":
                return self._cookies.end(see_other(visit.tongue, "withdrawn"))
            case _:  # gone, by this press or by an earlier one
                return see_other(visit.tongue, "me", news="removed")

    async def withdrawn(self, request: Request) -> Response:
        """What is left when everything is erased: a word."""
        return self._views.page("withdrawn", self._views.tongue(request))

    async def _visit(self, request: Request) -> Visit | Response:
        """The login of a request; else the page that says what is wrong with it."""
        fields = await forms.fields_of(request) if request.method == "POST" else {}
        session = self._cookies.session_of(request)
        me = await self._keep.me(session) if session else None
        if me is None:
            return see_other(self._views.tongue(request), "login") if request.method != "POST" else self._over(request)
        tongue = self._views.tongue(request, me.language)
        if request.method == "POST" and not is_ours(fields, session):
            return self._views.page("stale", tongue, status=403)
        return Visit(session, me, tongue, fields)

    async def _rename(self, request: Request, visit: Visit, contact: ContactLine) -> Response:
        typed = visit.fields.get("label", "")
        outcome = await self._keep.rename_contact(visit.session, contact.id, typed)
        match outcome:
            case None:
                return self._over(request)
            case Fault():
                faults = {"label": outcome}
                return self._page("contact", visit, 422, contact=contact, typed=typed, faults=faults, last=False)
            case _:
                return see_other(visit.tongue, "me", news="label")

    async def _remove(self, request: Request, visit: Visit, contact: ContactLine) -> Response:
        match await self._keep.remove_contact(visit.session, contact.id):
            case None:
                return self._over(request)
            case "last":
                return self._page("contact", visit, 409, contact=contact, typed=contact.label, faults={}, last=True)
            case _:  # gone, by this press or by an earlier one
                return see_other(visit.tongue, "me", news="removed")

    def _page(self, name: str, visit: Visit, status: int = 200, **facts: object) -> Response:
        given = {"wait_s": 0, **facts}
        return self._views.page(
            name, visit.tongue, status=status, headers=None, me=visit.me, ticket=ticket(visit.session), **given
        )

    def _refused(
        self, name: str, visit: Visit, refused: LoginRefused, field: str, **facts: object
    ) -> Response:
        """A password that was wrong, or not looked at."""
        reason = "wait" if refused.wait_s else "wrong_password"
        answer = self._page(
            name, visit, 429 if refused.wait_s else 422, faults={field: reason}, wait_s=refused.wait_s, **facts
        )
        if refused.wait_s:
            answer.headers["Retry-After"] = str(refused.wait_s)
        return answer

    def _over(self, request: Request) -> Response:
        """The login ended before this was sent; nothing was done."""
        tongue = self._views.tongue(request)
        answer = self._views.page("login", tongue, status=403, news="over", typed="", faults={}, wait_s=0)
        return self._cookies.end(answer)
