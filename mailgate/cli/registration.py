"""Registrations by login ID, for the help desk: what a guardian on the phone may be told, and the way back in. No address, ever."""

from typing import Any  # rows on their way to JSON

import click

from mailgate.cli.root import config_option, iso, json_option, main, refuse, run, show_one
from mailgate.core.codes import ONE_TIME_LIFETIME
from mailgate.core.instants import later
from mailgate.core.registration import normal_login_id
from mailgate.footing import Footing
from mailgate.journeys.lines import registered
from mailgate.journeys.logins import issue_code
from mailgate.store import audit, contacts, logins, people
from mailgate.store.db import Row, Tx


@main.group()
def registration() -> None:
    """Guardians' registrations, by login ID."""


@registration.command("show")
@click.argument("login_id")
@config_option
@json_option
@click.pass_context
def show_registration(context: click.Context, login_id: str, as_json: bool) -> None:
    """Whom an ID is for, and its contacts by label and provider."""

    async def work(footing: Footing) -> dict[str, Any]:
        async with footing.db.read() as tx:
            row = await people.registration_by_id(tx, (await _known(tx, login_id))["id"])
            assert row is not None
            shown = registered(row)
            return {
                "login_id": shown.login_id,
                "pupil": shown.pupil_name,
                "kana": row["kana"],
                "school": row["school_slug"],
                "class": shown.class_text,
                "on_roster": bool(row["is_rostered"]),
                "registered": iso(row["created_at"]),
                "contacts": [_contact_line(each) for each in await contacts.lines_of(tx, row["id"])],
            }

    found = run(context, work)
    if not as_json:
        found["contacts"] = [", ".join(f"{key} {value}" for key, value in line.items()) for line in found["contacts"]]
    show_one(found, as_json=as_json)


def _contact_line(row: Row) -> dict[str, Any]:
    return {
        "label": row["label"],
        "kind": row["kind"],
        "provider": row["provider"],
        "language": row["language"],
        "added": iso(row["created_at"]),
        "proven": iso(row["proven_at"]),
        "last_delivery": iso(row["last_delivery"]),
        "paused": iso(row["paused_at"]),
    }


@registration.command("code")
@click.argument("login_id")
@config_option
@json_option
@click.pass_context
def issue_one_time_code(context: click.Context, login_id: str, as_json: bool) -> None:
    """A one-time code that stands in for a lost password once, within seven days. Hand it over through the pupil, never by phone."""

    async def work(footing: Footing) -> dict[str, Any]:
        async with footing.db.write() as tx:
            row, now = await _known(tx, login_id), footing.clock.now()
            code = await issue_code(
                tx, registration_id=row["id"], digests=footing.digests, dice=footing.dice, now=now
            )
            subject = f"registration:{row['id']}"
            await audit.record(tx, at=now, actor="operator", event="registration.code_issued", subject=subject)
        return {"login_id": row["login_id"], "code": code, "valid_to": iso(later(now, ONE_TIME_LIFETIME))}

    show_one(run(context, work), as_json=as_json)


async def _known(tx: Tx, login_id: str) -> Row:
    row = await logins.login_of(tx, normal_login_id(login_id))
    if row is None:
        refuse(f'there is no registration "{login_id}"; the ID is in the registration mail, or ask the guardian for it')
    return row
