"""How the numbers of a report were made: which tables they come from, presets, hashes, versions, seeds, runs."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version

import pandas as pd

import qcbench
from qcbench.report.blocks import FigureBlock, Section, TableBlock
from qcbench.report.inputs import StudyTables
from qcbench.study import Study

#: The tables of the study that each section's numbers come from.
SOURCES = {
    "workflow": ("images", "preprocessed", "sample", "labels", "consensus", "open_reviews", "splits"),
    "images": ("images",),
    "preprocessing": ("preprocessed",),
    "labels": ("labels",),
    "raters": ("labels", "agreement"),
    "agreement": ("agreement",),
    "consensus": ("consensus", "open_reviews"),
    "people": ("images", "consensus"),
    "together": ("consensus", "images"),
    "examples": ("consensus", "images", "preprocessed"),
    "splits": ("splits", "consensus"),
    "metrics": ("metrics",),
    "learning": ("learning_curve", "metrics"),
    "calibration": ("predictions", "consensus", "splits"),
    "mistakes": ("predictions", "consensus", "splits", "preprocessed"),
    "hospitals": ("predictions", "consensus", "splits", "images", "metrics"),
    "compared": ("predictions", "consensus", "splits", "images"),
    "predictions": ("predictions",),
    "paper": ("agreement", "consensus", "metrics"),
    "methods": ("images", "preprocessed", "labels", "agreement", "consensus", "splits", "metrics"),
}


def made_from(anchor: str, data: StudyTables) -> str:
    """Return which tables a section's numbers come from, with the beginning of each file's sha256; or nothing."""
    present = [
        f"{name} ({data.fingerprints[name][:12]})" for name in SOURCES.get(anchor, ()) if name in data.fingerprints
    ]
    return ", ".join(present)


def provenance(study: Study, data: StudyTables) -> Section:
    """Return the section on how the numbers were made: protocol, presets, hashes, versions, runs."""
    frame = pd.DataFrame(provenance_rows(study, data), columns=["What", "Value", "Rows"]).astype({"Rows": "Int64"})
    block = TableBlock(name="provenance", caption="How these numbers were made.", frame=frame, longest=200)
    paragraph = "Each section ends with the tables that its numbers come from and the beginning of their sha256."
    return Section(anchor="provenance", title="Provenance", paragraphs=(paragraph,), blocks=(block,))


def with_contents(made: Sequence[Section], data: StudyTables) -> list[Section]:
    """Return the sections, with a list of all their tables and figures in the one on provenance."""
    listed = TableBlock(
        name="contents",
        caption="Every table and figure of this report. What it shows and which tables of the study it was made from.",
        frame=contents(made, data),
        longest=200,
    )
    return [
        replace(section, blocks=(*section.blocks, listed)) if section.anchor == "provenance" else section
        for section in made
    ]


def contents(made: Sequence[Section], data: StudyTables) -> pd.DataFrame:
    """Return every table and figure of a report: its file, what it shows, its section, and the tables it is from."""
    rows = [
        (
            f"{'tables' if isinstance(block, TableBlock) else 'figures'}/{block.name}",
            block.caption.partition(". ")[0].removesuffix("."),
            section.title,
            made_from(section.anchor, data),
        )
        for section in made
        for block in section.all_blocks()
        if isinstance(block, TableBlock | FigureBlock)
    ]
    return pd.DataFrame(rows, columns=["File", "Shows", "Section", "Made from (sha256)"])


def provenance_rows(study: Study, data: StudyTables) -> list[tuple[str, str, int | None]]:
    """Return (what, value, rows it holds for): versions, protocol and hashes, presets, runs and their seeds."""
    protocol = study.protocol
    rows = [
        ("qcbench", qcbench.__version__, None),
        ("protocol of the study", f"{protocol.name}, version {protocol.version}, sha256 {protocol.sha256}", None),
    ]
    rows += _combinations(
        "labels", data.labels, {"protocol": "protocol", "sha256": "protocol_sha256", "qcbench": "version"}
    )
    rows += _combinations(
        "preprocessing",
        data.preprocessed,
        {"preset": "preprocessing_preset", "template": "template", "template sha256": "template_sha256"},
    )
    rows += _combinations("splits", data.splits, {"seed": "seed"})
    runs = {"task": "task", "architecture": "architecture", "preset": "training_preset", "run": "run_id"}
    rows += _combinations("metrics", data.metrics, runs)
    runs = {"task": "task", "architecture": "architecture", "run": "run_id", "preprocessing": "preprocessing_preset"}
    rows += _combinations("predictions", data.predictions, runs)
    rows += [
        (f"table {name}", f"sha256 {sha256}", len(getattr(data, name))) for name, sha256 in data.fingerprints.items()
    ]
    rows += [(f"config of run {run_id}", config, None) for run_id, config in data.run_configs.items()]
    packages = ("numpy", "pandas", "scipy", "matplotlib")
    drawn_with = [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)]
    return [*rows, ("this report was drawn with", ", ".join(drawn_with), None)]


def _combinations(what: str, frame: pd.DataFrame, columns: dict[str, str]) -> list[tuple[str, str, int]]:
    """Return each combination of values that occurs, in words, and in how many rows."""
    present = {words: column for words, column in columns.items() if column in frame.columns}
    if not present or frame.empty:
        return []
    named = pd.DataFrame({words: frame[column].astype("string").fillna("none") for words, column in present.items()})
    sizes = named.groupby(list(present), sort=True).size()
    combinations = [key if isinstance(key, tuple) else (key,) for key in sizes.index]
    return [
        (what, ", ".join(f"{words} {value}" for words, value in zip(present, key, strict=True)), int(size))
        for key, size in zip(combinations, sizes, strict=True)
    ]
