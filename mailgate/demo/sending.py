"""Second act: staff write to an audience, look at the preview, confirm it with the PIN, and everybody gets the copy, once.

What is caught is held against the city's files: to whom, how often, and which children each copy names.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mailgate.demo import browser
from mailgate.demo.catcher import Caught
from mailgate.demo.city import Row
from mailgate.demo.mails import read
from mailgate.demo.stage import Stage, box
from mailgate.demo.story import Amiss, Story
from mailgate.demo.wire import Outgoing
from mailgate.journeys.sample import SAMPLE_PIN

_ALL_COPIES_S: Final = 120.0
_FEWEST: Final = 3  # the families who are going to confirm
_COUNTED: Final = re.compile(r"メールを送るアドレス：([\d,]+)件")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What somebody of the staff wants to send; `school` None is the whole city."""

    member: Row
    audience: str
    school: str | None
    subject: str
    text: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A broadcast that went out; seconds are counted from the press on the page."""

    plan: Plan
    copies: tuple[Caught, ...]
    expected: int
    seconds: float


async def broadcast(stage: Stage, plan: Plan) -> Sent:
    """From the staff member's mail to the last copy."""
    stage.story.chapter(f"{plan.member['name']} writes to {box('haishin', plan.audience)}: {plan.subject}")
    expected = stage.city.audience(plan.school)
    link = await _preview(stage, plan, len(expected))
    page = await browser.get(link)
    since, pressed = len(stage.catcher.mails), stage.clock.monotonic()
    page = await browser.send(page, {"action": "confirm", "pin": SAMPLE_PIN})
    if not page.redirected or page.status != 200:
        raise Amiss(f"the confirmation was answered by {page.status}")
    stage.story.say(f"opened its link, gave the PIN and pressed confirm: answered after {stage.clock.monotonic() - pressed:.2f} s")
    await stage.catcher.until(lambda: len(stage.catcher.mails) - since >= len(expected), timeout_s=_ALL_COPIES_S)
    copies = tuple(stage.catcher.mails[since:])
    if len(copies) < _FEWEST:
        raise Amiss(f"only {len(copies)} copies came within {_ALL_COPIES_S:.0f} s, and {len(expected):,} should have")
    first, last = copies[0].at - pressed, copies[-1].at - pressed
    stage.story.say(f"first copy after {first:.2f} s, all {len(copies):,} after {last:.2f} s")
    compare(stage.story, plan, copies, expected)
    return Sent(plan=plan, copies=copies, expected=len(expected), seconds=last)


async def _preview(stage: Stage, plan: Plan, addresses: int) -> str:
    """Write the mail and read the preview; the link in it."""
    member, since, began = plan.member, len(stage.catcher.mails), stage.clock.monotonic()
    mail: Outgoing = stage.pen.staff_mail(
        sender=member["address"],
        name=member["name"],
        recipient=box("haishin", plan.audience),
        subject=plan.subject,
        text=f"{plan.text}\n-- \n{plan.signature}\n",
    )
    await stage.hand_in(mail)
    preview = await stage.next_mail(member["address"], since=since, what="the preview")
    reading = read(preview)
    links = reading.links("/send/")
    if len(links) != 1:
        raise Amiss(f"the preview has {len(links)} links to its page and should have one")
    counted = _COUNTED.search(reading.text)
    told = int(counted[1].replace(",", "")) if counted else None
    stage.story.say(f"preview after {preview.at - began:.2f} s: {reading.subject}")
    stage.story.say(f"  it counts {told or 0:,} addresses and has cut the signature")
    stage.story.check(told == addresses, f"the preview counts {told} addresses, the city has {addresses}")
    stage.story.check(plan.text in reading.text, "the preview does not show the text as it was written")
    body = reading.text.partition(plan.text)[2].partition("-" * 30)[0]
    stage.story.check(plan.signature not in body, "the preview shows the signature as text")
    return links[0]


def compare(story: Story, plan: Plan, copies: Sequence[Caught], expected: Mapping[str, tuple[str, ...]]) -> None:
    """Each address of the audience exactly once, nobody else, and the right children in each copy."""
    got = Counter(copy.recipient for copy in copies)
    faults = {
        "of the audience without a copy": [address for address in expected if address not in got],
        "with more than one copy": [address for address, times in got.items() if times > 1],
        "outside the audience with a copy": [address for address in got if address not in expected],
    }
    readings = {copy.recipient: read(copy) for copy in copies}
    known = [address for address in readings if address in expected]
    faults["with a copy that names other children than theirs"] = [
        address for address in known if readings[address].children != expected[address]
    ]
    faults["with a copy whose To: is not they alone"] = [
        address for address in known if readings[address].to != f"<{address}>"
    ]
    faults["with another subject or text"] = [
        address
        for address in known
        if readings[address].subject != plan.subject or plan.text not in readings[address].text
    ]
    for what, addresses in faults.items():
        story.check(not addresses, f"addresses {what}: {len(addresses)}, such as {', '.join(addresses[:3])}")
    senders = len({copy.sender for copy in copies})
    story.check(senders == len(copies), f"{len(copies)} copies have {senders} return paths and should have one each")
    if not any(faults.values()):
        several = sum(len(names) > 1 for names in expected.values())
        story.say(f"RCPT TO: each of the {len(expected):,} addresses of the audience exactly once, and no other;")
        story.say(f"  every copy names the right children, {several} of them more than one")
