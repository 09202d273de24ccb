"""What curators decide on proposed repairs has a table of its own, beside the flags that propose them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "decision",
        sa.Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("decision_id", sa.Text, nullable=False, unique=True),
        sa.Column("flag", _SEQUENCE, sa.ForeignKey("flag.sequence"), nullable=False, index=True),
        sa.Column("item_id", sa.Text, nullable=False, index=True),
        *(sa.Column(name, sa.Text, nullable=name == "found") for name in ("code", "field", "found", "proposed")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("verdict", "decided_by", "why", "decided_at")),
    )


def downgrade() -> None:
    """Take the table away, and with it every decision."""
    op.drop_table("decision")
