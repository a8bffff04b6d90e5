"""All migrations together make the schema that schema.sql tells."""

import re
import sqlite3
from pathlib import Path

from tests.guards.repo import read


def plain(sql: str) -> str:
    """A statement without comments, and without blanks that mean nothing."""
    bare = re.sub(r"--[^\n]*", " ", sql)
    return re.sub(r"\s*([(),])\s*", r"\1", " ".join(bare.split()))


def shape(database: sqlite3.Connection) -> dict[str, str]:
    """Every table, index, trigger and view with its statement; alembic's own table is none of the schema."""
    rows = database.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' AND name <> 'alembic_version'")
    return {f"{kind} {name}": plain(sql) for kind, name, sql in rows}


def told() -> dict[str, str]:
    """The shape that schema.sql tells."""
    database = sqlite3.connect(":memory:")
    database.executescript(read("mailgate/store/schema.sql"))
    found = shape(database)
    database.close()
    return found


def test_all_migrations_make_the_schema(tmp_path: Path) -> None:
    from mailgate.store.migrate import upgrade

    file = tmp_path / "mailgate.db"
    upgrade(file)
    database = sqlite3.connect(file)
    found = shape(database)
    database.close()
    assert found == told()


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    from mailgate.store.migrate import upgrade

    file = tmp_path / "mailgate.db"
    upgrade(file)
    before = file.read_bytes()
    upgrade(file)
    assert file.read_bytes() == before


def test_every_table_is_strict() -> None:
    assert [name for name, sql in told().items() if name.startswith("table") and not sql.endswith("STRICT")] == []


def test_another_schema_is_found() -> None:
    one, other = (sqlite3.connect(":memory:") for _ in range(2))
    one.execute("CREATE TABLE a (\n  b INTEGER, -- why\n  c TEXT\n) STRICT")
    other.execute("CREATE TABLE a (b INTEGER, c TEXT) STRICT")
    assert shape(one) == shape(other)
    other.execute("CREATE INDEX a_by_c ON a (c) WHERE b = 1")
    assert shape(one) != shape(other)
    one.close()
    other.close()
