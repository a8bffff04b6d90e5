"""Addresses, pupils, registrations and their contacts."""

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
    """id, sealed, provider, site, paused_at."""
    return await tx.one(
        "SELECT id, sealed, provider, site, paused_at FROM address WHERE id = :id", {"id": address_id}
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


async def addresses_of_pupil(tx: Tx, pupil_id: int) -> list[Row]:
    """address_id, kind of every contact of a pupil, whichever registration it came by."""
    return await tx.fetch(
        """
        SELECT c.address_id, c.kind FROM contact c JOIN registration r ON r.id = c.registration_id
         WHERE r.pupil_id = :pupil_id
        """,
        {"pupil_id": pupil_id},
    )


async def add_registration(
    tx: Tx, *, login_id: str, login_key: str, password_hash: str, pupil_id: int, now: Instant
) -> int | None:
    """The new registration's id, or None if the login ID is taken."""
    row = await tx.one(
        """
        INSERT INTO registration (login_id, login_key, password_hash, pupil_id, created_at)
        VALUES (:login_id, :login_key, :password_hash, :pupil_id, :now)
        ON CONFLICT (login_key) DO NOTHING
        RETURNING id
        """,
        {
            "login_id": login_id,
            "login_key": login_key,
            "password_hash": password_hash,
            "pupil_id": pupil_id,
            "now": now,
        },
    )
    return None if row is None else int(row["id"])


async def is_login_taken(tx: Tx, login_key: str) -> bool:
    """Whether somebody has this login ID."""
    return await tx.one("SELECT 1 FROM registration WHERE login_key = :key", {"key": login_key}) is not None


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


_SHOWN = """
    SELECT r.id, r.login_id, r.login_key, r.pupil_id, p.name AS pupil_name, p.grade, s.name AS school_name, s.slug AS school_slug,
           k.name AS class_name
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
