"""Labels and consensus for other programs: CSV that a spreadsheet opens safely, and BIDS phenotype tables."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import qcbench
from qcbench import durable, spreadsheet, store
from qcbench.annotate import mriqc
from qcbench.errors import UsageError
from qcbench.protocol import Protocol
from qcbench.study import Study
from qcbench.summary import Summary

FORMS = ("csv", "bids", "mriqc")
_LABELS = ("rater", "image_id", "straight_reject", "gadolinium", "motion", "contrast", "noise", "tier")
_MORE = ("answers", "comment", "reason", "seconds", "n_revisions", "source", "saved_at", "protocol", "protocol_sha256")
_CONSENSUS = ("image_id", *_LABELS[2:], "decided_by", "reviewers", "stale", "simulated")
_LEVELS = {"yes_no": {"true": "yes", "false": "no"}}


def export_labels(study: Study, folder: Path, *, form: str = "csv") -> Summary:
    """Write the current labels, and the consensus if there is one, into a folder.

    ``csv`` gives labels.csv and consensus.csv; a text that a spreadsheet would take for a formula
    gets an apostrophe in front, which `import-labels` takes off again. ``bids`` gives TSV tables
    as in the phenotype folder of a BIDS dataset, participant_id first and ``n/a`` for null, each
    with a JSON data dictionary. ``mriqc`` gives a file a rating, as MRIQC's widget downloads it,
    and a typed twin (`mriqc`). Raises UsageError for another form, or for ``mriqc`` when the
    study's protocol has no rating.
    """
    started = time.monotonic()
    if form not in FORMS:
        raise UsageError(f"a form is one of {', '.join(FORMS)}; got {form!r}")
    labels = store.labels(study)
    if form == "mriqc":
        written = _write_ratings(study, folder, labels)
        return _summary(len(labels), written, folder, started)
    decided = store.rows(study, "consensus")
    written = []
    for name, rows, columns in (("labels", labels, (*_LABELS, *_MORE)), ("consensus", decided, _CONSENSUS)):
        if rows and form == "csv":
            durable.write_text(folder / f"{name}.csv", _as_csv(rows, columns))
            written.append(f"{name}.csv")
        elif rows:
            written += _write_phenotype(study, folder, name, rows, columns)
    return _summary(len(labels) + len(decided), written, folder, started)


def _summary(n: int, written: list[str], folder: Path, started: float) -> Summary:
    listed = ", ".join(written) if len(written) <= 4 else f"{len(written)}"
    return Summary(
        stage="export-labels",
        done=n,
        facts={"files": listed or "none", "folder": str(folder)},
        notes=[] if n else ["Nobody has labelled anything yet."],
        seconds=time.monotonic() - started,
    )


def _write_ratings(study: Study, folder: Path, labels: list[dict]) -> list[str]:
    criteria = {criterion.name for criterion in study.protocol.criteria}
    if not {"rating", "artifacts", "confidence"} <= criteria:
        raise UsageError(f"only a study with the protocol mriqc has ratings; this one has {study.protocol.name}")
    md5 = {row["image_id"]: row["file_md5"] for row in store.rows(study, "images")}
    dataset = study.folder.name
    written = []
    for label in labels:
        answers = {**dict.fromkeys(criteria), **json.loads(label["answers"] or "{}")}
        stem = mriqc.file_name(label, dataset)
        # Two raters of one image would have one file; each has a folder.
        of_rater = folder / label["rater"]
        durable.write_text(of_rater / f"{stem}.json", mriqc.download(label, answers, dataset))
        band = study.protocol.bands(answers).get("rating")
        twin = mriqc.twin(label, answers, dataset, md5.get(label["image_id"]), band)
        durable.write_text(of_rater / f"{stem}_qcbench.json", twin)
        written += [f"{label['rater']}/{stem}.json", f"{label['rater']}/{stem}_qcbench.json"]
    return written


def _as_csv(rows: Iterable[dict], columns: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([spreadsheet.harmless(_plain(row[name])) for name in columns] for row in rows)
    return text.getvalue()


def _plain(value: object) -> str:
    """Return a value as text: lower-case truth values, lists joined by commas, null as nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return str(value)


def _write_phenotype(study: Study, folder: Path, name: str, rows: list[dict], columns: Sequence[str]) -> list[str]:
    people = {row["image_id"]: row["participant_id"] for row in store.rows(study, "images")}
    columns = ("participant_id", "image_id", *(column for column in columns if column != "image_id"))
    lines = ["\t".join(columns)]
    for row in rows:
        cells = {**row, "participant_id": people.get(row["image_id"])}
        lines.append("\t".join(_plain(cells[column]).translate(_NO_BREAKS) or "n/a" for column in columns))
    stem = f"qcbench_{name}"
    durable.write_text(folder / f"{stem}.tsv", "\n".join(lines) + "\n")
    dictionary = json.dumps(_dictionary(study.protocol, columns), indent=2, ensure_ascii=False)
    durable.write_text(folder / f"{stem}.json", dictionary + "\n")
    return [f"{stem}.tsv", f"{stem}.json"]


#: A TSV has no quoting: what would break a line or a cell becomes a space.
_NO_BREAKS = str.maketrans(dict.fromkeys("\t\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029", " "))


def _dictionary(protocol: Protocol, columns: Sequence[str]) -> dict:
    """Return what the columns mean, in the words of the protocol."""
    described: dict[str, dict] = {
        "MeasurementToolMetadata": {
            "Description": f"{protocol.title} (protocol {protocol.name}, version {protocol.version}, "
            f"sha256 {protocol.sha256}); qcbench {qcbench.__version__}"
        }
    }
    criteria = {criterion.name: criterion for criterion in protocol.criteria}
    for name in columns:
        criterion = criteria.get(name)
        if criterion is not None:
            described[name] = {"LongName": criterion.label, "Description": criterion.help}
            described[name]["Levels"] = _LEVELS.get(
                criterion.kind, {str(choice.value): choice.label for choice in criterion.choices}
            )
        elif name in _WORDS:
            described[name] = {"Description": _WORDS[name]}
    described["tier"]["Levels"] = {str(rule.tier): rule.wording for rule in protocol.tier_rules}
    return described


_WORDS = {
    "participant_id": "as in the BIDS dataset",
    "image_id": "the BIDS stem of the image",
    "rater": "who labelled",
    "tier": "derived from the grades; n/a for a straight reject; lower is better",
    "answers": "JSON: what criteria of other protocols were answered",
    "comment": "the rater's words",
    "reason": "why the image was labelled again",
    "seconds": "from the picture's appearance to the commit, without idle time",
    "n_revisions": "how many earlier versions this label replaced",
    "source": "rater, imported or simulated",
    "saved_at": "when the label reached the disk, UTC",
    "protocol": "name of the protocol",
    "protocol_sha256": "hash of the protocol's file",
    "decided_by": "raters, or review where they disagreed on straight reject",
    "reviewers": "who signed the joint review",
    "stale": "whether a label was revised since",
    "simulated": "whether a simulated rater took part",
}
