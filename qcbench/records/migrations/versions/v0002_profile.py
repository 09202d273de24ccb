"""Metrics of one name can follow several definitions: which ones, where the client says so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column to the typed tables."""
    for table in ("t1w", "t2w", "bold"):
        op.add_column(table, sa.Column("iqm_profile", sa.Text))


def downgrade() -> None:
    """Take the column away."""
    for table in ("t1w", "t2w", "bold"):
        op.drop_column(table, "iqm_profile")
