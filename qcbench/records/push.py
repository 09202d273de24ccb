"""A study's own ratings and metrics go to a records server: what the raters noted, and the table `iqms`.

All of it is sent each time, and the server stores once what it has already: a push that was cut off is run again.
Names of images stay here; what ties a rating to its image is the MD5 of the file.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence

import qcbench
from qcbench import iqm_keys, store
from qcbench.errors import UsageError
from qcbench.records.client import Client
from qcbench.study import Study
from qcbench.summary import Summary

_CRITERIA = ("rating", "artifacts", "confidence")
_TASK = re.compile(r"_task-([a-zA-Z0-9]+)")
Named = list[tuple[str, dict]]


def push(study: Study, client: Client) -> Summary:
    """Send the ratings of a study with the protocol mriqc and, where they were measured, the metrics of its images.

    Revised ratings are sent too, each with the one that it supersedes. What the server refuses is listed with its
    reasons. Simulated images and raters stay here. Raises UsageError when there is nothing that could be sent, or
    when the server does not take the token.
    """
    began = time.perf_counter()
    summary = Summary(stage="records push")
    measured = [row for row in store.rows(study, "iqms") if not row["error"]]
    has_ratings = set(_CRITERIA) <= {criterion.name for criterion in study.protocol.criteria}
    if not measured and not has_ratings:
        raise UsageError(
            f"{study.folder} has nothing to send: no metrics were measured, and its protocol "
            f"{study.protocol.name} has no ratings as the protocol mriqc has them"
        )
    images = {row["image_id"]: row for row in store.rows(study, "images")}
    records = _records(study, measured, images, summary)
    events = _events(study, images, summary) if has_ratings else []
    for modality in iqm_keys.MODALITIES:
        named = [(name, record) for name, record in records if record["bids_meta"]["modality"] == modality]
        _count(summary, named, client.send_records(modality, [record for _, record in named]))
    _send_ratings(client, events, images, summary)
    summary.facts = {"records": len(records), "ratings": len(events)}
    if not records and not events:
        summary.notes.append("Nobody has rated anything yet, and no metrics were measured.")
    summary.seconds = time.perf_counter() - began
    return summary


def _events(study: Study, images: Mapping[str, dict], summary: Summary) -> list[dict]:
    """Return the label events that can be sent, oldest first."""
    noted = [event for rater in study.all_raters for event in store.label_events(study, rater)]
    sent, n_simulated = [], 0
    for event in sorted(noted, key=lambda event: (event["saved_at"], event["event_id"])):
        if event["purpose"] != "label" or not store.is_of_protocol(event, study.protocol):
            continue
        image = images.get(event["image_id"])
        if image is None or image["file_md5"] is None:
            summary.failed[_name(event)] = "the catalogue has no MD5 of this image's file; run qcbench ingest again"
        elif event["source"] == "simulated" or image["simulated"]:
            n_simulated += 1
        else:
            sent.append(event)
    if n_simulated:
        summary.notes.append(f"{n_simulated} ratings are simulated, or of simulated images, and stay here.")
    return sent


def _name(event: Mapping) -> str:
    return f"{event['image_id']} by {event['rater']}"


def _send_ratings(client: Client, events: list[dict], images: Mapping[str, dict], summary: Summary) -> None:
    """Send first versions first: each revision names the rating that it supersedes, by the server's id."""
    rating_ids: dict[str, str] = {}
    waiting = events
    while waiting:
        pending = {event["event_id"] for event in waiting}
        # A damaged log could hold a circle; it is cut, not waited for.
        ready = [event for event in waiting if event["supersedes"] not in pending] or waiting
        named = [(_name(e), _rating(e, images[e["image_id"]], rating_ids.get(e["supersedes"]))) for e in ready]
        outcomes = client.send_ratings([payload for _, payload in named])
        _count(summary, named, outcomes)
        for event, outcome in zip(ready, outcomes, strict=True):
            if "id" in outcome:
                rating_ids[event["event_id"]] = outcome["id"]
        sent = {event["event_id"] for event in ready}
        waiting = [event for event in waiting if event["event_id"] not in sent]


def _rating(event: Mapping, image: Mapping, supersedes: str | None) -> dict:
    """Return a label event as the server takes it."""
    answers = json.loads(event["answers"] or "{}")
    payload = {
        "rating": answers.get("rating"),
        "md5sum": image["file_md5"],
        "rater": event["rater"],
        "artifacts": list(answers.get("artifacts") or []),
        "confidence": answers.get("confidence"),
        "seconds": event["seconds"],
        "comment": event["comment"],
        "supersedes": supersedes,
        # Two labels can say the same of one image; the event tells them apart, and the same event is one rating.
        "key": hashlib.sha256(event["event_id"].encode()).hexdigest(),
    }
    return {name: value for name, value in payload.items() if value is not None}


def _records(study: Study, measured: Sequence[dict], images: Mapping[str, dict], summary: Summary) -> Named:
    """Return the rows of `iqms` as records, with what the file beside each says of its scan."""
    found, n_simulated = [], 0
    written = _documents(study)
    for row in measured:
        image = images.get(row["image_id"])
        if image is None or image["file_md5"] is None:
            summary.failed[row["image_id"]] = "the catalogue has no MD5 of this image's file; run qcbench ingest again"
        elif image["simulated"]:
            n_simulated += 1
        else:
            beside = written.get((row["iqm_profile"], row["image_id"]), {})
            found.append((f"{row['image_id']} ({row['iqm_profile']})", _record(row, image, beside)))
    if n_simulated:
        summary.notes.append(f"The metrics of {n_simulated} simulated images stay here.")
    return found


def _documents(study: Study) -> dict[tuple[str, str], dict]:
    """Return the JSON files that `iqm` wrote, by profile and image."""
    folder = study.derivatives / "iqm"
    documents = {}
    for path in folder.rglob("*.json"):
        try:
            document = json.loads(path.read_text())
        except ValueError:
            # The row has the metrics; only what else is known of the scan goes missing.
            continue
        if isinstance(document, dict):
            documents[path.relative_to(folder).parts[0], path.stem] = document
    return documents


def _record(row: Mapping, image: Mapping, beside: Mapping) -> dict:
    meta = dict(beside.get("bids_meta") or {})
    for name in ("subject", "session"):
        meta.pop(name, None)
    session = image["session_id"]
    meta |= {"modality": row["modality"], "subject_id": _hashed(image["participant_id"])}
    meta |= {"session_id": _hashed(session)} if session else {}
    if row["modality"] == "bold" and "TaskName" not in meta:
        task = _TASK.search(row["image_id"])
        meta["TaskName"] = task.group(1) if task else "unknown"
    told = beside.get("provenance") or {}
    provenance = {
        "software": "qcbench",
        "version": told.get("version", qcbench.__version__),
        "md5sum": image["file_md5"],
        "voxels_sha256": row["voxels_sha256"],
        "iqm_profile": row["iqm_profile"],
    }
    provenance |= {name: told[name] for name in ("settings", "warnings") if name in told}
    metrics = {key.name: row[key.name] for key in iqm_keys.keys_of(row["modality"])}
    kept = {name: value for name, value in provenance.items() if value is not None}
    return metrics | {"bids_meta": meta, "provenance": kept}


def _hashed(identity: str) -> str:
    # As MRIQC's client does; the server puts it under the key of its site.
    return hashlib.sha256(identity.removeprefix("sub-").removeprefix("ses-").encode()).hexdigest()


def _count(summary: Summary, named: Named, outcomes: list[dict]) -> None:
    for (name, _), outcome in zip(named, outcomes, strict=True):
        if outcome["status"] == 422:
            summary.failed[name] = f"refused: {json.dumps(outcome['issues'])}"
        elif outcome["status"] == 201:
            summary.done += 1
        else:
            summary.unchanged += 1
