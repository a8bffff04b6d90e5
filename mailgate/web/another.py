"""An address for an ID that is there: one more, or a new phone's in the place of an old one.

The link says which address, the password says whose ID; the school's one-time code will do instead of it. Where an ID has several
addresses, the old one is chosen on a second page, which carries a proof of 15 minutes and no password. What was left blank is told
without a look at anything, so it counts as no try.
"""

from collections.abc import Mapping
from typing import Final, Protocol, assert_never

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mailgate.journeys.join import AddRefused, ChooseContact, Landing
from mailgate.journeys.links import LinkDead
from mailgate.journeys.shown import Client, Registered
from mailgate.web import forms
from mailgate.web.join import in_order, landing_of
from mailgate.web.routes import page, see_other, token_of
from mailgate.web.security import Clients
from mailgate.web.session import Cookies
from mailgate.web.views import Views

FIELDS: Final = ("login_id", "password", "label", "kind")

# Which field a refusal is told at.
_REFUSED: Final[Mapping[str, Mapping[str, str]]] = {
    "login": {"login_id": "wrong_login"},
    "wait": {"login_id": "wait"},
    "full": {"login_id": "addresses_full"},
    "guardian_first": {"kind": "guardian_first"},
    "already": {"login_id": "already"},
    "fields": {},
}


class AnotherJourney(Protocol):
    """What these two roads need: `journeys.join.Join`."""

    async def landing(self, token: str) -> Landing | LinkDead: ...

    async def add(
        self, token: str, *, login_id: str, password: str, label: str, kind: str, client: Client
    ) -> Registered | AddRefused | LinkDead: ...

    async def replace(
        self, token: str, *, login_id: str, password: str, contact: str = "", proof: str = "", client: Client
    ) -> Registered | ChooseContact | AddRefused | LinkDead: ...


class AnotherPages:
    """Add this address to an ID, or let it take an old one's place."""

    def __init__(self, *, join: AnotherJourney, views: Views, clients: Clients, cookies: Cookies) -> None:
        self._join = join
        self._views = views
        self._clients = clients
        self._cookies = cookies

    def routes(self) -> list[Route]:
        """The two roads."""
        return [
            page("/j/{token}/add", self.blank_add, self.add),
            page("/j/{token}/replace", self.blank_replace, self.replace),
        ]

    async def blank_add(self, request: Request) -> Response:
        """The form for one more address."""
        return await self._form(request, "add", {})

    async def add(self, request: Request) -> Response:
        """Take that form."""
        typed = await self._typed(request)
        if blank := _blank(typed):
            return await self._form(request, "add", typed, blank)
        outcome = await self._join.add(
            token_of(request),
            login_id=typed["login_id"],
            password=typed["password"],
            label=typed["label"],
            kind=typed["kind"],
            client=self._client(request),
        )
        match outcome:
            case Registered():
                return self._end(request, "added")
            case AddRefused():
                return await self._form(request, "add", typed, _faults_of(outcome), outcome.wait_s)
            case LinkDead():
                return self._dead(request, outcome)
            case _:
                assert_never(outcome)

    async def blank_replace(self, request: Request) -> Response:
        """The form for a new phone."""
        return await self._form(request, "replace", {})

    async def replace(self, request: Request) -> Response:
        """Take that form, or the choice that it led to."""
        typed = await self._typed(request)
        if not typed["proof"] and (blank := _blank(typed)):
            return await self._form(request, "replace", typed, blank)
        outcome = await self._replace(request, typed)
        if isinstance(outcome, AddRefused) and outcome.reason == "fields" and typed["proof"]:
            # What was chosen is not there any more: the choice again, as it stands now.
            outcome = await self._replace(request, {**typed, "contact": ""})
        match outcome:
            case Registered():
                return self._end(request, "replaced")
            case ChooseContact():
                return await self._choose(request, typed["login_id"], outcome, again=bool(typed["proof"]))
            case AddRefused():
                faults = _faults_of(outcome)
                if typed["proof"] and outcome.reason in ("login", "fields"):
                    faults = {"login_id": "proof_over"}
                return await self._form(request, "replace", typed, faults, outcome.wait_s)
            case LinkDead():
                return self._dead(request, outcome)
            case _:
                assert_never(outcome)

    async def _typed(self, request: Request) -> dict[str, str]:
        fields = await forms.fields_of(request)
        typed = {field: fields.get(field, "") for field in (*FIELDS, "contact", "proof")}
        return typed | {"kind": typed["kind"] or "guardian"}

    async def _replace(
        self, request: Request, typed: Mapping[str, str]
    ) -> Registered | ChooseContact | AddRefused | LinkDead:
        return await self._join.replace(
            token_of(request),
            login_id=typed["login_id"],
            password=typed["password"],
            contact=typed["contact"],
            proof=typed["proof"],
            client=self._client(request),
        )

    async def _form(
        self,
        request: Request,
        name: str,
        typed: Mapping[str, str],
        faults: Mapping[str, str] | None = None,
        wait_s: int = 0,
    ) -> Response:
        landing, tongue = await landing_of(request, self._join, self._views)
        if isinstance(landing, LinkDead):
            return self._views.dead("join", landing.reason, tongue)
        return self._views.page(
            name,
            tongue,
            status=429 if wait_s else 422 if faults else 200,
            headers={"Retry-After": str(wait_s)} if wait_s else None,
            form={field: typed.get(field, "") for field in FIELDS if field != "password"},
            faults=in_order(faults or {}, FIELDS),
            wait_s=wait_s,
            fields=FIELDS if name == "add" else FIELDS[:2],  # those that the page has
            here=landing.registrations_here,
            token=token_of(request),
        )

    async def _choose(self, request: Request, login_id: str, choice: ChooseContact, *, again: bool) -> Response:
        landing, tongue = await landing_of(request, self._join, self._views)
        if isinstance(landing, LinkDead):
            return self._views.dead("join", landing.reason, tongue)
        return self._views.page(
            "choose",
            tongue,
            status=422 if again else 200,
            choice=choice,
            login_id=login_id,
            faults={"contact": "missing"} if again else {},
            token=token_of(request),
        )

    def _client(self, request: Request) -> Client:
        return Client(self._clients.network_of(request), self._cookies.browser_of(request))

    def _dead(self, request: Request, link: LinkDead) -> Response:
        return self._views.dead("join", link.reason, self._views.tongue(request))

    def _end(self, request: Request, end: str) -> Response:
        return see_other(self._views.tongue(request), "j", token_of(request), "done", end=end)


def _blank(typed: Mapping[str, str]) -> dict[str, str]:
    return {field: "missing" for field in ("login_id", "password") if not typed[field].strip()}


def _faults_of(refused: AddRefused) -> dict[str, str]:
    return {**_REFUSED[refused.reason], **refused.faults}
