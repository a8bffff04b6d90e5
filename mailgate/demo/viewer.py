"""The caught mails, to be read in a browser: a list, newest first, and one mail with the headers that matter, its text and its links.

A page of the demo and not of the gate: it shows addresses, as the phones of the demo's people would.
"""

import re
from typing import Final

import jinja2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from mailgate.core.headers import decode_words
from mailgate.demo.catcher import Catcher, Caught
from mailgate.demo.mails import Reading, read
from mailgate.places import folder

PAGE: Final = 100
_SHOWN: Final = (
    "from", "to", "reply-to", "subject", "date", "message-id", "auto-submitted", "list-id", "list-unsubscribe", "feedback-id",
)  # fmt: skip
_LINK: Final = re.compile(r"(https?://[^\s<>]+)")
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def create_viewer(catcher: Catcher) -> Starlette:
    """The application."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder("templates") / "demo"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def page(name: str, **facts: object) -> Response:
        return HTMLResponse(templates.get_template(name).render(facts), headers=_HEADERS)

    async def mails(request: Request) -> Response:
        """So many mails before a number."""
        asked = request.query_params.get("before", "")
        end = int(asked) - 1 if re.fullmatch(r"[1-9]\d{0,8}", asked) else len(catcher.mails)
        shown = catcher.mails[max(0, end - PAGE) : end][::-1]
        return page(
            "mails.html", total=len(catcher.mails), mails=[(mail, read(mail).subject) for mail in shown], more=end > PAGE
        )

    async def mail(request: Request) -> Response:
        number = int(request.path_params["number"])
        if not 1 <= number <= len(catcher.mails):
            return HTMLResponse("there is no such mail", status_code=404, headers=_HEADERS)
        return page("mail.html", **_facts(catcher.mails[number - 1]))

    return Starlette(routes=[Route("/", mails), Route("/mails/{number:int}", mail)])


def _facts(mail: Caught) -> dict[str, object]:
    reading: Reading = read(mail)
    return {
        "mail": mail,
        "subject": reading.subject,
        "headers": [(name, decode_words(value)) for name, value in reading.headers if name.lower() in _SHOWN],
        # Every other piece is a link.
        "pieces": [(piece, index % 2 == 1) for index, piece in enumerate(_LINK.split(reading.text))],
    }
