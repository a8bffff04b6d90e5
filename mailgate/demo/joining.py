"""First act: phones send blank mails, and families register by what comes back.

Every mail in data/phones is sent as it is. Whoever must get an answer reads it, opens its one link, fills the form and reads the
completion mail; one family wants a login ID that is taken and chooses one of those offered.
"""

import csv
import re
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from mailgate.demo import browser
from mailgate.demo.browser import Page
from mailgate.demo.catcher import Caught
from mailgate.demo.children import PASSWORD, Child, children
from mailgate.demo.mails import read
from mailgate.demo.stage import Stage, box
from mailgate.demo.story import Amiss
from mailgate.demo.wire import Outgoing
from mailgate.places import folder

SCHOOL: Final = "kita-es"
# One line a phone: file, sender, what happened.
_WIDTHS: Final = (23, 40)
_SHORT_CODE: Final = re.compile(r"(?m)^\d{4} \d{4}$")
_WANTS_TAKEN_ID: Final = 1  # the second family


async def phones(stage: Stage) -> list[Caught]:
    """Everybody joins; the completion mails, in order."""
    with (folder("data") / "phones" / "senders.csv").open(encoding="ascii", newline="") as file:
        rows = list(csv.DictReader(file))
    answered = [row for row in rows if row["expect"] == "reply"]
    silent = [row for row in rows if row["expect"] == "silence"]
    families = children()
    if len(families) < len(answered):
        raise Amiss(f"{len(answered)} phones are to register, and the demo knows {len(families)} children")
    code = (await stage.gate.listed("school", "code", SCHOOL))["code"]

    stage.story.chapter(f"{len(answered)} blank mails as phones really send them, each to a registration")
    stage.story.say(f"the code on the sheet of {stage.city.schools[SCHOOL]} is {code}")
    completions = []
    for number, (row, child) in enumerate(zip(answered, families, strict=False)):
        if number == _WANTS_TAKEN_ID:
            child = replace(child, login_id=stage.city.taken_login_id)
        completions.append(await _join(stage, row, child, code))

    stage.story.chapter(f"{len(silent)} mails that must get no answer (whether they got one is looked at when all is over)")
    for row in silent:
        await stage.hand_in(_blank(row))
        stage.story.say(row["file"].removesuffix(".eml"), row["sender"], "taken", widths=_WIDTHS)
    return completions


def silent_senders() -> list[str]:
    """Who must not get a mail."""
    with (folder("data") / "phones" / "senders.csv").open(encoding="ascii", newline="") as file:
        return [row["sender"] for row in csv.DictReader(file) if row["expect"] == "silence" and row["sender"] != "<>"]


def _blank(row: dict[str, str]) -> Outgoing:
    sender = "" if row["sender"] == "<>" else row["sender"]
    content = (folder("data") / "phones" / row["file"]).read_bytes()
    return Outgoing(sender=sender, recipient=box("touroku"), content=content)


async def _join(stage: Stage, row: dict[str, str], child: Child, code: str) -> Caught:
    """From a blank mail to a completion mail."""
    sender, began = row["sender"], stage.clock.monotonic()
    since = len(stage.catcher.mails)
    await stage.hand_in(_blank(row))
    invitation = await stage.next_mail(sender, since=since, what="the invitation")
    reading, since = read(invitation), len(stage.catcher.mails)
    stage.story.check(_SHORT_CODE.search(reading.text) is not None, f"the invitation to {sender} has no short code")
    done, remark = await _register(reading.link, child, code)
    stage.city.enter(SCHOOL, child.name, [sender])
    completion = await stage.next_mail(sender, since=since, what="the completion mail")
    stage.story.check(child.name in read(completion).text, f"the completion mail to {sender} does not name {child.name}")
    what = f"invited after {invitation.at - began:.2f} s, registered {child.name}, {_place(stage, done, child)}"
    stage.story.say(row["file"].removesuffix(".eml"), sender, what, widths=_WIDTHS)
    if remark:
        stage.story.say("", "", remark, widths=_WIDTHS)
    return completion


def _place(stage: Stage, done: Page, child: Child) -> str:
    """The class that the page names after registering."""
    found = re.search(rf"<dd>{stage.city.schools[SCHOOL]}([^<（]*)", done.html)
    if found is None or not done.says(f"<dd>{child.name} さん</dd>"):
        raise Amiss(f"the page after registering does not name {child.name} and the school")
    return found[1].strip() or "class not known yet"


async def _register(link: str, child: Child, code: str) -> tuple[Page, str]:
    """From the link in the invitation to the page that says it is done, and what was remarkable."""
    landing = await browser.get(link)
    to_form = [found for found in landing.links if urlsplit(found).path.endswith("/new")]
    if len(to_form) != 1:
        raise Amiss(f"the page of the invitation has {len(to_form)} links to the form and should have one")
    typed = {
        "code": code,
        "login_id": child.login_id,
        "password": PASSWORD,
        "name": child.name,
        "kana": child.kana,
        "grade": child.grade,
        "class_name": child.class_name,
        "label": child.label,
    }
    page = await browser.send(await browser.get(to_form[0]), typed)
    remark = ""
    if page.status == 422 and "pick" in page.form.choices:
        offered = [choice for choice in page.form.choices["pick"] if choice]
        if len(offered) != 3:
            raise Amiss(f"{len(offered)} login IDs were offered instead of one that is taken, and should have been three")
        remark = f"the ID {child.login_id} was taken: chose {offered[0]} of {', '.join(offered)}"
        page = await browser.send(page, {"password": PASSWORD, "pick": offered[0]})
    if not page.redirected or page.status != 200:
        raise Amiss(f"the form was answered by {page.status}: {' '.join(page.faults)}")
    return page, remark
