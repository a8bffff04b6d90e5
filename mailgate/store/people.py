"""Addresses, pupils, registrations and their contacts."""

from typing import Final

from mailgate.core.instants import Instant
from mailgate.store.db import Row, Tx


async def address_by_lookup(tx: Tx, lookup: bytes) -> int | None:
    """The id of the address with this keyed digest."""
    row = await tx.one("SELECT id FROM address WHERE lookup = :lookup", {"lookup": lookup})
    return None if row is None else int(row["id"])


async def add_address(
    tx: Tx, *, address_id: int, sealed: bytes, lookup: bytes, provider: str, site: str, now: Instant
) -> None:
    """Add an address under its drawn id."""
    await tx.run(
        """
        INSERT INTO address (id, sealed, lookup, provider, site, created_at)
        VALUES (:id, :sealed, :lookup, :provider, :site, :now)
        """,
        {"id": address_id, "sealed": sealed, "lookup": lookup, "provider": provider, "site": site, "now": now},
    )


async def address_by_id(tx: Tx, address_id: int) -> Row | None:
    """id, sealed, provider, site, paused_at, no_url, language."""
    return await tx.one(
        "SELECT id, sealed, provider, site, paused_at, no_url, language FROM address WHERE id = :id", {"id": address_id}
    )


async def pause_address(tx: Tx, *, address_id: int, now: Instant) -> bool:
    """Stop ordinary mail to an address. False: it was stopped already."""
    return await tx.run(
        "UPDATE address SET paused_at = :now WHERE id = :id AND paused_at IS NULL", {"id": address_id, "now": now}
    ) == 1


async def resume_address(tx: Tx, address_id: int) -> bool:
    """Let ordinary mail go to an address again. False: it was not stopped."""
    return await tx.run(
        "UPDATE address SET paused_at = NULL WHERE id = :id AND paused_at IS NOT NULL", {"id": address_id}
    ) == 1


async def pupils_by_kana(tx: Tx, *, school_id: int, kana_key: str) -> list[Row]:
    """id, grade, class_id, on_roster of the pupils of a school with this kana, the roster's first."""
    return await tx.fetch(
        """
        SELECT id, grade, class_id, on_roster FROM pupil
         WHERE school_id = :school_id AND kana_key = :kana_key ORDER BY on_roster DESC, id
        """,
        {"school_id": school_id, "kana_key": kana_key},
    )


async def add_pupil(
    tx: Tx,
    *,
    school_id: int,
    grade: int | None,
    class_id: int | None,
    name: str,
    kana: str,
    kana_key: str,
    on_roster: bool,
) -> int:
    """The new pupil's id."""
    row = await tx.one(
        """
        INSERT INTO pupil (school_id, grade, class_id, name, kana, kana_key, on_roster)
        VALUES (:school_id, :grade, :class_id, :name, :kana, :kana_key, :on_roster)
        RETURNING id
        """,
        {
            "school_id": school_id,
            "grade": grade,
            "class_id": class_id,
            "name": name,
            "kana": kana,
            "kana_key": kana_key,
            "on_roster": int(on_roster),
        },
    )
    assert row is not None
    return int(row["id"])


async def write_pupil(
    tx: Tx, *, pupil_id: int, grade: int | None, class_id: int | None, name: str, kana: str, kana_key: str
) -> None:
    """Write a child anew; on a roster it would be the school's to write."""
    await tx.run(
        """
        UPDATE pupil SET grade = :grade, class_id = :class_id, name = :name, kana = :kana, kana_key = :kana_key
         WHERE id = :id AND on_roster = 0
        """,
        {"id": pupil_id, "grade": grade, "class_id": class_id, "name": name, "kana": kana, "kana_key": kana_key},
    )


async def is_alone(tx: Tx, registration_id: int) -> bool:
    """Whether a registration's child is on no roster and no other registration's."""
    row = await tx.one(
        """
        SELECT 1 FROM registration r JOIN pupil p ON p.id = r.pupil_id
         WHERE r.id = :id AND p.on_roster = 0
           AND NOT EXISTS (SELECT 1 FROM registration q WHERE q.pupil_id = p.id AND q.id <> r.id)
        """,
        {"id": registration_id},
    )
    return row is not None


async def drop_pupil_of_none(tx: Tx, pupil_id: int) -> None:
    """A child who is on no roster goes with the last registration."""
    await tx.run(
        """
        DELETE FROM pupil
         WHERE id = :id AND on_roster = 0 AND NOT EXISTS (SELECT 1 FROM registration r WHERE r.pupil_id = pupil.id)
        """,
        {"id": pupil_id},
    )


async def add_registration(
    tx: Tx, *, login_id: str, login_key: str, password_hash: str, pupil_id: int, name: str, kana: str, now: Instant
) -> int | None:
    """The new registration's id, or None if the login ID is taken."""
    row = await tx.one(
        """
        INSERT INTO registration (login_id, login_key, password_hash, pupil_id, name, kana, created_at)
        VALUES (:login_id, :login_key, :password_hash, :pupil_id, :name, :kana, :now)
        ON CONFLICT (login_key) DO NOTHING
        RETURNING id
        """,
        {
            "login_id": login_id,
            "login_key": login_key,
            "password_hash": password_hash,
            "pupil_id": pupil_id,
            "name": name,
            "kana": kana,
            "now": now,
        },
    )
    return None if row is None else int(row["id"])


async def write_registration(tx: Tx, *, registration_id: int, pupil_id: int, name: str, kana: str) -> None:
    """Another child, or the same one written otherwise."""
    await tx.run(
        "UPDATE registration SET pupil_id = :pupil_id, name = :name, kana = :kana WHERE id = :id",
        {"id": registration_id, "pupil_id": pupil_id, "name": name, "kana": kana},
    )


async def is_login_taken(tx: Tx, login_key: str) -> bool:
    """Whether somebody has this login ID."""
    return await tx.one("SELECT 1 FROM registration WHERE login_key = :key", {"key": login_key}) is not None


async def logins_at(tx: Tx, address_id: int) -> list[str]:
    """The login IDs that an address is registered under, oldest first."""
    rows = await tx.fetch(
        """
        SELECT r.login_id FROM contact c JOIN registration r ON r.id = c.registration_id
         WHERE c.address_id = :address_id ORDER BY r.id
        """,
        {"address_id": address_id},
    )
    return [row["login_id"] for row in rows]


async def add_contact(
    tx: Tx, *, registration_id: int, address_id: int, kind: str, label: str, now: Instant
) -> int:
    """The new contact's id."""
    row = await tx.one(
        """
        INSERT INTO contact (registration_id, address_id, kind, label, created_at)
        VALUES (:registration_id, :address_id, :kind, :label, :now)
        RETURNING id
        """,
        {"registration_id": registration_id, "address_id": address_id, "kind": kind, "label": label, "now": now},
    )
    assert row is not None
    return int(row["id"])


async def contact_of(tx: Tx, *, registration_id: int, address_id: int) -> Row | None:
    """label, kind and the provider of one contact."""
    return await tx.one(
        """
        SELECT c.label, c.kind, a.provider FROM contact c JOIN address a ON a.id = c.address_id
         WHERE c.registration_id = :registration_id AND c.address_id = :address_id
        """,
        {"registration_id": registration_id, "address_id": address_id},
    )


async def prove_contacts(tx: Tx, *, address_id: int, now: Instant) -> None:
    """A receipt came from this address: its contacts are proven."""
    await tx.run(
        "UPDATE contact SET proven_at = :now WHERE address_id = :address_id AND proven_at IS NULL",
        {"address_id": address_id, "now": now},
    )


# on_roster is 0 only where a roster could have the child and has not.
_SHOWN: Final = """
    SELECT r.id, r.login_id, r.login_key, r.pupil_id, r.name AS pupil_name, r.kana, r.created_at, p.grade, p.school_id,
           s.name AS school_name, s.slug AS school_slug, k.name AS class_name,
           p.on_roster AS is_rostered,
           p.on_roster = 1 OR NOT EXISTS (SELECT 1 FROM pupil q WHERE q.school_id = p.school_id AND q.on_roster = 1) AS on_roster
      FROM registration r
      JOIN pupil p ON p.id = r.pupil_id
      JOIN school s ON s.id = p.school_id
      LEFT JOIN class_ k ON k.id = p.class_id
"""


async def registration_by_id(tx: Tx, registration_id: int) -> Row | None:
    """A registration as it is shown to its owner."""
    return await tx.one(_SHOWN + " WHERE r.id = :id", {"id": registration_id})


async def registrations_of_invitation(tx: Tx, invitation_id: int) -> list[Row]:
    """What came by one invitation, newest first, as it is shown to its owner."""
    return await tx.fetch(
        _SHOWN
        + """
          JOIN invitation_use u ON u.registration_id = r.id
         WHERE u.invitation_id = :invitation_id ORDER BY u.used_at DESC, r.id DESC
        """,
        {"invitation_id": invitation_id},
    )


async def registrations_of_pupil(tx: Tx, pupil_id: int) -> list[int]:
    """The ids of a child's registrations."""
    return [int(row["id"]) for row in await tx.fetch("SELECT id FROM registration WHERE pupil_id = :id", {"id": pupil_id})]


async def others_at_the_addresses(tx: Tx, registration_id: int) -> list[Row]:
    """Other registrations at the addresses of this one, as they are shown to their owner."""
    return await tx.fetch(
        _SHOWN
        + """
         WHERE r.id <> :id AND r.id IN (
               SELECT c.registration_id FROM contact c
                WHERE c.address_id IN (SELECT m.address_id FROM contact m WHERE m.registration_id = :id))
         ORDER BY r.id
        """,
        {"id": registration_id},
    )
