"""A copy that goes out twice is the same mail, whatever has happened between its two writings."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mailgate.core.instants import SECOND
from mailgate.core.relay import Copy
from mailgate.journeys.join import Join
from mailgate.wiring import means_of
from tests.builders import TEACHER, Town, town_at
from tests.fakes import CheapPasswords

MOTHER = "a..b@docomo.ne.jp"


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async for town in town_at(tmp_path / "mailgate.db"):
        await town.a_school()
        await town.enrolled()
        yield town


class BusyPasswords(CheapPasswords):
    """Something happens while a password is hashed: on a day when all register, that may take seconds."""

    def __init__(self, meanwhile: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    async def hash(self, password: str) -> str:
        await self._meanwhile()
        return await super().hash(password)


async def test_a_child_that_is_registered_while_a_broadcast_is_confirmed_is_in_no_copy_of_it_or_in_all(town: Town) -> None:
    await town.a_contact(MOTHER, name="苫小牧 花子")
    invitation = (await town.invited(MOTHER)).token("j")
    page = await town.drafted("kita-es", sender=TEACHER)
    first: list[Copy] = []

    async def broadcast() -> None:
        town.clock.pass_(SECOND)
        await town.act(page, "confirm")
        await town.expanded()
        first.extend(copy for copy in await town.written() if isinstance(copy, Copy))
        await town.change("UPDATE outbox SET state = 'pending' WHERE state = 'leased'")  # killed: all of it is owed again
        town.clock.pass_(SECOND)

    town.join = Join(replace(means_of(town.footing, town.wake), passwords=BusyPasswords(broadcast)))
    await town.registered(MOTHER, token=invitation, name="苫小牧 太郎", kana="とまこまい たろう", login_id="tarou2026")
    again = {copy.id: copy for copy in await town.written() if isinstance(copy, Copy)}
    assert [again[copy.id].content == copy.content for copy in first] == [True]


async def test_a_preview_that_goes_out_twice_says_the_same_numbers(town: Town) -> None:
    await town.a_contact(MOTHER, name="苫小牧 花子")
    await town.post(TEACHER, "haishin+kita-es", content=f"From: {TEACHER}\r\nSubject: x\r\nMessage-ID: <1@x>\r\n\r\ny\r\n".encode())
    (first,) = await town.written()
    await town.change("UPDATE outbox SET state = 'pending' WHERE state = 'leased'")
    town.clock.pass_(SECOND)
    await town.a_contact("c@ezweb.ne.jp", name="苫小牧 次郎")
    (again,) = await town.written()
    assert first == again


async def test_a_preview_that_goes_out_twice_names_the_same_audience_though_its_mail_came_on_to_another(town: Town) -> None:
    content = f"From: {TEACHER}\r\nSubject: x\r\nMessage-ID: <1@x>\r\n\r\ny\r\n".encode()
    await town.post(TEACHER, "haishin+kita-es.3", content=content)
    (first,) = await town.written()
    await town.change("UPDATE outbox SET state = 'pending' WHERE state = 'leased'")
    await town.post(TEACHER, "haishin+staff", content=content)
    again, widened = await town.written()
    assert first == again
    assert widened != again
