"""Leases: looked for among what is open, without an index that each copy goes into and out of."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Drop it."""
    op.execute("DROP INDEX outbox_leased")
