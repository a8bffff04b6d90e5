"""Writing: claimed rows become copies. Links, texts and names are looked up and made at this moment, so that none lies in the database.

A broadcast is prepared once and kept while its rows come; a row of its own costs opening one address, one HMAC and a join. A single letter
is stored as kind and ids, and each kind has one function here that finds what it says.
"""

import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final  # Any: what a row's JSON holds

from mailgate.core.broadcast import Kind
from mailgate.core.instants import Instant, later
from mailgate.core.letters import (
    AddressChanged,
    BroadcastText,
    Completion,
    CopyFacts,
    Entry,
    Envelope,
    ForOperator,
    House,
    IdList,
    Invitation,
    Joined,
    Letter,
    NotRead,
    PasswordLink,
    Preview,
    Refusal,
    SitePaused,
    StaffRefused,
    Stopped,
    Withdrawn,
    return_path,
)
from mailgate.core.providers import is_free_provider
from mailgate.core.readers import Language
from mailgate.core.relay import Copy
from mailgate.core.returnpath import Slot, Tags
from mailgate.journeys.deliver import Unmakeable
from mailgate.journeys.links import UNDO_LIFETIME, Links
from mailgate.journeys.send import BroadcastView, Send
from mailgate.journeys.signing import Signer
from mailgate.letters.prepared import Prepared
from mailgate.letters.writer import Writer
from mailgate.store import audiences, broadcasts, changes, invitations, kept, people, readers, recovery, staff
from mailgate.store.db import Db, Row, Tx
from mailgate.store.outbox import Claimed
from mailgate.vault import AddressVault, TextVault

_PREPARED_KEPT: Final = 8


class Nothing(Exception):
    """What a letter speaks of is gone: there is nothing to send any more."""


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
        self._send = send
        self._signer = signer
        self._prepared: OrderedDict[int, Prepared] = OrderedDict()
        self._letters: Mapping[str, Callable[[Tx, Claimed, Tags], Awaitable[Letter]]] = {
            "invitation": self._invitation,
            "invitation_code": self._invitation,
            "completion": self._completion,
            "joined": self._joined,
            "id_list": self._id_list,
            "password_link": self._password_link,
            "address_changed": self._address_changed,
            "withdrawn": self._withdrawn,
            "not_read": self._not_read,
            "stopped": self._stopped,
            "preview": self._preview,
            "staff_refused": self._staff_refused,
            "for_operator": self._for_operator,
            "site_paused": self._site_paused,
        }

    async def write(self, rows: Sequence[Claimed]) -> list[Copy | Unmakeable]:
        """The copies of some rows, in any order."""
        by_broadcast: dict[int, list[Claimed]] = {}
        made: list[Copy | Unmakeable] = []
        async with self._db.read() as tx:
            for row in rows:
                if row.broadcast_id is None:
                    made.append(await self._single(tx, row))
                else:
                    by_broadcast.setdefault(row.broadcast_id, []).append(row)
            for broadcast_id, its_rows in by_broadcast.items():
                made += await self._copies(tx, broadcast_id, its_rows)
        return made if self._signer is None else await self._signer.sign(made)

    async def _copies(self, tx: Tx, broadcast_id: int, rows: list[Claimed]) -> list[Copy | Unmakeable]:
        prepared = await self._prepare(tx, broadcast_id)
        ids = json.dumps([row.id for row in rows])
        names: dict[int, list[str]] = {}
        for found in await audiences.pupils_of_copies(tx, broadcast_id=broadcast_id, outbox_ids=ids):
            names.setdefault(found["outbox_id"], []).append(found["name"])
        return [self._broadcast_copy(prepared, row, tuple(names.get(row.id, ()))) for row in rows]

    def _broadcast_copy(self, prepared: Prepared, row: Claimed, pupils: tuple[str, ...]) -> Copy:
        tags = self._links.tags(row.id)
        envelope = self._envelope(row, tags)
        link = self._links.url("k", envelope.receipt_token)
        content = prepared.copy(CopyFacts(envelope=envelope, pupils=pupils, link=link))
        return self._copy(row, envelope, content)

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
        tags = self._links.tags(row.id)
        try:
            letter = await self._letters[row.letter or ""](tx, row, tags)
        except Nothing:
            return Unmakeable(id=row.id, permanent=True)
        envelope = self._envelope(row, tags)
        return self._copy(row, envelope, self._writer.write(letter, envelope))

    def _envelope(self, row: Claimed, tags: Tags) -> Envelope:
        return Envelope(
            recipient=self._vault.open_address(row.sealed, row.address_id).spec,
            bounce_token=tags.token(Slot.BOUNCE),
            receipt_token=tags.token(Slot.RECEIPT),
            stop_token=tags.token(Slot.STOP),
            message_id_token=tags.token(Slot.MESSAGE_ID),
            date=row.created_at,
            language=Language(row.language),
            no_url=row.no_url,
        )

    def _copy(self, row: Claimed, envelope: Envelope, content: bytes) -> Copy:
        return Copy(
            id=row.id, sender=return_path(self._house, envelope), recipient=envelope.recipient, content=content
        )

    async def _invitation(self, tx: Tx, row: Claimed, tags: Tags) -> Letter:
        invitation = await self._found(invitations.invitation_by_id(tx, _params(row)["invitation"]))
        code = self._links.short_code(invitation["link_id"])
        return Invitation(
            link=self._invitation_link(invitation) if row.letter == "invitation" else None,
            short_code=f"{code[:4]} {code[4:]}",
            valid_until=Instant(invitation["expires_at"]),
            page=self._house.public_url,
        )

    async def _completion(self, tx: Tx, row: Claimed, tags: Tags) -> Letter:
        params = _params(row)
        registration = await self._found(people.registration_by_id(tx, params["registration"]))
        contact = await self._found(people.contact_of(tx, registration_id=registration["id"], address_id=row.address_id))
        # None: the contact is asked once more, and the link it came by is over.
        invitation = None
        if params["invitation"] is not None:
            invitation = await invitations.invitation_by_id(tx, params["invitation"])
        return Completion(
            entry=_entry(registration),
            label=contact["label"],
            free_mail=is_free_provider(contact["provider"]),
            receipt_link=self._links.url("k", tags.token(Slot.RECEIPT)),
            another_link=None if invitation is None else self._invitation_link(invitation),
        )

    def _invitation_link(self, invitation: Row) -> str:
        token = self._links.invitation_token(invitation["link_id"], Instant(invitation["expires_at"]))
        return self._links.url("j", token)

    async def _joined(self, tx: Tx, row: Claimed, tags: Tags) -> Letter:
        return Joined(_entry(await self._found(people.registration_by_id(tx, _params(row)["registration"]))))

    async def _id_list(self, tx: Tx, row: Claimed, tags: Tags) -> Letter:
        return IdList(tuple(_entry(entry) for entry in await readers.entries_at(tx, row.address_id)))

    async def _password_link(self, tx: Tx, row: Claimed, tags: Tags) -> Letter:
        link = await self._found(recovery.password_link_by_id(tx, _params(row)["link"]))
        registration = await self._found(people.registration_by_id(tx, link["registration_id"]))
        token = self._links.password_token(link["link_id"], Instant(link["issued_at"]))
        return PasswordLink(
            entry=_entry(registration), link=self._links.url("reset", token), valid_until=Instant(link["expires_at"])
        )

    async def _address_changed(self, tx: Tx, row: Claimed, tags: Tags) -> Letter:
        change = await self._found(changes.change_by_id(tx, _params(row)["change"]))
        registration = await self._found(people.registration_by_id(tx, change["registration_id"]))
        made_at = Instant(change["made_at"])
        undo = self._links.url("undo", self._links.undo_token(change["link_id"], made_at))
        return AddressChanged(
            entry=_entry(registration),
            change=change["kind"],
            old_label=change["old_label"],
            new_label=change["new_label"] or "",
            made_at=made_at,
            undo_link=undo if change["undoable"] else None,
            undo_until=later(made_at, UNDO_LIFETIME),
        )

    async def _withdrawn(self, tx: Tx, row: Claimed, tags: Tags) -> Letter:
        return Withdrawn()

    async def _not_read(self, tx: Tx, row: Claimed, tags: Tags) -> Letter:
        is_registered = bool(await readers.entries_at(tx, row.address_id))
        return NotRead(is_receipt=_params(row)["receipt"], is_registered=is_registered)

    async def _preview(self, tx: Tx, row: Claimed, tags: Tags) -> Letter:
        params = _params(row)
        broadcast = await self._found(broadcasts.broadcast_by_id(tx, params["broadcast"]))
        view: BroadcastView = await self._send.view_as_owed(tx, broadcast, params)
        token = self._links.send_token(broadcast["link_id"], Instant(broadcast["created_at"]))
        return Preview(
            subject=view.subject,
            text=view.text,
            kind=view.kind,
            audience="、".join(view.audience),
            widened=bool(params["widened"]),
            recipients=view.recipients,
            pupils=view.pupils,
            unregistered=view.unregistered,
            cut=view.cut,
            warnings=view.warnings,
            link=self._links.url("send", token),
            lapses_at=view.lapses_at,
        )

    async def _staff_refused(self, tx: Tx, row: Claimed, tags: Tags) -> Letter:
        params = _params(row)
        return StaffRefused(reason=Refusal(params["reason"]), audience=params.get("audience", ""), subject="")

    async def _stopped(self, tx: Tx, row: Claimed, tags: Tags) -> Letter:
        stopped_by = self._links.tags(_params(row)["stopped_by"])
        return Stopped(self._links.url("stop", stopped_by.token(Slot.STOP)))

    async def _for_operator(self, tx: Tx, row: Claimed, tags: Tags) -> Letter:
        mail = await self._found(kept.kept_by_id(tx, _params(row)["kept_mail"]))
        return ForOperator(self._vault.open_mail(mail["sealed"], mail["id"]))

    async def _site_paused(self, tx: Tx, row: Claimed, tags: Tags) -> Letter:
        return SitePaused(**_params(row))

    async def _found(self, looked_up: Awaitable[Row | None]) -> Row:
        row = await looked_up
        if row is None:
            raise Nothing
        return row


def _entry(row: Row) -> Entry:
    return Entry(
        login_id=row["login_id"],
        pupil=row["pupil_name"],
        school=row["school_name"],
        grade=row["grade"],
        class_name=row["class_name"],
    )


def _params(row: Claimed) -> dict[str, Any]:
    params: dict[str, Any] = json.loads(row.params or "{}")
    return params
