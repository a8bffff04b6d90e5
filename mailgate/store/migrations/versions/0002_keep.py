"""Keep: sessions, changes that can be undone, one-time codes, and rows that outlive the address they were sent to."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what keeping a registration needs. Where a column changes, a table is made anew from its rows."""
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n"):
        if statement.strip():
            op.execute(statement)
