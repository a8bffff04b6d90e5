"""A fresh store for every test of this room."""

from tests.builders import town
from tests.fixtures_store import db, db_path

__all__ = ["db", "db_path", "town"]
