"""Who registers while a chunk waits for its turn at the store came after the confirmation."""

from mailgate.core.instants import SECOND
from mailgate.journeys.life import Expander
from mailgate.store.db import Db, Params
from tests.builders import Town

GUARDIAN, LATE = "first@docomo.ne.jp", "late@docomo.ne.jp"


class QueueingDb(Db):
    """A store in which somebody registers between the asking for a chunk and its statement."""

    town: Town | None = None

    async def run(self, sql: str, params: Params = ()) -> int:
        town, self.town = self.town, None
        if town is not None:
            town.clock.pass_(SECOND)
            await town.a_contact(LATE)
        return await super().run(sql, params)


async def test_who_registers_while_a_chunk_waits_for_its_turn_gets_no_copy(town: Town) -> None:
    await town.a_school()
    await town.enrolled()
    await town.a_contact(GUARDIAN)
    await town.confirmed("kita-es")
    town.clock.pass_(SECOND)
    db = await QueueingDb.open(town.path)
    assert isinstance(db, QueueingDb)
    db.town = town
    expander = Expander(db=db, clock=town.clock)
    while await expander.step():
        pass
    await db.close()
    assert await town.addresses() == [GUARDIAN]
