"""Last act: a copy bounces, and the gate's own counts are held against what was caught.

Whoever had to get no answer has got none only if nothing at all was caught that is not accounted for, and nothing is owed any more.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final  # Any: what commands print as JSON

from mailgate.demo.catcher import Caught
from mailgate.demo.joining import SCHOOL, silent_senders
from mailgate.demo.sending import Sent
from mailgate.demo.stage import Stage

_SETTLE_S: Final = 20.0
_LOOK_S: Final = 0.2
_KEYS: Final = ("recipients", "handed_over", "delivered", "bounced", "failed", "confirmed")
_HEAD: Final = ("audience", "kind", *(key.replace("_", " ") for key in _KEYS), "seconds")


async def bounce(stage: Stage, mail: Caught) -> None:
    """A later server gives a copy back."""
    stage.story.chapter("One copy bounces")
    await stage.hand_in(stage.pen.bounce(mail))
    stage.story.say(f"a report for {mail.recipient} (550 5.1.1) from the null sender to the copy's own return path: taken")


async def counts(stage: Stage, *, sent: Sequence[Sent], receipts: Sequence[int], completions: Sequence[Caught]) -> None:
    """The gate's counts, and whether they are right; `receipts` by broadcast, the bounce was of the last broadcast."""
    stage.story.chapter("The gate's own counts (mailgate broadcast list, outbox stats, school list)")
    listed = await _settled(stage, len(sent))
    rows: list[Sequence[object]] = [_HEAD]
    for line, each, confirmed in zip(reversed(listed), sent, receipts, strict=True):
        bounced = 1 if each is sent[-1] else 0
        rows.append((",".join(line["audience"]), line["kind"], *(line[key] for key in _KEYS), each.seconds))
        wanted: dict[str, object] = {"recipients": each.expected, "handed_over": each.expected - bounced, "bounced": bounced}
        wanted |= {"confirmed": confirmed, "state": "done", **dict.fromkeys(("delivered", "failed", "expired", "cancelled"), 0)}
        _differences(stage, f"broadcast {line['id']}", line, wanted)
    stage.story.table(rows)
    await _outbox(stage)
    await _schools(stage)
    _everything(stage, sent, completions)


async def _settled(stage: Stage, broadcasts: int) -> list[dict[str, Any]]:
    """The broadcasts, when all are done; newest first."""
    try:
        async with asyncio.timeout(_SETTLE_S):
            while True:
                listed: list[dict[str, Any]] = await stage.gate.listed("broadcast", "list")
                if len(listed) == broadcasts and all(line["state"] == "done" for line in listed):
                    return listed
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        return await stage.gate.listed("broadcast", "list")  # type: ignore[no-any-return]  # it is JSON


def _differences(stage: Stage, what: str, line: dict[str, Any], expected: dict[str, object]) -> None:
    for key, value in expected.items():
        stage.story.check(line[key] == value, f"{what}: {key} is {line[key]} and should be {value}")


async def _outbox(stage: Stage) -> None:
    """All that was ever owed was handed over, and one of it bounced."""
    stats = await stage.gate.listed("outbox", "stats")
    caught = len(stage.catcher.mails)
    stage.story.say(f"outbox: {stats['handed_over']:,} handed over, {stats['bounced']} bounced, {stats['pending']} pending")
    expected: dict[str, object] = dict.fromkeys(("pending", "leased", "delivered", "failed", "expired", "cancelled"), 0)
    _differences(stage, "outbox", stats, expected | {"handed_over": caught - 1, "bounced": 1})


async def _schools(stage: Stage) -> None:
    for line in await stage.gate.listed("school", "list"):
        pupils = [pupil for pupil in stage.city.pupils if pupil.school == line["slug"]]
        registered = sum(pupil.registered for pupil in pupils)
        new = " (some of them since the demo began)" if line["slug"] == SCHOOL else ""
        stage.story.say(f"{line['name']}: {line['pupils']} pupils, {line['registered']} registered{new}")
        _differences(stage, line["slug"], line, {"pupils": len(pupils), "registered": registered})


def _everything(stage: Stage, sent: Sequence[Sent], completions: Sequence[Caught]) -> None:
    """Every mail that was caught has its reason, and every reason its mail."""
    owed = Counter(completion.recipient for completion in completions)  # the invitations
    owed += Counter(completion.recipient for completion in completions)
    for each in sent:
        owed[each.plan.member["address"]] += 1  # the preview
        owed += Counter(stage.city.audience(each.plan.school).keys())
    got = Counter(mail.recipient for mail in stage.catcher.mails)
    for address in (owed - got) + (got - owed):
        stage.story.check(False, f"mails in all to {address}: {got[address]}, and there should be {owed[address]}")
    answered = [sender for sender in silent_senders() if got[sender]]
    stage.story.check(not answered, f"automatic mail was answered: {', '.join(answered)}")
    if got == owed:
        stage.story.say(f"{got.total():,} mails were caught in all: each has its reason, none came twice, none is missing;")
        stage.story.say("  nothing came for the senders of automatic mail")


async def privacy(stage: Stage) -> None:
    """No address stands in the files of the running gate."""
    addresses = stage.city.addresses | {row["address"] for row in stage.city.staff}
    files = [path for path in sorted(stage.gate.folder.iterdir()) if path.name.startswith(("mailgate.db", "mailgate.log"))]
    octets = sum(path.stat().st_size for path in files)
    found = await asyncio.to_thread(lambda: sorted(_found(files, addresses)))
    for path, address in found:
        stage.story.check(False, f"{path} holds the address {address}")
    if not found:
        names = ", ".join(path.name for path in files)
        stage.story.say(f"none of {len(addresses):,} addresses stands in {names} ({octets / 1e6:.1f} MB)")


def _found(files: Sequence[Path], addresses: frozenset[str]) -> Iterator[tuple[str, str]]:
    for path in files:
        content = path.read_bytes().lower()
        domains = {domain for domain in {address.rpartition("@")[2] for address in addresses} if f"@{domain}".encode() in content}
        for address in addresses:
            if address.rpartition("@")[2] in domains and address.lower().encode() in content:
                yield path.name, address
