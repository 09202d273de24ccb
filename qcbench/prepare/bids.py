"""Names and sidecars as the Brain Imaging Data Structure (BIDS 1.10) wants them. No voxel is touched here.

An image's id in every table is its BIDS stem, for instance ``sub-01_ses-M00_T1w``.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import qcbench
from qcbench import durable
from qcbench.errors import UsageError

BIDS_VERSION = "1.10.0"
#: The order in which BIDS writes entities; others follow in the order of the name.
_ORDER = ("sub", "ses", "task", "acq", "ce", "rec", "dir", "run", "echo", "part", "space", "res", "desc")
_ENTITY = re.compile(r"([a-z]+)-([A-Za-z0-9]+)")
#: Suffixes of images that are no T1w. A name's last word outside this list is no suffix.
_OTHER_SUFFIXES = frozenset(
    {
        "T2w",
        "PDw",
        "PDT2",
        "T2star",
        "T2starw",
        "FLAIR",
        "inplaneT1",
        "inplaneT2",
        "angio",
        "T1map",
        "T2map",
        "T1rho",
        "UNIT1",
        "MP2RAGE",
        "MTw",
        "defacemask",
        "bold",
        "cbv",
        "sbref",
        "phase",
        "dwi",
        "asl",
        "m0scan",
        "phasediff",
        "phase1",
        "phase2",
        "magnitude",
        "magnitude1",
        "magnitude2",
        "fieldmap",
        "epi",
        "pet",
        "mask",
        "dseg",
        "probseg",
        "VFA",
        "MPM",
    }
)

#: What a validator of derivatives cannot know, and why.
_IGNORED = {
    "**/*_desc-slices_*": "pictures that raters judge, and how they were drawn: BIDS knows no PNG of slices",
    "/iqm": "image quality metrics in JSON as MRIQC writes it, with masks and pages: BIDS has no name for them",
}
#: The folder of suffixes that are not anatomical.
_DATATYPES = {
    **dict.fromkeys(("bold", "cbv", "sbref", "phase"), "func"),
    "dwi": "dwi",
    "pet": "pet",
    **dict.fromkeys(("asl", "m0scan"), "perf"),
    **dict.fromkeys(
        ("phasediff", "phase1", "phase2", "magnitude", "magnitude1", "magnitude2", "fieldmap", "epi"), "fmap"
    ),
}


_DERIVED = ("space", "res", "desc")


@dataclass(frozen=True, kw_only=True)
class Name:
    """A BIDS name in its parts. ``str(name)`` is the stem.

    >>> str(Name(entities={"ses": "M00", "sub": "01"}))
    'sub-01_ses-M00_T1w'
    """

    entities: Mapping[str, str] = field(default_factory=dict)
    suffix: str = "T1w"

    def __str__(self) -> str:
        known = [key for key in _ORDER if key in self.entities]
        keys = known + [key for key in self.entities if key not in _ORDER]
        return "_".join([*(f"{key}-{self.entities[key]}" for key in keys), self.suffix])

    def with_entities(self, **more: str) -> Name:
        """Return the name with further entities, e.g. ``space`` for a derivative."""
        return replace(self, entities={**self.entities, **more})

    def without_derived(self) -> Name:
        """Return the name with what only derivatives say (``space``, ``res``, ``desc``) moved to ``acq``.

        Some archives have it in raw names; a derivative sets it anew, and two images would have one name.

        >>> str(Name(entities={"sub": "1", "acq": "a", "desc": "denoised"}).without_derived())
        'sub-1_acq-adescdenoised_T1w'
        """
        moved = "".join(f"{key}{self.entities[key]}" for key in _DERIVED if key in self.entities)
        if not moved:
            return self
        kept = {key: value for key, value in self.entities.items() if key not in _DERIVED}
        return replace(self, entities={**kept, "acq": self.entities.get("acq", "") + moved})

    @property
    def folder(self) -> str:
        """Where an image of that name lies in its dataset, e.g. ``sub-01/ses-M00/anat``."""
        session = f"ses-{self.entities['ses']}/" if "ses" in self.entities else ""
        return f"sub-{self.entities['sub']}/{session}{_DATATYPES.get(self.suffix, 'anat')}"


def stem(path: str | Path) -> str:
    """Return a file's name without .nii or .nii.gz.

    >>> stem("folder/sub-01_T1w.nii.gz")
    'sub-01_T1w'
    """
    return re.sub(r"\.nii(\.gz)?$", "", Path(path).name, flags=re.IGNORECASE)


def parse(name: str) -> Name:
    """Return the BIDS name of a file's stem.

    Entities are kept wherever they stand and other words are dropped; a name without ``sub-``
    becomes ``sub-<its letters and digits>``, so that it stays recognisable. No suffix means T1w.

    >>> str(parse("ds000011_sub-01_ses-2_T1w")), str(parse("Patient 7 (b)"))
    ('sub-01_ses-2_T1w', 'sub-Patient7b_T1w')
    """
    words = name.split("_")
    entities = dict(match.groups() for word in words if (match := _ENTITY.fullmatch(word)))
    if "sub" not in entities:
        label = re.sub(r"[^A-Za-z0-9]", "", re.sub(r"_T1w$", "", name))
        # A name without any Latin letter or digit still has to become one.
        return Name(entities={"sub": label or _short_hash(name)})
    suffix = words[-1] if words[-1] in _OTHER_SUFFIXES and "T1w" not in words else "T1w"
    return Name(entities=entities, suffix=suffix)


def distinct(name: Name, source: str, taken: Container[str]) -> Name:
    """Return the name, made different from those taken by a hash of where the file lies.

    The hash depends on `source` alone, so that one file gets one name. A name that was made up from a file name stands
    for a person of its own and changes ``sub-``; one with more entities changes ``acq-`` and keeps its participant.
    Names that differ only by case count as the same: not every disk tells them apart.
    """
    if str(name).lower() not in taken:
        return name
    mark = _short_hash(source)
    entity = "sub" if set(parse(stem(source)).entities) == {"sub"} and "sub-" not in stem(source) else "acq"
    return name.with_entities(**{entity: name.entities.get(entity, "") + mark})


def read_sidecar(path: Path) -> dict:
    """Return the JSON object beside an image; {} when there is none. Raises UsageError when it is damaged."""
    sidecar = path.with_name(f"{stem(path)}.json")
    if not sidecar.is_file():
        return {}
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{sidecar.name}, the sidecar of the image, is no JSON file: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{sidecar.name}, the sidecar of the image, holds no JSON object")
    return content


def read_participants(dataset: Path) -> dict[str, dict[str, str]]:
    """Return the rows of participants.tsv by participant_id; {} when there is no such file."""
    path = dataset / "participants.tsv"
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return {row["participant_id"]: row for row in rows if row.get("participant_id")}


def write_participants(dataset: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write participants.tsv from rows with participant_id, age_years and sex; the first known value counts."""
    people: dict[str, dict[str, object]] = {}
    for row in rows:
        person = people.setdefault(str(row["participant_id"]), {"age_years": None, "sex": None})
        for key, known in person.items():
            person[key] = row.get(key) if known is None else known
    lines = ["participant_id\tage\tsex"]
    for name, person in sorted(people.items()):
        # More is an error to the official validator: the few who are older could be told by their age.
        age = "n/a" if person["age_years"] is None else f"{min(person['age_years'], 89):g}"
        lines.append(f"{name}\t{age}\t{person['sex'] or 'n/a'}")
    durable.write_text(dataset / "participants.tsv", "\n".join(lines) + "\n")


def write_description(dataset: Path, *, name: str, derivative: bool) -> None:
    """Write dataset_description.json unless it stands there already in these words."""
    content = {"Name": name, "BIDSVersion": BIDS_VERSION, "DatasetType": "derivative" if derivative else "raw"}
    if derivative:
        content["GeneratedBy"] = [{"Name": "qcbench", "Version": qcbench.__version__}]
        content["SourceDatasets"] = [{"URL": "../../bids"}]
        content["DatasetLinks"] = {"raw": "../../bids"}  # what bids:raw: in sidecars means
    path, text = dataset / "dataset_description.json", to_json(content)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        durable.write_text(path, text)


def write_ignored(derivatives: Path) -> None:
    """Write .bidsignore: what the BIDS standard has no name for, each with its reason."""
    lines = [line for pattern, reason in _IGNORED.items() for line in (f"# {reason}", pattern)]
    text = "\n".join(lines) + "\n"
    path = derivatives / ".bidsignore"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        durable.write_text(path, text)


def to_json(content: object) -> str:
    """Return JSON as sidecars hold it: indented, with a line end."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:6]
