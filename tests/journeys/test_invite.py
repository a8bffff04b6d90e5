"""Invite: a blank mail is answered with a link and a short code, within limits (J1, MR-18, MR-22, MR-23)."""

import asyncio
import re
from ipaddress import ip_network
from itertools import pairwise

import pytest

from mailgate.core.addresses import parse_spec
from mailgate.core.authentication import Proof
from mailgate.core.instants import DAY, HOUR, MINUTE, SECOND, later
from mailgate.journeys.allowance import Allowance
from tests.builders import BLANK, Sent, Town, a_key, some_keys

MOTHER, FATHER = "a..b@docomo.ne.jp", "chichi@ezweb.ne.jp"


async def answers(town: Town, sender: str = MOTHER, content: bytes = b"") -> list[Sent]:
    """A blank mail; what answers it."""
    await town.post(sender, "touroku", content=content or f"Message-ID: <{town.clock.now()}@phone>\r\n\r\n".encode())
    return [mail for mail in await town.sent() if mail.to == sender]


async def ask(town: Town, sender: str = MOTHER, content: bytes = b"") -> list[str]:
    """A blank mail; the links that answer it."""
    return [mail.token("j") for mail in await answers(town, sender, content)]


async def test_a_blank_mail_gets_one_link_and_one_short_code(town: Town) -> None:
    invitation = await town.invited(MOTHER)
    (row,) = await town.ask("SELECT link_id, expires_at FROM invitation")
    code = town.links.short_code(row["link_id"])
    assert f"\n{code[:4]} {code[4:]}\n" in invitation.text
    assert invitation.token("j") == town.links.invitation_token(row["link_id"], row["expires_at"])
    assert row["expires_at"] == later(town.clock.now(), DAY)


async def test_an_address_that_asks_again_gets_the_same_link_for_23_hours_and_then_a_new_one(town: Town) -> None:
    (hers,), (his,) = await ask(town, MOTHER), await ask(town, FATHER)
    town.clock.pass_(23 * HOUR - SECOND)
    assert await ask(town, MOTHER) == [hers]
    town.clock.pass_(SECOND)
    (second,) = await ask(town, FATHER)
    assert second != his
    town.clock.pass_(10 * HOUR)
    assert await ask(town, FATHER) == [second]


async def test_who_asks_a_third_time_within_a_day_gets_the_code_of_a_link_that_is_nowhere_else(town: Town) -> None:
    (first,) = await ask(town)
    town.clock.pass_(HOUR)
    assert await ask(town) == [first]
    town.clock.pass_(23 * HOUR - SECOND)
    (by_code,) = await answers(town)
    assert by_code.letter == "invitation_code"
    assert "http" not in by_code.text
    (code,) = re.findall(r"^(\d{4} \d{4})$", by_code.text, re.MULTILINE)
    assert await town.join.redeem(code) not in (None, first)


async def test_the_same_link_keeps_its_own_end(town: Town) -> None:
    await ask(town)
    (before,) = await town.ask("SELECT expires_at FROM invitation")
    town.clock.pass_(20 * HOUR)
    await ask(town)
    (after,) = await town.ask("SELECT expires_at FROM invitation")
    assert before["expires_at"] == after["expires_at"]


async def test_many_blank_mails_at_once_are_answered_once(town: Town) -> None:
    await asyncio.gather(*(town.post(MOTHER, "touroku", content=b"Message-ID: <%d@x>\r\n\r\n" % number) for number in range(20)))
    assert [mail.letter for mail in await town.sent()] == ["invitation"]
    assert [await town.count("invitation"), await town.count("address")] == [1, 1]


async def test_a_short_code_that_another_has_is_drawn_again(town: Town) -> None:
    (first,) = await ask(town, "a@docomo.ne.jp")
    next_ids = [drawn.to_bytes(15, "big") for drawn in range(1, 40)]
    for link_id in next_ids:  # whatever is drawn first for the next one, its code is taken; later draws are free
        await town.change(
            """
            INSERT INTO invitation (link_id, code_index, address_id, issued_at, expires_at)
            SELECT ?, ?, id, 0, 0 FROM address WHERE true LIMIT 1 ON CONFLICT DO NOTHING
            """,
            (b"taken" + link_id, town.links.code_index(town.links.short_code(link_id))),
        )
    (second,) = await ask(town, "b@docomo.ne.jp")
    assert second != first
    rows = await town.ask("SELECT code_index FROM invitation")
    assert len({row["code_index"] for row in rows}) == len(rows)


async def test_two_addresses_get_two_links(town: Town) -> None:
    assert await ask(town, "a@docomo.ne.jp") != await ask(town, "b@docomo.ne.jp")


@pytest.mark.parametrize("spelt", ['"a..b"@docomo.ne.jp', "A..B@DOCOMO.NE.JP"])
async def test_a_mailbox_is_one_address_however_it_is_spelt(town: Town, spelt: str) -> None:
    links = []
    for sender in (spelt, MOTHER):
        await town.post(sender, "touroku", content=f"Message-ID: <{sender!r}>\r\n\r\n".encode())
        links += [mail.token("j") for mail in await town.sent()]
        town.clock.pass_(MINUTE)
    assert len(links) == 2
    assert len(set(links)) == 1
    assert await town.count("address") == 1


async def test_after_a_rotation_of_keys_a_new_link_is_made(town: Town) -> None:
    (first,) = await ask(town)
    town.clock.pass_(HOUR)
    rotated = Town(town.path, town.db, some_keys(links=(a_key("links"), a_key("new")), lookup=(a_key("lookup"), a_key("new"))), town.clock)
    (second,) = await ask(rotated)
    assert second != first
    assert await town.count("invitation") == 2
    assert await town.count("address") == 1, "an address is found under the key that it was entered under"


# Limits


async def test_an_address_is_answered_once_a_minute_three_times_an_hour_and_six_times_a_day(town: Town) -> None:
    answered = []
    start = town.clock.now()
    while town.clock.now() < later(start, DAY + 2 * HOUR):
        if await answers(town):
            answered.append((town.clock.now() - start) // SECOND)
        town.clock.pass_(59 * SECOND if len(answered) < 4 else 10 * MINUTE + SECOND)
    first_hour = [at for at in answered if at < 3600]
    assert first_hour == [0, 118, 236]  # every other mail, as they come each 59 s
    assert all(next_one - one >= 60 for one, next_one in pairwise(answered))
    assert sum(at < 86400 for at in answered) == 6
    assert answered[6] >= 86400


async def test_an_address_that_is_limited_is_not_mailed_and_keeps_its_link(town: Town) -> None:
    (first,) = await ask(town)
    for _ in range(10):
        assert await ask(town, content=f"Message-ID: <{town.wakes}@phone>\r\n\r\n".encode()) == []
    town.clock.pass_(MINUTE)
    assert await ask(town) == [first]


async def test_a_restart_forgives_no_address(town: Town) -> None:
    await ask(town)
    restarted = Town(town.path, town.db, town.keys, town.clock)
    assert await ask(restarted, content=b"Message-ID: <2@phone>\r\n\r\n") == []


async def test_one_mailbox_under_many_tags_gets_no_more_than_six_at_once(town: Town) -> None:
    links = [link for number in range(20) for link in await ask(town, f"haha+{number}@gmail.com")]
    assert len(links) == 6
    assert await ask(town, "chichi+1@gmail.com")
    town.clock.pass_(DAY)
    assert await ask(town, "haha+20@gmail.com")


async def test_three_guardians_may_share_a_mailbox_by_tags(town: Town) -> None:
    for guardian in ("haha", "chichi", "baba"):
        assert await ask(town, f"ie+{guardian}@gmail.com")
    assert await ask(town, "ie@gmail.com")


@pytest.mark.parametrize("jump", [365 * DAY, HOUR, -HOUR, -365 * DAY])
async def test_a_clock_that_was_wrong_for_a_while_silences_nobody(town: Town, jump: int) -> None:
    await town.a_school()
    before = town.clock.now()
    (first,) = await ask(town, MOTHER, BLANK)
    assert await ask(town, FATHER, BLANK)
    town.clock.set(later(before, jump))
    assert await ask(town, MOTHER, BLANK)
    assert await ask(town, FATHER, BLANK)
    town.clock.set(later(before, 11 * MINUTE))
    assert await answers(town, FATHER, BLANK)
    await town.registered(MOTHER, token=first)  # else it would be her third mail within a day by which no link came to use
    await town.sent()
    (link,) = await ask(town, MOTHER, BLANK)
    landing = await town.join.landing(link)
    assert getattr(landing, "valid_until", 0) == later(before, DAY)


# Allowance


def granted(allowance: Allowance, town: Town, count: int, *, domain: str = "x{}.example.jp", peer: str = "198.51.{}.1") -> int:
    """How many of so many, at one moment, from domains and networks of their own unless told otherwise."""
    now = town.clock.now()
    return sum(allowance.take(parse_spec(f"a@{domain.format(n)}"), peer.format(n), Proof(), now=now) for n in range(count))


async def test_the_gate_as_a_whole_answers_a_hundred_a_second(town: Town) -> None:
    allowance = Allowance([])
    assert granted(allowance, town, 150) == 100
    town.clock.pass_(SECOND)
    assert granted(allowance, town, 150, domain="y{}.example.jp", peer="203.{}.113.1") == 100


async def test_an_unknown_domain_gets_sixty_an_hour_and_a_carrier_as_many_as_come(town: Town) -> None:
    assert granted(Allowance([]), town, 90, domain="city.example.jp") == 60
    assert granted(Allowance([]), town, 90, domain="docomo.ne.jp") == 90


async def test_a_network_gets_a_hundred_and_twenty_an_hour_and_a_trusted_relay_as_many_as_come(town: Town) -> None:
    def within_two_seconds(allowance: Allowance) -> int:
        first = granted(allowance, town, 90, peer="192.0.2.1")
        town.clock.pass_(SECOND)
        return first + granted(allowance, town, 90, domain="y{}.example.jp", peer="192.0.2.99")

    assert within_two_seconds(Allowance([])) == 120
    assert within_two_seconds(Allowance([ip_network("192.0.2.0/24")])) == 180


async def test_what_one_limit_refuses_uses_up_no_other(town: Town) -> None:
    allowance = Allowance([])
    assert granted(allowance, town, 90, domain="city.example.jp") == 60
    assert granted(allowance, town, 90) == 40


async def test_an_allowance_forgets_what_no_longer_binds(town: Town) -> None:
    allowance = Allowance([])
    for number in range(300):
        granted(allowance, town, 100, domain=f"{number}-{{}}.example.jp", peer=f"10.{number % 250}.{{}}.1")
        town.clock.pass_(SECOND)
    assert len(allowance._buckets._tats) <= 20_000


@pytest.mark.parametrize("jump", [365 * DAY, -365 * DAY])
async def test_an_allowance_survives_a_clock_that_jumps(town: Town, jump: int) -> None:
    allowance, before = Allowance([]), town.clock.now()
    town.clock.set(later(before, jump))
    granted(allowance, town, 200, domain="city.example.jp")
    town.clock.set(before)
    assert granted(allowance, town, 10, domain="city.example.jp") == 10
