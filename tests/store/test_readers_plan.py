"""What is asked at each blank mail is found by its address, however much the city was sent on that day."""

from collections.abc import Awaitable, Callable

import pytest

from mailgate.store import invitations, readers
from mailgate.store.db import Db, Params, Row, Tx
from tests.fakes import NEW_YEAR_2026


class Explaining(Tx):
    """Asks how a statement would be worked off."""

    __slots__ = ("steps",)

    async def fetch(self, sql: str, params: Params = ()) -> list[Row]:
        self.steps = [row["detail"] for row in await super().fetch(f"EXPLAIN QUERY PLAN {sql}", params)]
        return await super().fetch(sql, params)

    async def run(self, sql: str, params: Params = ()) -> int:
        await self.fetch(sql, params)
        return 0


ASKED: dict[str, Callable[[Tx], Awaitable[object]]] = {
    "invitations_in_vain": lambda tx: readers.invitations_in_vain(tx, address_id=1, since=NEW_YEAR_2026),
    "was_told": lambda tx: readers.was_told(tx, address_id=1, letter="not_read", since=NEW_YEAR_2026),
    "is_by_code": lambda tx: readers.is_by_code(tx, address_id=1, invitation_id=1),
    "clear_no_url": lambda tx: readers.clear_no_url(tx, address_id=1, invitation_id=1),
    "newest_open": lambda tx: readers.newest_open(tx, address_id=1, since=NEW_YEAR_2026),
    "answers_since": lambda tx: invitations.answers_since(tx, address_id=1, since=NEW_YEAR_2026),
}


@pytest.mark.parametrize("name", ASKED)
async def test_letters_are_found_by_their_address_or_at_one_instant(db: Db, name: str) -> None:
    async with db.write() as tx:
        explaining = Explaining(tx._connection)
        await ASKED[name](explaining)
    assert [step for step in explaining.steps if "outbox" in step]
    assert not [step for step in explaining.steps if "SCAN" in step or "created_at>" in step]
