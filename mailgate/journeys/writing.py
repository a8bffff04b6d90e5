"""Writing: claimed rows become copies. Links, texts and names are looked up and made at this moment, so that none lies in the database.

A broadcast is prepared once and kept while its rows come; a row of its own costs opening one address, one keyed digest and a join. What a
single letter says is found by singles.py.
"""

import asyncio
import json
from asyncio import Future
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Final, TypeVar

from mailgate.core.broadcast import Kind
from mailgate.core.letters import BroadcastText, Envelope, House, return_path
from mailgate.core.lines import Lines
from mailgate.core.relay import Copy
from mailgate.journeys.links import Links
from mailgate.journeys.ports import Unmakeable
from mailgate.journeys.send import Send
from mailgate.journeys.signing import Signer
from mailgate.journeys.singles import Nothing, Singles
from mailgate.letters.prepared import Prepared
from mailgate.letters.writer import Writer
from mailgate.store import audiences, broadcasts, staff
from mailgate.store.db import Db, Tx
from mailgate.store.outbox import Claimed
from mailgate.vault import AddressVault, TextVault

T = TypeVar("T")

_PREPARED_KEPT: Final = 8
_SIGNED_AHEAD: Final = 3  # slices that wait for the signer while the next is made
# What is made in one go: letters in a millisecond and a half, copies of a broadcast in a third of one. What is signed goes in larger
# slices: while both processors sign, all else costs less if it comes in bursts.
_LETTERS: Final = 16
_COPIES: Final = 32
_SIGNED_COPIES: Final = 128


class Writing:
    """Makes the copies of claimed rows."""

    def __init__(
        self,
        *,
        db: Db,
        vault: AddressVault,
        texts: TextVault,
        links: Links,
        writer: Writer,
        house: House,
        send: Send,
        signer: Signer | None,
    ) -> None:
        self._db = db
        self._vault = vault
        self._texts = texts
        self._links = links
        self._writer = writer
        self._house = house
        self._signer = signer
        self._copies = _COPIES if signer is None else _SIGNED_COPIES
        self._making = asyncio.Lock()
        self._prepared: OrderedDict[int, Prepared] = OrderedDict()
        self._singles = Singles(send=send, vault=vault, links=links, house=house)

    async def write(self, rows: Sequence[Claimed], give: Callable[[Sequence[Copy | Unmakeable]], None]) -> None:
        """Give a copy for each row, or why there is none, in any order and some at a time; the loop does other things in between.

        Who comes while others are being made waits until they are, and not until the last of them is signed.
        """
        signing: deque[Future[list[Copy | Unmakeable]]] = deque()
        try:
            async with self._making:
                async for made in self._made(rows):
                    if self._signer is None:
                        give(made)
                    else:
                        signing.append(self._signer.sign(made))
                        if len(signing) > _SIGNED_AHEAD:
                            give(await signing.popleft())
                    await asyncio.sleep(0)
            while signing:
                give(await signing.popleft())
        finally:
            for unwanted in signing:
                unwanted.cancel()

    async def _made(self, rows: Sequence[Claimed]) -> AsyncIterator[list[Copy | Unmakeable]]:
        """Their copies, not signed, some in one go."""
        singles: list[Copy | Unmakeable] = []
        by_broadcast: dict[int, list[Claimed]] = {}
        async with self._db.read(brief=True) as tx:
            for row in rows:
                if row.broadcast_id is None:
                    singles.append(await self._single(tx, row))
                    if len(singles) % _LETTERS == 0:
                        await asyncio.sleep(0)
                else:
                    by_broadcast.setdefault(row.broadcast_id, []).append(row)
            prepared = {broadcast_id: await self._prepare(tx, broadcast_id) for broadcast_id in by_broadcast}
        for some in _in_slices(singles, _LETTERS):
            yield some
        for broadcast_id, its_rows in by_broadcast.items():
            names = await self._names(broadcast_id, its_rows)
            for few in _in_slices(its_rows, self._copies):
                yield [self._broadcast_copy(prepared[broadcast_id], row, names.get(row.id, ())) for row in few]

    async def _names(self, broadcast_id: int, rows: list[Claimed]) -> dict[int, list[str]]:
        """Of the pupils that each copy is about, by its id."""
        ids = json.dumps([row.id for row in rows])
        names: dict[int, list[str]] = {}
        for outbox_id, name in await audiences.pupils_of_copies(self._db, broadcast_id=broadcast_id, outbox_ids=ids):
            names.setdefault(outbox_id, []).append(name)
        return names

    def _broadcast_copy(self, prepared: Prepared, row: Claimed, pupils: Sequence[str]) -> Copy:
        envelope = self._envelope(row)
        link = self._links.url("k", envelope.tokens.receipt)
        return self._copy(row, envelope, prepared.copy(envelope, pupils=pupils, link=link))

    async def _prepare(self, tx: Tx, broadcast_id: int) -> Prepared:
        known = self._prepared.get(broadcast_id)
        if known is not None:
            return known
        row = await broadcasts.broadcast_by_id(tx, broadcast_id)
        assert row is not None
        school = await staff.school_of(tx, row["staff_id"])
        prepared = self._writer.prepare(
            BroadcastText(
                kind=Kind(row["kind"]),
                subject=self._texts.open_text(row["subject"], "subject", broadcast_id),
                text=self._texts.open_text(row["text"], "text", broadcast_id),
                sender_name=self._house.board if school is None else school["name"],
                board=self._house.board,
                list_key="all" if school is None else school["slug"],
                feedback=(str(broadcast_id), "all" if school is None else school["slug"]),
            )
        )
        self._prepared[broadcast_id] = prepared
        if len(self._prepared) > _PREPARED_KEPT:
            self._prepared.popitem(last=False)
        return prepared

    async def _single(self, tx: Tx, row: Claimed) -> Copy | Unmakeable:
        envelope = self._envelope(row)
        try:
            letter = await self._singles.letter(tx, row, envelope.tokens)
        except Nothing:
            return Unmakeable(id=row.id, permanent=True)
        return self._copy(row, envelope, self._writer.write(letter, envelope))

    def _envelope(self, row: Claimed) -> Envelope:
        return Envelope(
            recipient=self._vault.open_address(row.sealed, row.address_id),
            tokens=self._links.tokens(row.id),
            date=row.created_at,
            language=row.language,
            no_url=row.no_url,
        )

    def _copy(self, row: Claimed, envelope: Envelope, content: Lines) -> Copy:
        return Copy(row.id, return_path(self._house, envelope), envelope.recipient, content)


def _in_slices(many: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(many), size):
        yield [*many[start : start + size]]
