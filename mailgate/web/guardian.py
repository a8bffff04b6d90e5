"""Guardians' pages: from the code or the link of a mail to a registration, a receipt, a stop.

A link carries the right; nobody logs in here. A GET shows and changes nothing, since mail scanners open every link; what changes
something is a POST by a button, answered with 303, so that neither reloading nor the back button does it again. The one POST without a
redirect is a mail provider's one-click stop (RFC 8058 §3.1 forbids one).

What was typed comes back with the faults beside it, the password never.
"""

from collections.abc import Mapping
from typing import Final, Protocol, assert_never

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mailgate.core.broadcast import TAG
from mailgate.core.instants import MINUTE, SECOND, later
from mailgate.core.registration import Fault, Form
from mailgate.core.tokens import read_short_code
from mailgate.journeys.join import Landing, NotRegistered, Registered
from mailgate.journeys.links import LinkDead
from mailgate.journeys.reach import CopyView
from mailgate.runtime import Clock
from mailgate.web import forms
from mailgate.web.routes import page, see_other, token_of
from mailgate.web.security import Clients, Refused, Tries
from mailgate.web.views import Views

FIELDS: Final = ("code", "login_id", "password", "name", "kana", "grade", "class_name", "label", "kind")
_SHOWN_AGAIN: Final = tuple(field for field in FIELDS if field != "password")


class JoinJourney(Protocol):
    """What registering needs: `journeys.join.Join`."""

    async def landing(self, token: str) -> Landing | LinkDead: ...

    async def redeem(self, short_code: str) -> str | None: ...

    async def register(self, token: str, form: Form) -> Registered | NotRegistered | LinkDead: ...


class ReachJourney(Protocol):
    """What a copy's page needs: `journeys.reach.Reach`."""

    async def copy(self, token: str) -> CopyView | None: ...

    async def confirm(self, token: str) -> bool: ...


class StopJourney(Protocol):
    """What stopping needs: `journeys.stop.Stop`."""

    async def paused(self, token: str) -> bool | None: ...

    async def pause(self, token: str) -> bool: ...

    async def resume(self, token: str) -> bool: ...


class JoinPages:
    """From the short code or the link to a registration."""

    def __init__(self, *, join: JoinJourney, views: Views, tries: Tries, clients: Clients, clock: Clock) -> None:
        self._join = join
        self._views = views
        self._tries = tries
        self._clients = clients
        self._clock = clock

    def routes(self) -> list[Route]:
        """The pages of joining."""
        return [
            page("/", self.front, self.redeem),
            page("/j/{token}", self.landing),
            page("/j/{token}/new", self.blank, self.register),
            page("/j/{token}/done", self.done),
        ]

    async def front(self, _request: Request) -> Response:
        """Where the code of the reply mail is typed."""
        return self._front()

    async def redeem(self, request: Request) -> Response:
        """From a code to its link."""
        typed = (await forms.fields_of(request)).get("short_code", "").strip()
        code = read_short_code(typed)
        if code is None:  # what is no code is no guess either
            return self._front(typed, {"short_code": "not_a_code" if typed else "missing"}, status=422)
        network = self._clients.network_of(request)
        refused = self._tries.begin(network)
        if refused is not None:
            return self._too_many(refused)
        token = await self._join.redeem(code)
        if token is None:
            return self._front(typed, {"short_code": "unknown_short_code"}, status=422)
        self._tries.forgive(network)
        return see_other("j", token)

    async def landing(self, request: Request) -> Response:
        """What a link offers."""
        landing = await self._join.landing(token_of(request))
        if isinstance(landing, LinkDead):
            return self._views.dead("join", landing.reason)
        return self._views.page("landing", landing=landing, token=token_of(request))

    async def blank(self, request: Request) -> Response:
        """The form."""
        landing = await self._join.landing(token_of(request))
        if isinstance(landing, LinkDead):
            return self._views.dead("join", landing.reason)
        return self._form(token_of(request), {})

    async def register(self, request: Request) -> Response:
        """Take the form."""
        fields = await forms.fields_of(request)
        chosen = fields.get("pick", "")  # one of the free IDs we proposed
        typed = {field: fields.get(field, "") for field in FIELDS} | ({"login_id": chosen} if chosen else {})
        outcome = await self._join.register(token_of(request), Form(**typed))
        match outcome:
            case Registered():
                return see_other("j", token_of(request), "done")
            case NotRegistered(faults=faults, suggestions=suggestions):
                return self._form(token_of(request), typed, faults, suggestions)
            case LinkDead(reason):
                return self._views.dead("join", reason)
            case _:
                assert_never(outcome)

    async def done(self, request: Request) -> Response:
        """What was registered, and what comes next."""
        landing = await self._join.landing(token_of(request))
        if isinstance(landing, LinkDead):
            return self._views.dead("join", landing.reason)
        if not landing.registered:
            return see_other("j", token_of(request))
        return self._views.page("done", registered=landing.registered, token=token_of(request))

    def _front(self, typed: str = "", faults: Mapping[str, str] | None = None, *, status: int = 200) -> Response:
        return self._views.page("front", status=status, typed=typed, faults=faults or {})

    def _form(
        self,
        token: str,
        typed: Mapping[str, str],
        faults: Mapping[str, Fault] | None = None,
        suggestions: tuple[str, ...] = (),
    ) -> Response:
        # In the order of the page, so that the first fault named is the first one met; what no field has comes last.
        ordered = sorted((faults or {}).items(), key=lambda fault: (*FIELDS, fault[0]).index(fault[0]))
        return self._views.page(
            "new",
            status=422 if faults else 200,
            form={field: typed.get(field, "") for field in _SHOWN_AGAIN},
            faults=dict(ordered),
            suggestions=suggestions,
            fields=FIELDS,
            token=token,
        )

    def _too_many(self, refused: Refused) -> Response:
        wait_s = -(-(refused.free_at - self._clock.now()) // SECOND)
        return self._views.page(
            "problems/429",
            status=429,
            headers={"Retry-After": str(max(1, wait_s))},
            free_at=later(refused.free_at, MINUTE - 1),  # the page names whole minutes
        )


class CopyPages:
    """A copy's page with its button, and the way to stop and back."""

    def __init__(self, *, reach: ReachJourney, stop: StopJourney, views: Views) -> None:
        self._reach = reach
        self._stop = stop
        self._views = views

    def routes(self) -> list[Route]:
        """The pages that a mail of ours leads to."""
        return [
            page("/k/{token}", self.copy, self.confirm),
            page("/stop/{token}", self.stop, self.press),
        ]

    async def copy(self, request: Request) -> Response:
        """A broadcast, or the completion mail, as a page."""
        copy = await self._reach.copy(token_of(request))
        if copy is None:
            return self._views.dead("copy")
        return self._views.page("copy", copy=copy, token=token_of(request), kind_words=TAG[copy.kind])

    async def confirm(self, request: Request) -> Response:
        """確認しました."""
        await forms.body_of(request)  # bounded; there is nothing in it to look at
        if not await self._reach.confirm(token_of(request)):
            return self._views.dead("copy")
        return see_other("k", token_of(request))

    async def stop(self, request: Request) -> Response:
        """Whether ordinary mail comes, and the button to change that."""
        paused = await self._stop.paused(token_of(request))
        return self._shown(token_of(request), paused=paused)

    async def press(self, request: Request) -> Response:
        """Stop or go on, by our button or by a mail provider's."""
        body = await forms.body_of(request)
        token = token_of(request)
        if forms.is_one_click(body):
            known = await self._stop.pause(token)
            return self._shown(token, paused=True if known else None)
        match forms.read_fields(body).get("action", "pause"):
            case "pause":
                known = await self._stop.pause(token)
            case "resume":
                known = await self._stop.resume(token)
            case _:
                raise HTTPException(400)
        return see_other("stop", token) if known else self._shown(token, paused=None)

    def _shown(self, token: str, *, paused: bool | None) -> Response:
        return self._views.dead("stop") if paused is None else self._views.page("stop", paused=paused, token=token)
