"""Schools, their classes and their registration codes."""

from mailgate.core.instants import Instant
from mailgate.store.db import Row, Tx


async def add_school(tx: Tx, *, slug: str, name: str, kind: str) -> int | None:
    """The new school's id, or None if the slug is taken."""
    row = await tx.one(
        """
        INSERT INTO school (slug, name, kind) VALUES (:slug, :name, :kind)
        ON CONFLICT (slug) DO NOTHING
        RETURNING id
        """,
        {"slug": slug, "name": name, "kind": kind},
    )
    return None if row is None else int(row["id"])


async def add_class(tx: Tx, *, school_id: int, grade: int, slug: str, name: str) -> None:
    """Add a class; nothing happens if it is there."""
    await tx.run(
        """
        INSERT INTO class_ (school_id, grade, slug, name) VALUES (:school_id, :grade, :slug, :name)
        ON CONFLICT (school_id, grade, slug) DO NOTHING
        """,
        {"school_id": school_id, "grade": grade, "slug": slug, "name": name},
    )


async def all_schools(tx: Tx) -> list[Row]:
    """id, slug, name, kind of every school, newest first."""
    return await tx.fetch("SELECT id, slug, name, kind FROM school ORDER BY id DESC")


async def school_by_slug(tx: Tx, slug: str) -> Row | None:
    """id, slug, name, kind."""
    return await tx.one("SELECT id, slug, name, kind FROM school WHERE slug = :slug", {"slug": slug})


async def school_by_id(tx: Tx, school_id: int) -> Row | None:
    """id, slug, name, kind."""
    return await tx.one("SELECT id, slug, name, kind FROM school WHERE id = :id", {"id": school_id})


async def classes_of(tx: Tx, school_id: int) -> list[Row]:
    """id, grade, slug, name of a school's classes, by grade and in the order they were entered."""
    return await tx.fetch(
        "SELECT id, grade, slug, name FROM class_ WHERE school_id = :school_id ORDER BY grade, id",
        {"school_id": school_id},
    )


async def counts_by_school(tx: Tx) -> list[Row]:
    """school_id, pupils, registered (pupils with at least one contact)."""
    return await tx.fetch(
        """
        SELECT p.school_id, COUNT(*) AS pupils,
               COUNT(*) FILTER (WHERE EXISTS (
                   SELECT 1 FROM registration r JOIN contact c ON c.registration_id = r.id WHERE r.pupil_id = p.id
               )) AS registered
          FROM pupil p
         GROUP BY p.school_id
        """
    )


async def add_code(tx: Tx, *, school_id: int, code: str, valid_from: Instant) -> bool:
    """Add a registration code, valid until it is rotated. False: the code exists already."""
    added = await tx.run(
        """
        INSERT INTO registration_code (school_id, code, valid_from) VALUES (:school_id, :code, :valid_from)
        ON CONFLICT (code) DO NOTHING
        """,
        {"school_id": school_id, "code": code, "valid_from": valid_from},
    )
    return added == 1


async def end_codes(tx: Tx, *, school_id: int, valid_to: Instant) -> None:
    """Let a school's open-ended codes end at an instant."""
    await tx.run(
        "UPDATE registration_code SET valid_to = :valid_to WHERE school_id = :school_id AND valid_to IS NULL",
        {"school_id": school_id, "valid_to": valid_to},
    )


async def newest_code(tx: Tx, school_id: int) -> Row | None:
    """code, valid_from, valid_to of the code to print now."""
    return await tx.one(
        """
        SELECT code, valid_from, valid_to FROM registration_code
         WHERE school_id = :school_id ORDER BY id DESC LIMIT 1
        """,
        {"school_id": school_id},
    )


async def valid_codes(tx: Tx, *, now: Instant) -> list[Row]:
    """code, school_id of every code that is valid now; compared by the caller in constant time.

    One that begins later than now was made by a clock that has been set back since, and is on paper already.
    """
    return await tx.fetch(
        "SELECT code, school_id FROM registration_code WHERE valid_to IS NULL OR valid_to > :now", {"now": now}
    )
