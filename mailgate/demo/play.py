"""The play: who comes on in which order, from an empty folder to the counts, and what stays up afterwards.

Whatever ends it (its own end, Ctrl-C, a gate that dies, something amiss) ends everything it started; the folder stays, to be looked at.
"""

import asyncio
import shutil
import signal
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

from mailgate.demo import counting, receipts, sending
from mailgate.demo.catcher import Catcher
from mailgate.demo.city import City
from mailgate.demo.gate import Gate
from mailgate.demo.joining import SCHOOL, phones
from mailgate.demo.mails import Pen, read
from mailgate.demo.sending import Plan
from mailgate.demo.stage import Stage, box
from mailgate.demo.story import Amiss, Story
from mailgate.demo.viewer import create_viewer
from mailgate.journeys.sample import SAMPLE_PIN
from mailgate.ops.lock import AlreadyRunning, SenderLock
from mailgate.places import folder
from mailgate.runtime import SystemClock, SystemDice
from mailgate.web.server import WebServer

_VIEWER_GRACE_S: Final = 1.0
_LAST_WORDS_S: Final = 1.0
_CLOSURE: Final = """\
大雪のため、本日は臨時休業とします。
児童は登校させず、自宅で過ごさせてください。

放課後児童クラブも休みます。
明日の登校については、本日17時までに
このメールでお知らせします。
"""
_EDUCATION: Final = """\
市教育委員会から、今月のお知らせです。

1　冬の体力づくり教室の参加者を募集します。
2　通学路の雪かきにご協力をお願いします。

このメールは、連絡が届くことの確認を兼ねています。
"""


async def play(state: Path, *, stays: bool) -> int:
    """The whole demo; its exit code."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.set)
    story, clock = Story(), SystemClock()
    async with AsyncExitStack() as stack:
        catcher = await stack.enter_async_context(Catcher(clock))
        viewer = WebServer(create_viewer(catcher))
        viewer_port = await viewer.start("127.0.0.1", 0)
        stack.push_async_callback(viewer.stop, _VIEWER_GRACE_S)
        gate = Gate(state)
        stack.push_async_callback(_end, gate, story)
        stage = Stage(
            gate=gate,
            catcher=catcher,
            city=City(folder("data") / "sample"),
            story=story,
            pen=Pen(clock, SystemDice()),
            clock=clock,
        )
        if not await _unless_ended(_acts(stage), gate=gate, stopping=stopping):
            raise Amiss("the demo was stopped before its end")
        if stays and not stopping.is_set():
            await _unless_ended(_stay(stage, viewer_port), gate=gate, stopping=stopping)
    story.say("the gate has stopped, nothing is left running")
    return 1 if story.faults else 0


async def _unless_ended(work: Coroutine[Any, Any, None], *, gate: Gate, stopping: asyncio.Event) -> bool:
    """Do some work to its end. False: a signal came before.

    Raises:
        Amiss: from the work, or the gate ended before.
    """
    done, ended, told = (asyncio.create_task(each) for each in (work, gate.ended(), stopping.wait()))
    try:
        await asyncio.wait((done, ended, told), return_when=asyncio.FIRST_COMPLETED)
        if done.done() and done.exception() is not None:  # perhaps because the gate has ended, which then is what to say
            await asyncio.wait((ended,), timeout=_LAST_WORDS_S)
        for task in (ended, done):
            if task.done():
                task.result()
        return done.done()
    finally:
        for each in (done, ended, told):
            each.cancel()
        await asyncio.gather(done, ended, told, return_exceptions=True)


async def _end(gate: Gate, story: Story) -> None:
    """Stop the gate; that it cannot be stopped must not hide why it has to be."""
    try:
        await gate.stop()
    except Amiss as fault:
        story.check(False, str(fault))


async def _acts(stage: Stage) -> None:
    story, city = stage.story, stage.city
    story.chapter("The mailgate demo")
    story.say("A gate for an invented city, and all the world around it. Addresses are shown because the demo plays their")
    story.say("owners and the next mail server; the gate itself shows them to nobody.")
    await _open(stage)
    completions = await phones(stage)

    story.chapter("Two families say that the completion mail came")
    await receipts.by_reply(stage, completions[0])
    story.say("an empty reply from", completions[0].recipient, widths=(24,))
    await receipts.by_press(stage, completions[1])
    story.say("a press of the button by", completions[1].recipient, widths=(24,))

    school = await sending.broadcast(stage, _closure(city))
    for copy in school.copies[:2]:
        await receipts.by_reply(stage, copy)
    await receipts.by_press(stage, school.copies[2])
    story.say("three families confirm: two by an empty reply, one by the button")

    everybody = await sending.broadcast(stage, _education(city))
    await receipts.by_press(stage, everybody.copies[0])
    story.say("one family confirms by the button")

    await counting.bounce(stage, everybody.copies[-1])
    await counting.counts(stage, sent=(school, everybody), receipts=(3, 1), completions=completions)
    await counting.privacy(stage)
    _conclude(story)


def _conclude(story: Story) -> None:
    if story.faults:
        story.chapter("What is wrong")
        for fault in story.faults:
            story.say(fault)
    else:
        story.chapter("All as it must be.")


async def _open(stage: Stage) -> None:
    gate, story, clock = stage.gate, stage.story, stage.clock
    story.chapter("A fresh gate with the sample city")
    _clear(gate.folder)
    began = clock.monotonic()
    await gate.init(relay_port=stage.catcher.port)
    addresses = len(stage.city.addresses)
    story.say(
        f"mailgate init: {len(stage.city.schools)} schools, {len(stage.city.pupils)} pupils, {addresses:,} addresses,"
        f" {len(stage.city.staff)} staff in {clock.monotonic() - began:.1f} s"
    )
    began = clock.monotonic()
    await gate.start()
    story.say(f"mailgate serve: ready after {clock.monotonic() - began:.1f} s; its log is {gate.log}")


def _clear(state: Path) -> None:
    """Make room where an earlier demo left its folder.

    Raises:
        Amiss: something else is there, or a demo that still runs.
    """
    if not state.exists():
        return
    if not state.is_dir() or (any(state.iterdir()) and not (state / "mailgate.toml").exists()):
        raise Amiss(f"{state} is not an earlier demo's folder: it is left alone; give another one with --keep")
    try:
        with SenderLock(state / "sender.lock"):
            shutil.rmtree(state)
    except AlreadyRunning:
        raise Amiss(f"another demo runs in {state}: stop it, or give another folder with --keep") from None


def _closure(city: City) -> Plan:
    head = city.member("head", SCHOOL)
    return Plan(
        member=head,
        audience=SCHOOL,
        school=SCHOOL,
        subject="【緊急連絡】本日は臨時休業です",
        text=_CLOSURE,
        signature=f"{city.schools[SCHOOL]}\n校長　{head['name']}",
    )


def _education(city: City) -> Plan:
    member = city.member("board", "all")
    return Plan(
        member=member,
        audience="all",
        school=None,
        subject="【教育情報】今月のお知らせ",
        text=_EDUCATION,
        signature=f"市教育委員会　{member['name']}",
    )


async def _stay(stage: Stage, viewer_port: int) -> None:
    """Say where to look, then tell of every mail that is caught."""
    story, gate, head = stage.story, stage.gate, stage.city.member("head", SCHOOL)
    story.chapter("It stays up until Ctrl-C. To look at:")
    story.say("pages", f"{gate.public_url}/", widths=(14,))
    story.say("caught mails", f"http://127.0.0.1:{viewer_port}/", widths=(14,))
    story.say("mail (SMTP)", f"127.0.0.1:{gate.smtp_port}", widths=(14,))
    story.chapter("A blank mail, to join by (in another terminal):")
    story.say(
        f"""python3 -c 'import smtplib; s = smtplib.SMTP("127.0.0.1", {gate.smtp_port});"""
        f""" s.sendmail("hanako@docomo.example.jp", "{box("touroku")}", ""); s.quit()'"""
    )
    story.say(f"Staff: write from {head['address']} to {box('haishin', SCHOOL + '.3-1')}; the PIN is {SAMPLE_PIN}.")
    told = len(stage.catcher.mails)
    while True:
        await stage.catcher.until(partial(_has_more, stage.catcher, told), timeout_s=None)
        for mail in stage.catcher.mails[told:]:
            story.say(f"caught: {read(mail).subject}, to {mail.recipient}: http://127.0.0.1:{viewer_port}/mails/{mail.number}")
        told = len(stage.catcher.mails)


def _has_more(catcher: Catcher, told: int) -> bool:
    return len(catcher.mails) > told
