"""What people do in whole-gate tests: join, enrol, send, wait for the end."""

import asyncio

from tests.journeys.gate import DOMAIN, Gate, link_in, staff_mail
from tests.journeys.sink import Caught, Sink

JOIN = f"touroku@{DOMAIN}"
ALARM = "【緊急連絡】臨時休業"
FORM = {
    "login_id": "hanako2026",
    "password": "yuki-no-asa-5",
    "name": "苫小牧 花子",
    "kana": "とまこまい はなこ",
    "grade": "3",
    "class_name": "1",
    "label": "母のスマホ",
}


async def a_gate(gate: Gate, sink: Sink, side: str = "both", *, sample: bool = False) -> None:
    await gate.make(relay=await sink.start(), sample=sample)
    if not sample:
        await gate.run(
            "school", "add", "kita-es", "--name", "北小学校", "--kind", "elementary", "--class", "3-1", "--class", "3-tanpopo=たんぽぽ"
        )
        await gate.run("school", "add", "chuo-jhs", "--name", "中央中学校", "--kind", "junior", "--class", "1-1")
    await gate.start(side)


async def register(gate: Gate, sink: Sink, sender: str, number: int = 1, **fields: str) -> Caught:
    """Blank mail to completion mail; the completion mail."""
    assert (await gate.mail(sender, JOIN)).startswith("250")
    invitation = await sink.mail_to(sender, number=number)
    code = (await gate.run("school", "code", fields.pop("school", "kita-es"), "--json"))["code"]
    async with gate.http() as http:
        done = await http.post(f"{gate.page(link_in(invitation))}/new", data={**FORM, "code": code, **fields})
        assert done.status_code == 303, done.text
        assert "hanako" not in done.headers["location"]
        page = await http.get(gate.page(done.headers["location"]))
        assert page.status_code == 200
    return await sink.mail_to(sender, number=number + 1)


async def enrol(gate: Gate, address: str, scope: str) -> str:
    """Enrol somebody; the PIN."""
    added = await gate.run(
        "staff", "add", "--role", "school", "--scope", scope, "--name", "山川", "--address", address, "--pin", "135790", "--json"
    )
    return str(added["pin"])


async def send(gate: Gate, sink: Sink, sender: str, audience: str, *, pin: str, subject: str = ALARM) -> None:
    """Staff mail to confirmation."""
    number = 1 + sum(mail.recipient == sender for mail in sink.caught)
    to = f"haishin+{audience}@{DOMAIN}"
    mail = staff_mail(sender, to, subject, "本日は臨時休業とします。\n登校しないでください。", f"<{number}.{audience}@x.example.jp>")
    assert (await gate.mail(sender, to, mail)).startswith("250")
    preview = await sink.mail_to(sender, number=number)
    async with gate.http() as http:
        page = await http.get(gate.page(link_in(preview)))
        assert page.status_code == 200
        done = await http.post(gate.page(link_in(preview)), data={"action": "confirm", "pin": pin})
        assert done.status_code == 303, done.text


async def done(gate: Gate, count: int = 1) -> list[dict[str, object]]:
    """Wait until so many broadcasts are done."""
    async with asyncio.timeout(30):
        while True:
            listed: list[dict[str, object]] = await gate.run("broadcast", "list", "--json")
            if sum(row["state"] == "done" for row in listed) >= count:
                return listed
            await asyncio.sleep(0.1)
