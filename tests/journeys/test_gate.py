"""The main job, from outside: blank mail, signed link, registration, staff mail, confirmation, delivery."""

import asyncio
import json
import re
from collections import Counter
from email.utils import parseaddr

from tests.journeys.acts import JOIN, a_gate, done, enrol, register, send
from tests.journeys.gate import DOMAIN, Gate, staff_mail
from tests.journeys.sink import Sink


async def test_a_dotted_docomo_address_joins_and_gets_its_copy_at_exactly_that_address(gate: Gate, sink: Sink) -> None:
    await a_gate(gate, sink)
    guardian, teacher = "a..b@docomo.ne.jp", "yamakawa@kita-es.example.jp"
    pin = await enrol(gate, teacher, "kita-es")
    completion = await register(gate, sink, guardian)
    assert "hanako2026" in completion.text
    await send(gate, sink, teacher, "kita-es.3-1", pin=pin)
    copy = await sink.mail_to(guardian, number=3)
    assert copy.recipient == guardian
    assert f"\r\nTo: {guardian}\r\n" in copy.content.decode() or f"\r\nTo: <{guardian}>\r\n" in copy.content.decode()
    assert copy.message["Subject"] == "【緊急連絡】臨時休業"
    assert "苫小牧 花子" in copy.text
    (row,) = await done(gate)
    assert (row["recipients"], row["handed_over"]) == (1, 1)
    assert await gate.stop() == 0


async def test_a_bounce_finds_its_delivery_and_a_receipt_its_copy(gate: Gate, sink: Sink) -> None:
    await a_gate(gate, sink)
    pin = await enrol(gate, "t@kita-es.example.jp", "kita-es")
    await register(gate, sink, "a@ezweb.ne.jp")
    await register(gate, sink, "b@icloud.com", login_id="tarou2026", name="苫小牧 太郎", kana="とまこまい たろう")
    await send(gate, sink, "t@kita-es.example.jp", "kita-es", pin=pin)
    bounced, read = await sink.mail_to("a@ezweb.ne.jp", number=3), await sink.mail_to("b@icloud.com", number=3)
    report = (
        "Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x\r\n"
        "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        "Final-Recipient: rfc822; a@ezweb.ne.jp\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--x--\r\n"
    )
    assert (await gate.mail("", bounced.sender, report.encode())).startswith("250")
    reply_to = parseaddr(str(read.message["Reply-To"]))[1]
    assert (await gate.mail("b@icloud.com", reply_to)).startswith("250")
    (row,) = await done(gate)
    assert (row["bounced"], row["handed_over"], row["confirmed"]) == (1, 1, 1)
    token = read.sender.partition("+")[2].partition("@")[0]
    forged = read.sender.replace(token, token[:-4] + ("aaaa" if token[-4:] != "aaaa" else "bbbb"))
    assert (await gate.mail("", forged, report.encode())).startswith("250")
    assert (await done(gate))[0]["bounced"] == 1


async def test_automatic_mail_and_the_null_sender_get_no_reply(gate: Gate, sink: Sink) -> None:
    await a_gate(gate, sink)
    assert (await gate.mail("", JOIN)).startswith("250")
    assert (await gate.mail("c@docomo.ne.jp", JOIN, b"Auto-Submitted: auto-replied\r\n\r\n")).startswith("250")
    assert (await gate.mail("d@docomo.ne.jp", JOIN, b"\r\n")).startswith("250")
    await sink.mail_to("d@docomo.ne.jp")
    stats = await gate.run("outbox", "stats", "--json")
    assert (stats["handed_over"], stats["pending"]) == (1, 0)


async def test_unknown_boxes_and_strangers_domains_are_refused_at_rcpt(gate: Gate, sink: Sink) -> None:
    await a_gate(gate, sink)
    assert (await gate.mail("a@docomo.ne.jp", f"nobody@{DOMAIN}")).startswith("550 5.1.1")
    assert (await gate.mail("a@docomo.ne.jp", "victim@example.net")).startswith("550 5.7.1")


async def test_a_repeat_gets_the_same_link_and_twice_in_a_row_is_once(gate: Gate, sink: Sink) -> None:
    await a_gate(gate, sink)
    for content in (b"Message-ID: <1@x>\r\n\r\n", b"Message-ID: <1@x>\r\n\r\n", b"Message-ID: <2@x>\r\n\r\n"):
        assert (await gate.mail("a@docomo.ne.jp", JOIN, content)).startswith("250")
    assert (await gate.mail("b@docomo.ne.jp", JOIN)).startswith("250")
    await sink.mail_to("b@docomo.ne.jp")
    assert Counter(mail.recipient for mail in sink.caught) == {"a@docomo.ne.jp": 1, "b@docomo.ne.jp": 1}


async def test_fifty_blank_mails_a_second_get_one_reply_each(gate: Gate, sink: Sink) -> None:
    await a_gate(gate, sink)
    senders = [f"kazoku.{number}..x@docomo.ne.jp" for number in range(500)]
    async with asyncio.TaskGroup() as phones:
        mailed = []
        for sender in senders:
            mailed.append(phones.create_task(gate.mail(sender, JOIN)))
            await asyncio.sleep(0.02)  # the pace is what is tested
    assert {task.result()[:3] for task in mailed} == {"250"}
    await sink.wait_for(lambda caught: len(caught) >= len(senders))
    assert Counter(mail.recipient for mail in sink.caught) == Counter(senders)


async def test_staff_who_are_not_enrolled_or_out_of_scope_send_nothing(gate: Gate, sink: Sink) -> None:
    await a_gate(gate, sink)
    await enrol(gate, "t@kita-es.example.jp", "kita-es.3")
    for sender, audience in (("x@kita-es.example.jp", "kita-es.3"), ("t@kita-es.example.jp", "all")):
        to = f"haishin+{audience}@{DOMAIN}"
        assert (await gate.mail(sender, to, staff_mail(sender, to, "題", "本文", f"<{audience}@x>"))).startswith("250")
    refusal = await sink.mail_to("t@kita-es.example.jp")
    assert not re.search(r"/send/", refusal.text)
    assert [mail.recipient for mail in sink.caught] == ["t@kita-es.example.jp"]
    assert await gate.run("broadcast", "list", "--json") == []


async def test_the_log_speaks_json_and_names_nobody(gate: Gate, sink: Sink) -> None:
    await a_gate(gate, sink)
    await register(gate, sink, "secret.person@docomo.ne.jp")
    assert await gate.stop() == 0
    text = gate.log.read_text()
    assert [json.loads(line)["event"] for line in text.splitlines()][-1] == "gate.stopped"
    for word in ("secret.person", "docomo", "花子", "hanako2026"):
        assert word not in text
