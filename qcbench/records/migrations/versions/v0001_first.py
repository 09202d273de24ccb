"""The first form of the tables. Frozen: a later change is a step of its own, beside this one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXTS = """
    DeviceSerialNumber InstitutionName MRAcquisitionType Manufacturer ManufacturersModelName
    PhaseEncodingDirection ProtocolName ReceiveCoilName ScanningSequence SequenceName SoftwareVersions TaskName
    acq_id run_id session_id subject_id task_id
"""
_NUMBERS = """
    EchoTime EffectiveEchoSpacing FlipAngle ImagingFrequency InversionTime MagneticFieldStrength PixelBandwidth
    RepetitionTime TotalReadoutTime
"""
# A name that begins with a plus is a whole number.
_ANATOMICAL = """
    cjv cnr efc fber fwhm_x fwhm_y fwhm_z fwhm_avg icvs_csf icvs_gm icvs_wm inu_med inu_range qi_1 qi_2 rpve_csf
    rpve_gm rpve_wm snr_csf snr_gm snr_wm snr_total snrd_csf snrd_gm snrd_wm snrd_total tpm_overlap_csf
    tpm_overlap_gm tpm_overlap_wm wm2max +size_x +size_y +size_z spacing_x spacing_y spacing_z summary_bg_mean
    summary_bg_median summary_bg_p05 summary_bg_p95 summary_bg_stdv summary_bg_k summary_bg_mad summary_bg_n
    summary_csf_mean summary_csf_median summary_csf_p05 summary_csf_p95 summary_csf_stdv summary_csf_k
    summary_csf_mad summary_csf_n summary_gm_mean summary_gm_median summary_gm_p05 summary_gm_p95
    summary_gm_stdv summary_gm_k summary_gm_mad summary_gm_n summary_wm_mean summary_wm_median summary_wm_p05
    summary_wm_p95 summary_wm_stdv summary_wm_k summary_wm_mad summary_wm_n
"""
_FUNCTIONAL = """
    aor aqi +dummy_trs dvars_nstd dvars_std dvars_vstd efc fber fd_mean +fd_num fd_perc fwhm_x fwhm_y fwhm_z
    fwhm_avg gcor gsr_x gsr_y +size_t snr spacing_tr tsnr +size_x +size_y +size_z spacing_x spacing_y spacing_z
    summary_bg_mean summary_bg_median summary_bg_p05 summary_bg_p95 summary_bg_stdv summary_bg_k summary_bg_mad
    summary_bg_n summary_fg_mean summary_fg_median summary_fg_p05 summary_fg_p95 summary_fg_stdv summary_fg_k
    summary_fg_mad summary_fg_n
"""


def upgrade() -> None:
    """Make every table."""
    _make_clients()
    _make_records()
    _make_ratings()
    for name, keys in (("t1w", _ANATOMICAL), ("t2w", _ANATOMICAL), ("bold", _FUNCTIONAL)):
        _make_typed(name, keys)


def _make_clients() -> None:
    op.create_table(
        "client",
        sa.Column("client_id", _SEQUENCE, primary_key=True, autoincrement=True),
        _text("name", required=True, unique=True),
        _text("created_at", required=True),
    )
    op.create_table(
        "token",
        sa.Column("token_sha256", sa.Text, primary_key=True),
        _client(),
        _text("scope", required=True),
        _text("created_at", required=True),
        _text("revoked_at"),
    )
    op.create_table(
        "audit",
        _sequence(),
        *(_text(name, required=True) for name in ("at", "client", "action", "detail", "previous_sha256", "sha256")),
    )


def _make_records() -> None:
    op.create_table(
        "raw_record",
        sa.Column("record_id", sa.Text, primary_key=True),
        *(_text(name, required=True) for name in ("modality", "payload", "received_at")),
        _client(),
    )
    op.create_table(
        "image_file",
        sa.Column("file_md5", sa.Text, primary_key=True),
        _text("voxels_sha256"),
        _text("image_id", required=True, index=True),
    )
    op.create_table(
        "flag",
        _sequence(),
        _text("item_id", required=True, index=True),
        _text("kind", required=True),
        _text("code", required=True, index=True),
        _text("field", required=True),
        _text("found"),
        _text("proposed"),
    )


def _make_ratings() -> None:
    op.create_table(
        "rating",
        _sequence(),
        _text("rating_id", required=True, unique=True),
        _text("rater", required=True, index=True),
        _text("given", required=True),
        sa.Column("score", sa.Double),
        _text("class"),
        _text("artifacts", required=True),
        sa.Column("confidence", sa.Double),
        sa.Column("seconds", sa.Double),
        _text("comment"),
        _text("file_md5", index=True),
        _text("image_name"),
        sa.Column("supersedes", sa.Text, sa.ForeignKey("rating.rating_id"), index=True),
        sa.Column("n_flags", sa.Integer, nullable=False),
        _text("payload", required=True),
        _text("received_at", required=True),
        _client(),
    )


def _make_typed(name: str, keys: str) -> None:
    op.create_table(
        name,
        _sequence(),
        sa.Column("record_id", sa.Text, sa.ForeignKey("raw_record.record_id"), nullable=False, unique=True),
        _text("received_at", required=True),
        _text("file_md5", required=True, index=True),
        _text("voxels_sha256"),
        _text("software", required=True),
        _text("version", required=True),
        sa.Column("testing", sa.Boolean),
        sa.Column("fd_thres", sa.Double),
        sa.Column("hmc_fsl", sa.Boolean),
        sa.Column("n_flags", sa.Integer, nullable=False),
        *(_text(each, index=each == "subject_id") for each in _TEXTS.split()),
        *(sa.Column(each, sa.Double) for each in _NUMBERS.split()),
        *(sa.Column(each.lstrip("+"), sa.BigInteger if each.startswith("+") else sa.Double) for each in keys.split()),
    )


def _text(name: str, *, required: bool = False, unique: bool | None = None, index: bool | None = None) -> sa.Column:
    return sa.Column(name, sa.Text, nullable=not required, unique=unique, index=index or None)


def _sequence() -> sa.Column:
    return sa.Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True)


def _client() -> sa.Column:
    return sa.Column("client_id", _SEQUENCE, sa.ForeignKey("client.client_id"), nullable=False)
