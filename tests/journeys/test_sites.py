"""Invitations to a site pause when too many came back as unknown: nothing is lost, broadcasts go on, the operator is told."""

from itertools import count

import pytest
from structlog.testing import capture_logs

from mailgate.core.delivery import Event
from mailgate.core.instants import HOUR, MINUTE, SECOND
from mailgate.journeys.allowance import Allowance
from mailgate.journeys.sites import Sites
from mailgate.store import outbox
from mailgate.wiring import inbox_of, sites_of
from tests.builders import Sent, Town

NUMBERS = count()
UNKNOWN = "5.1.1 <***>: User unknown"


class Watched:
    """A town whose sites are looked at."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.start()

    def start(self) -> None:
        """As a process starts: what was only in memory is gone."""
        self.sites: Sites = sites_of(self.town.footing, self.town.vault)
        town = self.town
        town.inbox = inbox_of(town.footing, town.vault, Allowance([]), town.wake, sites=self.sites)

    async def ask(self, sender: str) -> None:
        self.town.clock.pass_(SECOND)
        await self.town.post(sender, "touroku", content=f"Message-ID: <{next(NUMBERS)}@phone>\r\n\r\n".encode(), peer="127.0.0.1")

    async def sent(self) -> list[str]:
        """Who was written to, the operator and his news left out."""
        return [sent.to for sent in await self.town.sent() if sent.letter == "invitation"]

    async def came_back(self, *, sent: int, unknown: int, domain: str = "docomo.ne.jp", text: str = UNKNOWN) -> None:
        """So many invitations go to a site, and so many of them come back."""
        for _ in range(sent):
            await self.ask(f"f{next(NUMBERS)}@{domain}")
        gone: list[Sent] = await self.town.sent()
        assert len(gone) == sent
        for each in gone[:unknown]:
            async with self.town.db.write() as tx:
                await outbox.notice(
                    tx, outbox_id=each.row.id, event=Event.NOTICE_BOUNCED, reply_code=550, enhanced=None, text=text,
                    now=self.town.clock.now(),
                )  # fmt: skip

    async def news(self) -> list[str]:
        """What the operator is owed."""
        return [row["params"] for row in await self.town.ask("SELECT params FROM outbox WHERE letter = 'site_paused' ORDER BY id")]


@pytest.fixture
def watched(town: Town) -> Watched:
    return Watched(town)


async def test_a_site_that_knows_few_of_them_gets_no_more_for_now(watched: Watched) -> None:
    await watched.came_back(sent=20, unknown=2)
    await watched.ask("waiting@docomo.ne.jp")
    await watched.sites.look()
    await watched.ask("later@docomo.ne.jp")
    await watched.ask("other@ezweb.ne.jp")
    assert await watched.sent() == ["other@ezweb.ne.jp"]


@pytest.mark.parametrize(
    "sent, unknown, text",
    [(20, 1, UNKNOWN), (19, 19, UNKNOWN), (40, 2, UNKNOWN), (20, 20, ": User unknown")],
)
async def test_few_or_other_failures_pause_nothing(watched: Watched, sent: int, unknown: int, text: str) -> None:
    await watched.came_back(sent=sent, unknown=unknown, text=text)
    await watched.sites.look()
    await watched.ask("other@docomo.ne.jp")
    assert await watched.sent() == ["other@docomo.ne.jp"]
    assert await watched.news() == []


async def test_a_refusal_at_the_recipient_counts_as_well(watched: Watched) -> None:
    await watched.came_back(sent=20, unknown=0)
    await watched.town.change(
        """
        UPDATE outbox SET state = 'failed', phase = 'rcpt', reply_code = 550, enhanced = '5.1.1', reply_text = 'unknown'
         WHERE id IN (SELECT id FROM outbox LIMIT 2)
        """
    )
    await watched.sites.look()
    await watched.ask("other@docomo.ne.jp")
    assert await watched.sent() == []


async def test_domains_of_one_site_pause_together(watched: Watched) -> None:
    await watched.came_back(sent=20, unknown=2, domain="ezweb.ne.jp")
    await watched.sites.look()
    await watched.ask("other@au.com")
    assert await watched.sent() == []


async def test_paused_invitations_are_called_back_when_the_hour_has_passed(watched: Watched) -> None:
    await watched.came_back(sent=20, unknown=2)
    watched.town.clock.pass_(50 * MINUTE)
    await watched.sites.look()
    await watched.ask("waiting@docomo.ne.jp")
    watched.town.clock.pass_(5 * MINUTE)
    await watched.sites.look()
    assert await watched.sent() == []
    watched.town.clock.pass_(5 * MINUTE)
    with capture_logs() as logs:
        await watched.sites.look()
    assert [(event["event"], event["site"], event["invitations"]) for event in logs] == [("site.resumed", "docomo", 1)]
    assert await watched.sent() == ["waiting@docomo.ne.jp"]
    await watched.ask("new@docomo.ne.jp")
    assert await watched.sent() == ["new@docomo.ne.jp"]


async def test_a_paused_invitation_expires_at_its_time_and_is_counted(watched: Watched) -> None:
    await watched.came_back(sent=20, unknown=2)
    await watched.sites.look()
    await watched.ask("waiting@docomo.ne.jp")
    watched.town.clock.pass_(31 * MINUTE)
    (row,) = [row for row in await watched.town.claimed() if row.letter == "invitation"]
    assert row.expires_at <= watched.town.clock.now()  # claimed only to be marked
    assert await watched.town.count("outbox") == 22


async def test_broadcasts_to_a_paused_site_go_on(watched: Watched) -> None:
    town = watched.town
    await town.a_school()
    await town.enrolled()
    await town.a_contact("mother@docomo.ne.jp")
    await watched.came_back(sent=20, unknown=20)
    await watched.sites.look()
    await town.confirmed("kita-es", subject="【緊急連絡】臨時休業")
    await town.expanded()
    assert "mother@docomo.ne.jp" in [sent.to for sent in await town.sent() if sent.letter == "broadcast"]


async def test_the_operator_is_told_once_an_hour(watched: Watched) -> None:
    await watched.came_back(sent=40, unknown=10)
    with capture_logs() as logs:
        await watched.sites.look()
        watched.town.clock.pass_(10 * MINUTE)
        await watched.sites.look()
    paused = [event for event in logs if event["event"] == "site.paused"]
    assert [(event["site"], event["sent"], event["unknown"], event["log_level"]) for event in paused] == [("docomo", 40, 10, "error")]
    assert await watched.news() == ['{"site": "docomo", "sent": 40, "unknown": 10}']
    (news,) = await watched.town.sent()
    assert (news.letter, news.to) == ("site_paused", "root@localhost")
    watched.town.clock.pass_(HOUR)
    await watched.sites.look()
    await watched.came_back(sent=20, unknown=20)
    await watched.sites.look()
    assert len(await watched.news()) == 2


async def test_a_restart_finds_out_anew_who_waits(watched: Watched) -> None:
    await watched.came_back(sent=20, unknown=2)
    watched.town.clock.pass_(45 * MINUTE)
    await watched.sites.look()
    await watched.ask("waiting@docomo.ne.jp")
    watched.start()
    await watched.sites.look()
    assert await watched.sent() == []
    watched.town.clock.pass_(HOUR // 4)
    watched.start()
    await watched.sites.look()
    assert await watched.sent() == ["waiting@docomo.ne.jp"]
