"""The tables of the records database, for SQLite and PostgreSQL alike.

What came is kept for good in `raw_record`; `t1w`, `t2w` and `bold` hold the same in typed columns under MRIQC's own
names. Rows are added and never changed, save where a token is revoked and where the voxels of a known file become
known. Times are texts, UTC in ISO 8601, which sort as they follow each other.
"""

from __future__ import annotations

import sqlalchemy as sa

from qcbench.iqm_keys import MODALITIES, keys_of
from qcbench.records import metadata

METADATA = sa.MetaData()
#: A number that both engines count up; SQLite does so for this type alone.
_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _sequence() -> sa.Column:
    return sa.Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True)


CLIENT = sa.Table(
    "client",
    METADATA,
    sa.Column("client_id", _SEQUENCE, primary_key=True, autoincrement=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", sa.Text, nullable=False),
)

TOKEN = sa.Table(
    "token",
    METADATA,
    sa.Column("token_sha256", sa.Text, primary_key=True),
    sa.Column("client_id", _SEQUENCE, sa.ForeignKey("client.client_id"), nullable=False),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("revoked_at", sa.Text),
)

RAW_RECORD = sa.Table(
    "raw_record",
    METADATA,
    sa.Column("record_id", sa.Text, primary_key=True),
    sa.Column("modality", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("received_at", sa.Text, nullable=False),
    sa.Column("client_id", _SEQUENCE, sa.ForeignKey("client.client_id"), nullable=False),
)

#: Files with the same voxels are one image; `image_id` is the hash of the voxels where it is known, else the MD5.
IMAGE_FILE = sa.Table(
    "image_file",
    METADATA,
    sa.Column("file_md5", sa.Text, primary_key=True),
    sa.Column("voxels_sha256", sa.Text),
    sa.Column("image_id", sa.Text, nullable=False, index=True),
)

FLAG = sa.Table(
    "flag",
    METADATA,
    _sequence(),
    # Of a record or of a rating.
    sa.Column("item_id", sa.Text, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False, index=True),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("found", sa.Text),
    sa.Column("proposed", sa.Text),
)

RATING = sa.Table(
    "rating",
    METADATA,
    _sequence(),
    sa.Column("rating_id", sa.Text, nullable=False, unique=True),
    sa.Column("rater", sa.Text, nullable=False, index=True),
    sa.Column("given", sa.Text, nullable=False),
    sa.Column("score", sa.Double),
    sa.Column("class", sa.Text),
    sa.Column("artifacts", sa.Text, nullable=False),
    sa.Column("confidence", sa.Double),
    sa.Column("seconds", sa.Double),
    sa.Column("comment", sa.Text),
    # Null: the rating is explicitly linked to no image. A file that is not known yet may come later.
    sa.Column("file_md5", sa.Text, index=True),
    sa.Column("image_name", sa.Text),
    sa.Column("supersedes", sa.Text, sa.ForeignKey("rating.rating_id"), index=True),
    sa.Column("n_flags", sa.Integer, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("received_at", sa.Text, nullable=False),
    sa.Column("client_id", _SEQUENCE, sa.ForeignKey("client.client_id"), nullable=False),
)

#: What a curator decided on a proposed repair; of several on one flag the last holds. See `curate`.
DECISION = sa.Table(
    "decision",
    METADATA,
    _sequence(),
    sa.Column("decision_id", sa.Text, nullable=False, unique=True),
    sa.Column("flag", _SEQUENCE, sa.ForeignKey("flag.sequence"), nullable=False, index=True),
    # As they were in the flag: what was decided on does not change with it.
    sa.Column("item_id", sa.Text, nullable=False, index=True),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("found", sa.Text),
    sa.Column("proposed", sa.Text, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("decided_by", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("decided_at", sa.Text, nullable=False),
)

AUDIT = sa.Table(
    "audit",
    METADATA,
    _sequence(),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("client", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("previous_sha256", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
)


def _typed_table(modality: str) -> sa.Table:
    return sa.Table(
        modality.lower(),
        METADATA,
        _sequence(),
        sa.Column("record_id", sa.Text, sa.ForeignKey("raw_record.record_id"), nullable=False, unique=True),
        sa.Column("received_at", sa.Text, nullable=False),
        sa.Column("file_md5", sa.Text, nullable=False, index=True),
        sa.Column("voxels_sha256", sa.Text),
        sa.Column("software", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("testing", sa.Boolean),
        sa.Column("fd_thres", sa.Double),
        sa.Column("hmc_fsl", sa.Boolean),
        sa.Column("iqm_profile", sa.Text),
        sa.Column("n_flags", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text, index=name == "subject_id") for name in metadata.TEXT_COLUMNS),
        *(sa.Column(name, sa.Double) for name in metadata.NUMBER_COLUMNS),
        *(sa.Column(key.name, sa.BigInteger if key.dtype == "int64" else sa.Double) for key in keys_of(modality)),
    )


#: The typed table of each modality.
TYPED: dict[str, sa.Table] = {modality: _typed_table(modality) for modality in MODALITIES}
