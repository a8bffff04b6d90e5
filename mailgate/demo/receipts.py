"""Receipts: guardians say that they have read a mail, by an empty reply or by pressing the button on its page."""

from mailgate.demo import browser
from mailgate.demo.catcher import Caught
from mailgate.demo.mails import read
from mailgate.demo.stage import Stage
from mailgate.demo.story import Amiss

_CONFIRMED = "確認済みです"


async def by_reply(stage: Stage, mail: Caught) -> None:
    """Send an empty reply, and look whether it counts."""
    reply = stage.pen.empty_reply(mail)
    if not reply.recipient.startswith("k+"):
        raise Amiss(f"a mail that asks for a reply has the Reply-To {reply.recipient}")
    await stage.hand_in(reply)
    page = await browser.get(_link(mail))
    stage.story.check(page.says(_CONFIRMED), f"the empty reply of {mail.recipient} is no receipt")


async def by_press(stage: Stage, mail: Caught) -> None:
    """Press the button on the page; opening it alone confirms nothing."""
    page = await browser.get(_link(mail))
    stage.story.check(not page.says(_CONFIRMED), f"opening the page is a receipt already: {mail.recipient}")
    page = await browser.send(page, {})
    stage.story.check(
        page.redirected and page.says(_CONFIRMED), f"the press of {mail.recipient} is no receipt: {page.status}"
    )


def _link(mail: Caught) -> str:
    found = read(mail).links("/k/")
    if len(found) != 1:
        raise Amiss(f"a mail to {mail.recipient} has {len(found)} links of receipt and should have one")
    return found[0]
