"""Singles: what a letter of one reader says, found from the kind and the ids that its row holds."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any  # what a row's JSON holds

from mailgate.core.instants import Instant, later
from mailgate.core.letters import (
    AddressChanged,
    Completion,
    Entry,
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
)
from mailgate.core.providers import is_free_provider
from mailgate.core.returnpath import Tokens
from mailgate.journeys.links import UNDO_LIFETIME, Links
from mailgate.journeys.send import BroadcastView, Send
from mailgate.store import broadcasts, changes, invitations, kept, people, readers, recovery
from mailgate.store.db import Row, Tx
from mailgate.store.outbox import Claimed
from mailgate.vault import AddressVault


class Nothing(Exception):
    """What a letter speaks of is gone: there is nothing to send any more."""


class Singles:
    """Finds the letters of single rows."""

    def __init__(self, *, send: Send, vault: AddressVault, links: Links, house: House) -> None:
        self._send = send
        self._vault = vault
        self._links = links
        self._house = house
        self._letters: Mapping[str, Callable[[Tx, Claimed, Tokens], Awaitable[Letter]]] = {
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

    async def letter(self, tx: Tx, row: Claimed, tokens: Tokens) -> Letter:
        """What a row's letter says.

        Raises:
            Nothing: it speaks of something that is gone.
        """
        return await self._letters[row.letter or ""](tx, row, tokens)

    async def _invitation(self, tx: Tx, row: Claimed, tokens: Tokens) -> Letter:
        invitation = await self._found(invitations.invitation_by_id(tx, _params(row)["invitation"]))
        code = self._links.short_code(invitation["link_id"])
        return Invitation(
            link=self._invitation_link(invitation) if row.letter == "invitation" else None,
            short_code=f"{code[:4]} {code[4:]}",
            valid_until=Instant(invitation["expires_at"]),
            page=self._house.public_url,
        )

    async def _completion(self, tx: Tx, row: Claimed, tokens: Tokens) -> Letter:
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
            receipt_link=self._links.url("k", tokens.receipt),
            another_link=None if invitation is None else self._invitation_link(invitation),
        )

    def _invitation_link(self, invitation: Row) -> str:
        token = self._links.invitation_token(invitation["link_id"], Instant(invitation["expires_at"]))
        return self._links.url("j", token)

    async def _joined(self, tx: Tx, row: Claimed, tokens: Tokens) -> Letter:
        return Joined(_entry(await self._found(people.registration_by_id(tx, _params(row)["registration"]))))

    async def _id_list(self, tx: Tx, row: Claimed, tokens: Tokens) -> Letter:
        return IdList(tuple(_entry(entry) for entry in await readers.entries_at(tx, row.address_id)))

    async def _password_link(self, tx: Tx, row: Claimed, tokens: Tokens) -> Letter:
        link = await self._found(recovery.password_link_by_id(tx, _params(row)["link"]))
        registration = await self._found(people.registration_by_id(tx, link["registration_id"]))
        token = self._links.password_token(link["link_id"], Instant(link["issued_at"]))
        return PasswordLink(
            entry=_entry(registration), link=self._links.url("reset", token), valid_until=Instant(link["expires_at"])
        )

    async def _address_changed(self, tx: Tx, row: Claimed, tokens: Tokens) -> Letter:
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

    async def _withdrawn(self, tx: Tx, row: Claimed, tokens: Tokens) -> Letter:
        return Withdrawn()

    async def _not_read(self, tx: Tx, row: Claimed, tokens: Tokens) -> Letter:
        is_registered = bool(await readers.entries_at(tx, row.address_id))
        return NotRead(is_receipt=_params(row)["receipt"], is_registered=is_registered)

    async def _preview(self, tx: Tx, row: Claimed, tokens: Tokens) -> Letter:
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

    async def _staff_refused(self, tx: Tx, row: Claimed, tokens: Tokens) -> Letter:
        params = _params(row)
        return StaffRefused(reason=Refusal(params["reason"]), audience=params.get("audience", ""), subject="")

    async def _stopped(self, tx: Tx, row: Claimed, tokens: Tokens) -> Letter:
        stopped_by = self._links.tokens(_params(row)["stopped_by"])
        return Stopped(self._links.url("stop", stopped_by.stop))

    async def _for_operator(self, tx: Tx, row: Claimed, tokens: Tokens) -> Letter:
        mail = await self._found(kept.kept_by_id(tx, _params(row)["kept_mail"]))
        return ForOperator(self._vault.open_mail(mail["sealed"], mail["id"]))

    async def _site_paused(self, tx: Tx, row: Claimed, tokens: Tokens) -> Letter:
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
