"""The step from the first schema to the second keeps every row, and ids go on from where they were."""

import sqlite3
from pathlib import Path

from mailgate.footing import schema_of
from mailgate.store import migrate

VERSIONS = Path(migrate.__file__).parent / "migrations" / "versions"
ROWS = """
    INSERT INTO school VALUES (1, 'kita-es', '北小学校', 'elementary');
    INSERT INTO pupil VALUES (3, 1, 3, NULL, '高橋 花子', 'タカハシ ハナコ', 'タカハシハナコ', 0);
    INSERT INTO address VALUES (7, x'0a', x'0b', 'docomo', 'docomo', 1, NULL);
    INSERT INTO registration VALUES (11, 'hanako', 'hanako', 'hash', 3, 2);
    INSERT INTO contact VALUES (13, 11, 7, 'guardian', '母', 3, 4);
    INSERT INTO invitation VALUES (17, x'0c', x'0d', 7, 5, 6, 2, NULL);
    INSERT INTO invitation_use VALUES (17, 11, 6);
    INSERT INTO outbox VALUES (19, NULL, 'completion', '{}', 7, 1, 'handed_over', 1, 2, 3, 1, 0, NULL, NULL, 4, NULL, 'eod', 250,
                               NULL, 'ok');
    INSERT INTO receipt VALUES (19, 8, 'press');
"""


def old_database(path: Path) -> None:
    """A database of the first schema with a row of everything that the step makes anew."""
    database = sqlite3.connect(path)
    database.executescript((VERSIONS / "0001_gate.sql").read_text(encoding="utf-8") + ROWS)
    database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    database.execute("INSERT INTO alembic_version VALUES ('0001')")
    database.commit()
    database.close()


def test_the_step_keeps_every_row(tmp_path: Path) -> None:
    path = tmp_path / "mailgate.db"
    old_database(path)
    assert schema_of(path) == "0001"
    migrate.upgrade(path)
    assert schema_of(path) == migrate.newest()
    database = sqlite3.connect(path)

    def row(table: str) -> tuple[object, ...]:
        return tuple(database.execute(f"SELECT * FROM {table}").fetchone())

    assert row("address") == (7, b"\x0a", b"\x0b", "docomo", "docomo", 1, None, 0, "ja")
    assert row("registration") == (11, "hanako", "hanako", "hash", 3, "高橋 花子", "タカハシ ハナコ", 2)
    assert row("contact") == (13, 11, 7, "guardian", "母", 3, 4, None)
    assert row("invitation") == (17, b"\x0c", b"\x0d", 7, 5, 6, 2, None)
    assert row("invitation_use") == (17, 11, 6)
    assert row("outbox")[:8] == (19, None, "completion", "{}", 7, 1, "handed_over", 1)
    assert row("receipt") == (19, 8, "press")
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    assert database.execute("SELECT name FROM sqlite_master WHERE name LIKE 'before%'").fetchall() == []
    numbered = dict(database.execute("SELECT name, seq FROM sqlite_sequence"))
    assert numbered == {"registration": 11, "contact": 13, "invitation": 17, "outbox": 19}
    database.close()
