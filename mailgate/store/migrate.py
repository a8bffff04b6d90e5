"""Bring a database file to the schema of this version. Plain SQL in alembic's steps, all of them in one transaction."""

from pathlib import Path
from typing import Any, Final  # Any: what a driver hands to an event

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, event

_STEPS: Final = Path(__file__).parent / "migrations"


def upgrade(path: Path) -> None:
    """Create the file or bring it up to date; nothing happens if it is."""
    with _connected(path) as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def is_current(path: Path) -> bool:
    """Whether the file has the schema of this version."""
    if not path.exists():
        return False
    with _connected(path) as connection:
        return MigrationContext.configure(connection).get_current_revision() == newest()


def newest() -> str | None:
    """The name of the last step."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_STEPS))
    config.set_main_option("path_separator", "os")
    return config


def _connected(path: Path) -> Connection:
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)

    # The driver's own way of beginning would leave DDL outside the transaction: a step that fails would leave half a table.
    @event.listens_for(engine, "connect")
    def _no_driver_transactions(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = wal")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine.connect()
