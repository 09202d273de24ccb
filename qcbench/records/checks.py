"""A record judged: accepted, accepted and flagged with a proposed repair, or refused.

Nothing is repaired in secret: the payload keeps what came, a flag holds both values. The one exception is a number
that stands for "none" (-1 where MRIQC could compute nothing): in the typed table it is null, and the flag says so.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

import orjson

from qcbench.iqm_keys import MODALITIES, keys_of
from qcbench.records import metadata
from qcbench.records.identity import KEYED, LEFT_OUT, Pseudonyms, without_email
from qcbench.records.payloads import RefusedError, record_form, validated
from qcbench.records.ranges import LARGEST, MHZ_PER_TESLA, PLAUSIBLE_OF, Range, in_another_unit

#: Every reason for a flag, and what it means.
FLAGS = {
    "no-value": "the metric is null",
    "stands-for-none": "the number is what MRIQC writes when it can compute none; null in the typed table",
    "range": "outside what is plausible for this modality",
    "unit": "implausible, and plausible in another unit",
    "field-truncated": "1.0 T, which is 1.5 T cast to an integer unless the scanner is a rare one",
    "field-against-frequency": "the field strength does not fit the imaging frequency",
    "echo-after-repetition": "the echo time is not below the repetition time",
    "header-tr-unit": "the header's repetition time is the sidecar's in another unit",
    "header-tr": "the header's repetition time is not the sidecar's",
    "vendor-spelling": "another spelling of a known vendor",
    "unknown-field": "a field that no version of MRIQC has; kept where it is a number of a known family of metrics",
    "not-a-class": "a word that is no class of the scale",
    "unknown-artifact": "artifacts that the scale does not have",
    "unlinked": "the rating names no image",
}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
#: A metric that is not known yet is of a family that is, such as ``cjv_roi``; a number of another name may identify.
_FAMILIES = frozenset(key.name.split("_")[0] for modality in MODALITIES for key in keys_of(modality)) | {"spikes"}
_EXTRAS_KEPT = 32
_NUMBERS, _TEXTS = frozenset(metadata.NUMBER_COLUMNS), frozenset(metadata.TEXT_COLUMNS)
_SAME_TR = 0.01
_SAME_FIELD = 0.06
_KNOWN_FIELDS_T = (0.05, 0.2, 0.35, 0.5, 0.55, 1.0, 1.5, 3.0, 4.7, 7.0, 9.4, 10.5, 11.7)


@dataclass(frozen=True, slots=True)
class Flag:
    """Why a record or a rating deserves a look: what was found, and what is proposed instead (None: nothing)."""

    code: str
    field: str
    found: object = None
    proposed: object = None


@dataclass(slots=True)
class Accepted:
    """A record that can be stored: its payload without identities, its row of the typed table, its flags."""

    modality: str
    record_id: str
    payload: str
    row: dict
    flags: list[Flag] = field(default_factory=list)


def check(modality: str, payload: object, pseudonyms: Pseudonyms) -> Accepted:
    """Return a record as it will be stored. Raises RefusedError, with a reason for each field that is wrong."""
    if not isinstance(payload, dict):
        raise RefusedError({"payload": "a JSON object is expected"})
    payload = _with_entities(payload, modality)
    metrics = validated(record_form(modality), payload)
    meta, provenance = _without_none(metrics.pop("bids_meta")), _without_none(metrics.pop("provenance"))
    provenance.pop("email", None)
    for name in metadata.OTHER_NAMES:
        meta.pop(name, None)
    for name in ("settings", "warnings"):
        if name in provenance:
            provenance[name] = _without_none(provenance[name])
    for name in ("md5sum", "voxels_sha256"):
        if name in provenance:
            provenance[name] = provenance[name].lower()
    for name in _whole_names(modality):
        if metrics.get(name) is not None:
            metrics[name] = int(metrics[name])
    meta = _anonymous(meta, pseudonyms)
    flags = list(_flags(modality, metrics, meta))
    extras = {}
    if not payload.keys() <= _known(modality):
        names = sorted(name for name in payload.keys() - _known(modality) if _NAME.fullmatch(name))
        flags.append(Flag("unknown-field", "payload", ", ".join(names[:8]) or None))
        extras = {name: payload[name] for name in names[:_EXTRAS_KEPT] if _is_extra(name, payload[name])}
    kept = {**metrics, **extras, "bids_meta": meta, "provenance": provenance}
    text = orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)
    row = _row(modality, metrics, meta, provenance)
    row["n_flags"] = len(flags)
    row["record_id"] = record_id(modality, text)
    return Accepted(modality=modality, record_id=row["record_id"], payload=text.decode(), row=row, flags=flags)


def record_id(modality: str, text: bytes) -> str:
    """Return the id of a payload, 24 hexadecimal digits: the same payload is the same record."""
    return hashlib.sha256(modality.encode() + b"\0" + text).hexdigest()[:24]


def typed_row(modality: str, payload: str) -> dict:
    """Return what the typed table holds of a stored payload, n_flags aside, which is null here."""
    kept = orjson.loads(payload)
    metrics = {name: kept[name] for name in _names(modality) if name in kept}
    return _row(modality, metrics, kept["bids_meta"], kept["provenance"])


def _without_none(given: dict) -> dict:
    return {name: value for name, value in given.items() if value is not None}


def _with_entities(payload: dict, modality: str) -> dict:
    """MRIQC since 24 writes ``subject`` where its server wants ``subject_id``; a file of it can be sent as it is."""
    meta = payload.get("bids_meta")
    if not isinstance(meta, dict):
        return payload
    named = {ours: meta[theirs] for theirs, ours in metadata.ENTITIES.items() if theirs in meta and ours not in meta}
    if modality == "bold" and "task_id" in (named.keys() | meta.keys()) and "TaskName" not in meta:
        named["TaskName"] = named.get("task_id", meta.get("task_id"))
    return payload | {"bids_meta": meta | named} if named else payload


@cache
def _names(modality: str) -> tuple[str, ...]:
    return tuple(key.name for key in keys_of(modality))


@cache
def _known(modality: str) -> frozenset[str]:
    return frozenset((*_names(modality), "bids_meta", "provenance"))


@cache
def _whole_names(modality: str) -> tuple[str, ...]:
    return tuple(key.name for key in keys_of(modality) if key.dtype == "int64")


@cache
def _sentinels(modality: str) -> tuple[tuple[str, tuple[float, ...]], ...]:
    return tuple((key.name, key.sentinels) for key in keys_of(modality) if key.sentinels)


@cache
def _plausible(modality: str) -> tuple[tuple[str, float, float, Range], ...]:
    return tuple((name, each.low, each.high, each) for name, each in PLAUSIBLE_OF[modality].items())


def _is_extra(name: str, value: object) -> bool:
    return type(value) in (int, float) and abs(value) < LARGEST and name.split("_")[0] in _FAMILIES


def _anonymous(meta: dict, pseudonyms: Pseudonyms) -> dict:
    for name in LEFT_OUT:
        meta.pop(name, None)
    for name in KEYED:
        if name in meta:
            meta[name] = pseudonyms.of(name, as_text(meta[name]))
    return {name: _scrubbed(value) for name, value in meta.items()}


def _scrubbed(value: object) -> object:
    if isinstance(value, str):
        return without_email(value)
    return [_scrubbed(each) for each in value] if isinstance(value, list) else value


def as_text(value: object) -> str | None:
    """Return metadata as one text, as its column holds it.

    >>> as_text(["GR", "IR"]), as_text(35343.0), as_text(True)
    ('GR, IR', '35343', 'True')
    """
    if value is None or isinstance(value, str):
        # No database takes NUL in a text.
        return value and value.replace("\0", "\ufffd")
    if isinstance(value, list):
        return ", ".join(as_text(each) for each in value)
    return str(value) if isinstance(value, bool) else f"{value:.15g}"


def _flags(modality: str, metrics: Mapping, meta: Mapping) -> Iterator[Flag]:
    if None in metrics.values():
        yield from (Flag("no-value", name) for name, value in metrics.items() if value is None)
    for name, numbers in _sentinels(modality):
        if metrics.get(name) in numbers:
            yield Flag("stands-for-none", name, metrics[name])
    seen = set()
    for flag in _cross_checks(modality, metrics, meta):
        seen.add(flag.field)
        yield flag
    for name, low, high, plausible in _plausible(modality):
        value = metrics[name] if name in metrics else meta.get(name)
        if value is None or value.__class__ is list or low <= value <= high or name in seen:
            continue
        proposed = in_another_unit(value, plausible)
        yield Flag("range" if proposed is None else "unit", name, value, proposed)
    maker = meta.get("Manufacturer")
    if isinstance(maker, str) and (known := metadata.vendor(maker)) is not None and known != maker:
        yield Flag("vendor-spelling", "Manufacturer", maker, known)


def _cross_checks(modality: str, metrics: Mapping, meta: Mapping) -> Iterator[Flag]:
    echo_s, repetition_s, header_s = meta.get("EchoTime"), meta.get("RepetitionTime"), metrics.get("spacing_tr")
    both = isinstance(echo_s, float) and isinstance(repetition_s, float)
    # An echo time in milliseconds is told as that.
    if both and echo_s >= repetition_s > 0 and in_another_unit(echo_s, PLAUSIBLE_OF[modality]["EchoTime"]) is None:
        yield Flag("echo-after-repetition", "EchoTime", echo_s)
    if isinstance(repetition_s, float) and header_s and abs(header_s - repetition_s) > _SAME_TR * repetition_s:
        ratio = repetition_s / header_s
        is_unit = any(abs(ratio / factor - 1) <= _SAME_TR for factor in (1000.0, 0.001))
        # Where the sidecar is the one in milliseconds, the table of ranges says so.
        if not (is_unit and ratio > 1 and not PLAUSIBLE_OF["bold"]["RepetitionTime"].high >= repetition_s):
            yield Flag("header-tr-unit" if is_unit else "header-tr", "spacing_tr", header_s, repetition_s)
    yield from _field(meta.get("MagneticFieldStrength"), meta.get("ImagingFrequency"))


def _field(field_t: object, frequency: object) -> Iterator[Flag]:
    if not isinstance(field_t, float):
        return
    if isinstance(frequency, float) and frequency > 0:
        frequency_mhz = in_another_unit(frequency, PLAUSIBLE_OF["T1w"]["ImagingFrequency"])
        measured_t = (frequency if frequency_mhz is None else frequency_mhz) / MHZ_PER_TESLA
        if abs(measured_t - field_t) > _SAME_FIELD * max(field_t, 0.1):
            nearest = min(_KNOWN_FIELDS_T, key=lambda known: abs(known - measured_t))
            if abs(nearest - measured_t) <= _SAME_FIELD * nearest:
                code = "field-truncated" if field_t == int(nearest) else "field-against-frequency"
                yield Flag(code, "MagneticFieldStrength", field_t, nearest)
        return
    if field_t == 1.0:
        yield Flag("field-truncated", "MagneticFieldStrength", 1.0, 1.5)


@cache
def _empty_row(modality: str) -> dict:
    names = ("file_md5", "voxels_sha256", "software", "version", "testing", "fd_thres", "hmc_fsl")
    more = ("iqm_profile", "n_flags")
    return dict.fromkeys((*names, *more, *metadata.NUMBER_COLUMNS, *metadata.TEXT_COLUMNS, *_names(modality)))


def _row(modality: str, metrics: Mapping, meta: Mapping, provenance: Mapping) -> dict:
    row = _empty_row(modality).copy()
    row.update(metrics)
    for name, numbers in _sentinels(modality):
        if row[name] in numbers:
            row[name] = None
    for name, value in meta.items():
        if name in _NUMBERS:
            row[name] = value if value.__class__ is float else None
        elif name in _TEXTS:
            row[name] = as_text(value)
    settings = provenance.get("settings", {})
    row.update(
        file_md5=provenance["md5sum"],
        voxels_sha256=provenance.get("voxels_sha256"),
        software=as_text(provenance["software"]),
        version=as_text(provenance["version"]),
        testing=settings.get("testing"),
        fd_thres=settings.get("fd_thres"),
        hmc_fsl=settings.get("hmc_fsl"),
        iqm_profile=as_text(provenance.get("iqm_profile")),
    )
    return row
