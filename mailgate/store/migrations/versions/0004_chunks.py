"""Chunks: the last address that has its row says how far an audience is written."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Drop the cursor that said it a second time."""
    op.execute("ALTER TABLE broadcast DROP COLUMN cursor")
