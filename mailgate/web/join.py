"""Joining: from the link of a mail to a new registration.

A link carries the right; nobody logs in here. A GET shows and changes nothing, since mail scanners open every link; what changes something
is a POST by a button, answered with 303, so that neither reloading nor the back button does it again. What was typed comes back with the
faults beside it, the password never.
"""

from collections.abc import Mapping
from typing import Final, Protocol, assert_never

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mailgate.core.registration import Fault, Form
from mailgate.journeys.join import Landing, NotRegistered
from mailgate.journeys.links import LinkDead
from mailgate.journeys.shown import Registered
from mailgate.web import forms
from mailgate.web.routes import one_of, page, see_other, token_of
from mailgate.web.texts import Tongue
from mailgate.web.views import Views

# In the order of the pages, so that the first fault named is the first one met.
FIELDS: Final = ("code", "login_id", "password", "name", "kana", "grade", "class_name", "label", "kind")
# How an address came to the registration that the last page shows, where it was not a new one.
ENDS: Final = ("added", "replaced")


class JoinJourney(Protocol):
    """What registering needs: `journeys.join.Join`."""

    async def landing(self, token: str) -> Landing | LinkDead: ...

    async def register(self, token: str, form: Form) -> Registered | NotRegistered | LinkDead: ...


class JoinPages:
    """What an invitation's link opens."""

    def __init__(self, *, join: JoinJourney, views: Views) -> None:
        self._join = join
        self._views = views

    def routes(self) -> list[Route]:
        """The pages of joining."""
        return [
            page("/j/{token}", self.landing),
            page("/j/{token}/new", self.blank, self.register),
            page("/j/{token}/done", self.done),
        ]

    async def landing(self, request: Request) -> Response:
        """What a link offers."""
        landing, tongue = await landing_of(request, self._join, self._views)
        if isinstance(landing, LinkDead):
            return self._views.dead("join", landing.reason, tongue)
        return self._views.page("landing", tongue, landing=landing, token=token_of(request))

    async def blank(self, request: Request) -> Response:
        """The form for a new registration."""
        return await self._new(request, {})

    async def register(self, request: Request) -> Response:
        """Take that form."""
        fields = await forms.fields_of(request)
        chosen = fields.get("pick", "")  # one of the free IDs we proposed
        typed = {field: fields.get(field, "") for field in FIELDS} | ({"login_id": chosen} if chosen else {})
        outcome = await self._join.register(token_of(request), Form(**typed))
        match outcome:
            case Registered():
                return see_other(self._views.tongue(request), "j", token_of(request), "done")
            case NotRegistered(faults=faults, suggestions=suggestions):
                return await self._new(request, typed, faults, suggestions)
            case LinkDead():
                return self._views.dead("join", outcome.reason, self._views.tongue(request))
            case _:
                assert_never(outcome)

    async def done(self, request: Request) -> Response:
        """What was registered, and what comes next."""
        landing, tongue = await landing_of(request, self._join, self._views)
        if isinstance(landing, LinkDead):
            return self._views.dead("join", landing.reason, tongue)
        if not landing.registered:
            return see_other(tongue, "j", token_of(request))
        return self._views.page(
            "done", tongue, registered=landing.registered, token=token_of(request), end=one_of(request, "end", ENDS)
        )

    async def _new(
        self,
        request: Request,
        typed: Mapping[str, str],
        faults: Mapping[str, Fault] | None = None,
        suggestions: tuple[str, ...] = (),
    ) -> Response:
        landing, tongue = await landing_of(request, self._join, self._views)
        if isinstance(landing, LinkDead):
            return self._views.dead("join", landing.reason, tongue)
        return self._views.page(
            "new",
            tongue,
            status=422 if faults else 200,
            form={field: typed.get(field, "") for field in FIELDS if field != "password"},
            faults=in_order(faults or {}, FIELDS),
            suggestions=suggestions,
            fields=FIELDS,
            token=token_of(request),
        )


class Landings(Protocol):
    """What says where a link leads: `journeys.join.Join`."""

    async def landing(self, token: str) -> Landing | LinkDead: ...


async def landing_of(request: Request, join: Landings, views: Views) -> tuple[Landing | LinkDead, Tongue]:
    """Where a link leads, and the language of its pages."""
    landing = await join.landing(token_of(request))
    return landing, views.tongue(request, None if isinstance(landing, LinkDead) else landing.language)


def in_order(faults: Mapping[str, str], fields: tuple[str, ...]) -> dict[str, str]:
    """Faults in the order of a page; what no field of it has comes last."""
    return dict(sorted(faults.items(), key=lambda fault: (*fields, fault[0]).index(fault[0])))
