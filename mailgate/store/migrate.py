"""Bring a database file to the schema of this version. Plain SQL in alembic's steps, all of them in one transaction.

Alembic is loaded when there is something to do: every start asks whether there is, and only that must be quick.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final  # Any: what a driver hands to an event

if TYPE_CHECKING:
    from sqlalchemy import Connection

_STEPS: Final = Path(__file__).parent / "migrations"


def upgrade(path: Path) -> None:
    """Create the file or bring it up to date; nothing happens if it is."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_STEPS))
    config.set_main_option("path_separator", "os")
    with _connected(path) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def newest() -> str:
    """The name of the last step: its file is `NAME_what.py`."""
    return max(step.name for step in (_STEPS / "versions").glob("[0-9]*.py")).partition("_")[0]


def _connected(path: Path) -> "Connection":
    from sqlalchemy import URL, NullPool, create_engine, event

    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)

    # The driver's own way of beginning would leave DDL outside the transaction: a step that fails would leave half a table.
    @event.listens_for(engine, "connect")
    def _no_driver_transactions(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = wal")

    @event.listens_for(engine, "begin")
    def _begin(connection: "Connection") -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine.connect()
