"""Schools and staff."""

import asyncio
import base64
from dataclasses import dataclass
from typing import Any, Final  # Any: rows on their way to JSON
from urllib.parse import quote

import click

from mailgate.cli.root import config_option, iso, json_option, main, refuse, row_id, run, show, show_one
from mailgate.core import audience
from mailgate.core.addresses import Address, BadPath, parse_spec
from mailgate.core.audience import SchoolKind
from mailgate.footing import Footing
from mailgate.journeys.addressbook import AddressBook
from mailgate.journeys.schools import new_registration_code
from mailgate.store import audit, schools, staff
from mailgate.store.db import Row, Tx
from mailgate.vault import AddressVault

_ROLES: Final = ("board", "head", "school", "helpdesk", "operator")
_PIN_DIGITS: Final = 6
_PASSWORD_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"  # noqa: S105  # what passwords are drawn from
_PASSWORD_LETTERS: Final = 24  # 120 bits
_TOTP_OCTETS: Final = 20  # RFC 4226 section 4


@main.group()
def school() -> None:
    """Schools, their classes and registration codes."""


@school.command("add")
@click.argument("slug")
@click.option("--name", required=True, help="As guardians read it.")
@click.option("--kind", type=click.Choice([kind.value for kind in SchoolKind]), required=True)
@click.option("--class", "classes", multiple=True, metavar="GRADE-SLUG[=NAME]", help="A class; may be repeated.")
@config_option
@json_option
@click.pass_context
def add_school(context: click.Context, slug: str, name: str, kind: str, classes: tuple[str, ...], as_json: bool) -> None:
    """Add a school, or classes to one that is there, and give it its first registration code."""
    if not audience.is_school_slug(slug):
        refuse(f'"{slug}" cannot be a slug: use lower-case letters, digits and hyphens, and no word such as all or staff')
    parsed = [_class_of(text, kind) for text in classes]

    async def work(footing: Footing) -> str:
        async with footing.db.write() as tx:
            now = footing.clock.now()
            known = await schools.school_by_slug(tx, slug)
            if known is not None and (known["kind"] != kind or not parsed):
                refuse(f'there is a school "{slug}" already; give --class to add classes to it')
            school_id = known["id"] if known else await schools.add_school(tx, slug=slug, name=name, kind=kind)
            assert school_id is not None  # looked at in this transaction
            for grade, class_slug, class_name in parsed:
                await schools.add_class(tx, school_id=school_id, grade=grade, slug=class_slug, name=class_name)
            if known is None:
                await new_registration_code(tx, school_id=school_id, dice=footing.dice, now=now)
            await audit.record(tx, at=now, actor="operator", event="school.added", subject=f"school:{school_id}")
            code = await schools.newest_code(tx, school_id)
        assert code is not None
        return str(code["code"])

    show_one({"school": slug, "code": run(context, work)}, as_json=as_json)


def _class_of(text: str, kind: str) -> tuple[int, str, str]:
    place, _, name = text.partition("=")
    grade, _, slug = place.partition("-")
    grades = map(str, audience.grades_of(kind))
    if grade not in grades or not audience.is_class_slug(slug):
        refuse(f'"{text}" is not GRADE-SLUG[=NAME] with a grade of that kind of school, such as 3-1 or 3-tanpopo=たんぽぽ')
    return int(grade), slug, name or slug


@school.command("list")
@config_option
@json_option
@click.pass_context
def list_schools(context: click.Context, as_json: bool) -> None:
    """All schools, newest first."""

    async def work(footing: Footing) -> list[dict[str, Any]]:
        async with footing.db.read() as tx:
            counts = {row["school_id"]: row for row in await schools.counts_by_school(tx)}
            return [await _school_line(tx, row, counts.get(row["id"])) for row in await schools.all_schools(tx)]

    show(run(context, work), as_json=as_json)


async def _school_line(tx: Tx, row: Row, counts: Row | None) -> dict[str, Any]:
    names = [each["name"] for each in await schools.classes_of(tx, row["id"])]
    return {
        "slug": row["slug"],
        "name": row["name"],
        "kind": row["kind"],
        "grades": list(audience.grades_of(row["kind"])),
        "classes": list(dict.fromkeys(names)),
        "pupils": counts["pupils"] if counts else 0,
        "registered": counts["registered"] if counts else 0,
    }


@school.command("code")
@click.argument("slug")
@config_option
@json_option
@click.pass_context
def show_code(context: click.Context, slug: str, as_json: bool) -> None:
    """The registration code to print on the sheet."""

    async def work(footing: Footing) -> dict[str, Any]:
        async with footing.db.read() as tx:
            return await _code_line(tx, await _known_school(tx, slug))

    show_one(run(context, work), as_json=as_json)


@school.command("rotate-code")
@click.argument("slug")
@config_option
@json_option
@click.pass_context
def rotate_code(context: click.Context, slug: str, as_json: bool) -> None:
    """Give a school a new registration code; the old one ends now."""

    async def work(footing: Footing) -> dict[str, Any]:
        async with footing.db.write() as tx:
            now = footing.clock.now()
            row = await _known_school(tx, slug)
            await schools.end_codes(tx, school_id=row["id"], valid_to=now)
            await new_registration_code(tx, school_id=row["id"], dice=footing.dice, now=now)
            await audit.record(tx, at=now, actor="operator", event="school.code_rotated", subject=f"school:{row['id']}")
            return await _code_line(tx, row)

    show_one(run(context, work), as_json=as_json)


async def _known_school(tx: Tx, slug: str) -> Row:
    row = await schools.school_by_slug(tx, slug)
    if row is None:
        refuse(f'there is no school "{slug}"; see `mailgate school list`')
    return row


async def _code_line(tx: Tx, row: Row) -> dict[str, Any]:
    code = await schools.newest_code(tx, row["id"])
    assert code is not None  # every school has one from its first day
    return {
        "school": row["slug"],
        "code": code["code"],
        "valid_from": iso(code["valid_from"]),
        "valid_to": iso(code["valid_to"]),
    }


@main.group("staff")
def staff_group() -> None:
    """Who may send, and to whom."""


@staff_group.command("add")
@click.option("--role", type=click.Choice(_ROLES), required=True)
@click.option("--scope", required=True, help="all, SCHOOL, SCHOOL.GRADE or SCHOOL.GRADE-CLASS")
@click.option("--name", required=True)
@click.option("--address", required=True)
@click.option("--pin", help="Six digits; drawn if not given.")
@config_option
@json_option
@click.pass_context
def add_staff(
    context: click.Context, role: str, scope: str, name: str, address: str, pin: str | None, as_json: bool
) -> None:
    """Enrol somebody. What is printed is shown this once."""
    parsed = audience.parse_scope(scope)
    if parsed is None:
        refuse(f'--scope: "{scope}" is not all, SCHOOL, SCHOOL.GRADE or SCHOOL.GRADE-CLASS')
    if pin is not None and not (pin.isascii() and pin.isdigit() and len(pin) == _PIN_DIGITS):
        refuse("--pin: must be six digits")
    try:
        member = _NewMember(role=role, scope=parsed, name=name, mailbox=parse_spec(address))
    except BadPath as error:
        refuse(f"--address: {error}")
    show_one(run(context, lambda footing: _enrol(footing, member, pin)), as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class _NewMember:
    role: str
    scope: audience.Scope
    name: str
    mailbox: Address


async def _enrol(footing: Footing, member: _NewMember, pin: str | None) -> dict[str, Any]:
    """Write a new member with what proves them; what is shown this once."""
    dice = footing.dice
    pin = pin or dice.text("0123456789", _PIN_DIGITS)
    password = dice.text(_PASSWORD_ALPHABET, _PASSWORD_LETTERS)
    totp = dice.octets(_TOTP_OCTETS)
    pin_hash, submission_hash = await asyncio.gather(footing.passwords.hash(pin), footing.passwords.hash(password))
    async with footing.db.write() as tx:
        now = footing.clock.now()
        scope = await _known_scope(tx, member.scope)
        staff_id = await staff.next_id(tx)
        added = await staff.add_staff(
            tx,
            staff_id=staff_id,
            address_id=await AddressBook(AddressVault(footing.keys, dice), dice).enter(tx, member.mailbox, now=now),
            name=member.name,
            role=member.role,
            scope=str(scope),
            pin_hash=pin_hash,
            submission_hash=submission_hash,
            totp_sealed=footing.texts.seal_totp(totp, staff_id),
            now=now,
        )
        if not added:
            refuse("that address is enrolled already; see `mailgate staff list`")
        await audit.record(tx, at=now, actor="operator", event="staff.added", subject=f"staff:{staff_id}")
    issuer = quote(footing.house.name)
    secret = base64.b32encode(totp).decode()
    return {
        "id": staff_id,
        "address": member.mailbox.spec,
        "pin": pin,
        "submission_password": password,
        "totp_uri": f"otpauth://totp/{issuer}:{staff_id}?secret={secret}&issuer={issuer}",
    }


async def _known_scope(tx: Tx, scope: audience.Scope) -> audience.Scope:
    """A scope of what is there, its class called as addresses call it: with another nobody could be written to."""
    if isinstance(scope, audience.City):
        return scope
    school = await _known_school(tx, scope.slug)
    if isinstance(scope, audience.School):
        return scope
    if scope.grade not in audience.grades_of(school["kind"]):
        refuse(f'there is no grade {scope.grade} at "{scope.slug}"')
    if isinstance(scope, audience.Grade):
        return scope
    classes = [row for row in await schools.classes_of(tx, school["id"]) if row["grade"] == scope.grade]
    named = [row["slug"] for row in classes if scope.class_slug in (row["slug"], row["name"].lower())]
    if not named:
        refuse(f'there is no class "{scope.class_slug}" in grade {scope.grade} at "{scope.slug}"; see `mailgate school list`')
    return audience.Class(scope.slug, scope.grade, named[0])


@staff_group.command("list")
@config_option
@json_option
@click.pass_context
def list_staff(context: click.Context, as_json: bool) -> None:
    """All staff, newest first; nothing secret."""

    async def work(footing: Footing) -> list[dict[str, Any]]:
        async with footing.db.read() as tx:
            return [
                {
                    "id": row["id"],
                    "name": row["name"],
                    "role": row["role"],
                    "scope": row["scope"],
                    "created": iso(row["created_at"]),
                    "disabled": iso(row["disabled_at"]),
                }
                for row in await staff.all_staff(tx)
            ]

    show(run(context, work), as_json=as_json)


@staff_group.command("disable")
@click.argument("staff_id", type=row_id)
@config_option
@click.pass_context
def disable_staff(context: click.Context, staff_id: int) -> None:
    """Treat somebody's mails as a stranger's from now on."""

    async def work(footing: Footing) -> bool:
        async with footing.db.write() as tx:
            now = footing.clock.now()
            done = await staff.disable(tx, staff_id=staff_id, now=now)
            if done:
                await audit.record(tx, at=now, actor="operator", event="staff.disabled", subject=f"staff:{staff_id}")
        return done

    if not run(context, work):
        refuse(f"there is no enrolled staff member {staff_id}")
