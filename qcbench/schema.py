"""Columns, dtypes and vocabularies of every table, and nothing else.

Pure: only the standard library (and `iqm_keys`, as pure) is imported, so that every other module may import this one.
`store` turns these descriptions into parquet. A missing value is null, never a sentinel;
every table may hold further columns, but the ones listed here are always present.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from qcbench import iqm_keys

#: Straight reject and gadolinium are yes/no; the three artefacts are graded 0, 1 or 2.
GRADED = ("motion", "contrast", "noise")
CHARACTERISTICS = ("straight_reject", "gadolinium", *GRADED)

#: What a rater's event was made for; only ``label`` feeds the consensus.
PURPOSES = ("label", "repeat", "volume", "school")
SOURCES = ("rater", "imported", "simulated")
DECIDED_BY = ("raters", "review")
REVIEW_ROLES = ("proposes", "countersigns", "objects")
#: radiological: the patient's right on the left of a coronal or axial slice; neurological: on its right.
CONVENTIONS = ("radiological", "neurological")
SETS = ("test", "cv")
DECISIONS = ("yes", "no", "ask")

#: The published tasks. ``positive`` names the class that a probability is the probability of.
TASKS = ("sr", "gadolinium", "tier3", "tier2")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: its dtype, what it holds, and whether a null is allowed.

    ``dtype`` is one of ``string int64 float64 bool timestamp list<string>``; ``timestamp`` is
    UTC with microseconds. ``choices`` closes the vocabulary.
    """

    name: str
    dtype: str = "string"
    required: bool = False
    choices: tuple = ()
    doc: str = ""


@dataclass(frozen=True, kw_only=True)
class TableSchema:
    """The columns of one table and the key that names one row."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)


def _text(name: str, doc: str = "", *, required: bool = False, choices: tuple = ()) -> Column:
    return Column(name=name, doc=doc, required=required, choices=choices)


def _real(name: str, doc: str = "") -> Column:
    return Column(name=name, dtype="float64", doc=doc)


def _whole(name: str, doc: str = "", *, required: bool = False, choices: tuple = ()) -> Column:
    return Column(name=name, dtype="int64", doc=doc, required=required, choices=choices)


def _truth(name: str, doc: str = "", *, required: bool = False) -> Column:
    return Column(name=name, dtype="bool", doc=doc, required=required)


_GRADES = (
    _truth("gadolinium", "a contrast agent was injected"),
    _whole("motion", "0 none, 1 some, 2 severe", choices=(0, 1, 2)),
    _whole("contrast", "0 good, 1 poor in parts, 2 poor everywhere", choices=(0, 1, 2)),
    _whole("noise", "0 none, 1 present, 2 severe", choices=(0, 1, 2)),
)


#: What `is_copy` asks a row for.
COPY_COLUMNS = ("simulated", "derived_from", "bids_path")


def is_copy(row: Mapping[str, object]) -> bool:
    """Return whether a row of `images` is a copy made by `simulate`: no scan of its own, its grades known."""
    return bool(row["simulated"] and row["derived_from"]) and row["bids_path"] is None


#: Every metric of any modality once; what it means is in `iqm_keys`.
_IQM_COLUMNS = tuple(
    Column(name=name, dtype=dtype)
    for name, dtype in {
        key.name: key.dtype for modality in iqm_keys.MODALITIES for key in iqm_keys.keys_of(modality)
    }.items()
)

IMAGES = TableSchema(
    name="images",
    key=("image_id",),
    columns=(
        _text("image_id", "the BIDS stem, unique", required=True),
        _text("participant_id", "sub-...; a simulated row keeps its source's", required=True),
        _text("session_id", "ses-..., or null"),
        _text("source_path", "the file the row was made from", required=True),
        _text("bids_path", "the raw image inside the study, relative to the study folder"),
        _text("file_md5", "of the source file as stored"),
        _text("modality", "BIDS suffix, e.g. T1w"),
        _whole("n_slices"),
        _real("spacing_x_mm"),
        _real("spacing_y_mm"),
        _real("spacing_z_mm"),
        _text("manufacturer"),
        _text("model_name"),
        _real("field_strength_t"),
        _text("hospital"),
        _real("age_years"),
        _text("sex"),
        _text("diagnosis"),
        _text("study_description"),
        _text("series_description"),
        _text("body_part"),
        _text("contrast_agent"),
        _truth("dicom_gadolinium", "gado, inj or iv anywhere in the DICOM descriptions, as in the paper"),
        _truth("described_injection", "the DICOM descriptions say so, denials understood"),
        _text("study_date", "of the scan, moved by a constant per patient; 1925 or before"),
        _whole("n_source_files", "files of a DICOM series; it is taken anew when there are more"),
        _text("voxels_sha256", "of the voxels and the affine, so that re-compression is no change"),
        _truth("simulated", "the image was degraded or made by a program", required=True),
        _text("derived_from", "image_id that a simulated image was made from"),
        _text("simulation", "JSON: what was planted in a simulated image"),
        _text("excluded_reason", "why the image is left out of the study"),
        _text("error", "why the file cannot be used"),
    ),
)

PREPROCESSED = TableSchema(
    name="preprocessed",
    key=("image_id",),
    columns=(
        _text("image_id", required=True),
        _text("volume_path", "relative to the study folder"),
        _text("screenshot_path", "relative to the study folder"),
        _text("screenshot_sha256", "of the PNG file"),
        _text("convention", "where the patient's right lies in the picture", choices=CONVENTIONS),
        _text("preprocessing_preset", required=True),
        _text("template", "which template the image was aligned to"),
        _text("template_sha256"),
        _real("alignment", "0 to 1, higher is better"),
        _real("seconds"),
        _text("error"),
    ),
)

SAMPLE = TableSchema(
    name="sample",
    key=("image_id",),
    columns=(
        _text("image_id", required=True),
        _text("participant_id", required=True),
        _whole("seed", "of the draw", required=True),
        Column(name="drawn_at", dtype="timestamp", required=True),
    ),
)
#: Images that raters label a second time from the whole volume, to compare with three slices.
VOLUME_SAMPLE = replace(SAMPLE, name="volume_sample")

LABEL_EVENTS = TableSchema(
    name="label_events",
    key=("event_id",),
    columns=(
        _text("event_id", "minted by the browser, so that a resent label is no second row", required=True),
        _text("rater", required=True),
        _text("source", required=True, choices=SOURCES),
        _text("session", required=True),
        _whole("sequence", "rises by one with each event of a session", required=True),
        _text("image_id", required=True),
        _text("screenshot_sha256", "of the PNG that was on the screen"),
        _text("purpose", required=True, choices=PURPOSES),
        _truth("straight_reject", required=True),
        *_GRADES,
        _text("answers", "JSON, for protocols with other criteria"),
        _text("comment"),
        _text("reason", "why the image was labelled again"),
        _real("seconds", "from paint to commit"),
        _text("display", "JSON: size of the picture on the screen"),
        _text("supersedes", "event_id of the label this one replaces"),
        Column(name="saved_at", dtype="timestamp", required=True),
        _text("protocol", required=True),
        _text("protocol_version", "labels of another version of the protocol are kept and not read"),
        _text("protocol_sha256", required=True),
        _text("version", "of qcbench", required=True),
    ),
)

LABELS = TableSchema(
    name="labels",
    key=("image_id", "rater"),
    columns=(
        *(column for column in LABEL_EVENTS.columns if column.name not in ("purpose", "supersedes")),
        _whole("tier", "1, 2 or 3; null for a straight reject", choices=(1, 2, 3)),
        _whole("n_revisions", "how many earlier versions this label replaced", required=True),
    ),
)

REVIEW_EVENTS = TableSchema(
    name="review_events",
    key=("event_id",),
    columns=(
        _text("event_id", required=True),
        _text("image_id", required=True),
        _text("reviewer", required=True),
        _text("role", required=True, choices=REVIEW_ROLES),
        _truth("straight_reject", required=True),
        *_GRADES,
        _text("comment"),
        _text("proposal_id", "the event that is signed or objected to"),
        Column(name="label_event_ids", dtype="list<string>", doc="the labels that were reviewed"),
        Column(name="saved_at", dtype="timestamp", required=True),
    ),
)

OPEN_REVIEWS = TableSchema(
    name="open_reviews",
    key=("image_id", "rater"),
    columns=(
        _text("image_id", required=True),
        _text("rater", required=True),
        _truth("straight_reject", required=True),
        *_GRADES,
        _text("comment"),
        _text("event_id", required=True),
    ),
)

CONSENSUS = TableSchema(
    name="consensus",
    key=("image_id",),
    columns=(
        _text("image_id", required=True),
        _truth("straight_reject", required=True),
        *_GRADES,
        _whole("tier", "1, 2 or 3; null for a straight reject", choices=(1, 2, 3)),
        _text("decided_by", required=True, choices=DECIDED_BY),
        Column(name="reviewers", dtype="list<string>"),
        Column(name="label_event_ids", dtype="list<string>", required=True),
        _truth("stale", "a label it rests on was revised since", required=True),
        _truth("simulated", "a label it rests on is a simulated rater's", required=True),
    ),
)

AGREEMENT = TableSchema(
    name="agreement",
    key=("characteristic", "statistic", "raters"),
    columns=(
        _text("characteristic", required=True),
        _text("statistic", required=True),
        _real("value", "null when it is undefined; `reason` says why"),
        _real("low", "lower end of the 95% interval"),
        _real("high", "upper end of the 95% interval"),
        _whole("n", "images that both raters labelled", required=True),
        _text("raters", "joined by a comma; a rater twice: hidden repeats; or rater,consensus", required=True),
        _text("reason"),
        _text("counts", "JSON: the table of grades, the first rater's as rows"),
    ),
)

SPLITS = TableSchema(
    name="splits",
    key=("image_id",),
    columns=(
        _text("image_id", required=True),
        _text("participant_id", required=True),
        _text("set", required=True, choices=SETS),
        _whole("fold", "0 to 4; null in the test set"),
        _whole("seed", "of the draw"),
    ),
)

PREDICTIONS = TableSchema(
    name="predictions",
    key=("image_id", "task", "architecture", "run_id", "fold"),
    columns=(
        _text("image_id", required=True),
        _text("task", required=True),
        _text("architecture", required=True),
        _text("run_id", required=True),
        _whole("fold", required=True),
        _real("probability", "of the positive class"),
        _real("probability_calibrated", "null until a calibration was fitted"),
        _text("decision", choices=DECISIONS),
        _text("preprocessing_preset", required=True),
    ),
)

METRICS = TableSchema(
    name="metrics",
    key=("task", "architecture", "run_id", "fold", "set", "metric"),
    columns=(
        _text("task", required=True),
        _text("architecture", required=True),
        _text("training_preset"),
        _text("run_id", required=True),
        _whole("fold", "null for a summary over the folds"),
        _text("set", required=True),
        _text("metric", required=True),
        _real("value", "null when it is undefined; `reason` says why"),
        _real("low", "lower end of the 95% interval, bootstrap over participants; null with fewer than 10 of them"),
        _real("high", "upper end of it"),
        _real("sd", "over the folds, hospitals or raters, divided by n - 1"),
        _real("sd_population", "the same, divided by n"),
        _whole("n", required=True),
        _whole("n_participants"),
        _whole("n_positive", "images of the positive class"),
        _text(
            "left_out", "the place left out of training, where `set` is left-out hospital, manufacturer or model_name"
        ),
        _truth("simulated", "a simulated image or label is among them", required=True),
        _text("reason"),
    ),
)

LEARNING_CURVE = TableSchema(
    name="learning_curve",
    key=("task", "architecture", "training_preset", "epochs", "spacing_mm", "seed", "n_asked", "fold"),
    columns=(
        _text("task", required=True),
        _text("architecture", required=True),
        _text("training_preset", required=True),
        _whole("epochs", "as asked for; null for those of the preset, and for trees"),
        _whole("spacing_mm", required=True),
        _whole("seed", "of the order of participants and of the weights", required=True),
        _whole("n_asked", "images that were asked for; whole participants come closest to it", required=True),
        _whole("n_images", "labelled images that fitting and choosing the epoch used", required=True),
        _whole("n_participants", "whose images they are", required=True),
        _whole("n_fit", "of the images, those fitted on in this fold"),
        _whole("fold", required=True),
        _real("balanced_accuracy", "on the study's test set; null when undefined, `reason` says why"),
        _whole("n_test", "images of the test set"),
        _truth("simulated", "a simulated image or label is among them", required=True),
        _text("run_id", "in variants/<name>/runs/; null where nothing could be fitted"),
        _text("reason"),
    ),
)

IQMS = TableSchema(
    name="iqms",
    key=("image_id", "iqm_profile"),
    columns=(
        _text("image_id", required=True),
        _text("modality", required=True, choices=iqm_keys.MODALITIES),
        _text("iqm_profile", "mriqc-24: MRIQC's definitions; qcbench: independent of the field of view", required=True),
        _text("reasons", "JSON: key -> why it is null"),
        _text("template"),
        _text("template_sha256"),
        _text("voxels_sha256", "of the image that was measured"),
        _real("seconds"),
        _text("error", "why nothing could be measured"),
        *_IQM_COLUMNS,
    ),
)

TABLES = {
    table.name: table
    for table in (
        IMAGES,
        PREPROCESSED,
        SAMPLE,
        VOLUME_SAMPLE,
        LABEL_EVENTS,
        LABELS,
        REVIEW_EVENTS,
        OPEN_REVIEWS,
        CONSENSUS,
        AGREEMENT,
        SPLITS,
        PREDICTIONS,
        METRICS,
        LEARNING_CURVE,
        IQMS,
    )
}
