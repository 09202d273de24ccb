"""The report of a study: one HTML page that needs nothing else, with its tables and figures beside it.

The page carries no date of its making, so the same study gives the same bytes.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import qcbench
from qcbench import durable
from qcbench.errors import UsageError
from qcbench.parallel import progress
from qcbench.report import accounts, evidence, figures, performance, provenance, relations, sections, tables
from qcbench.report.blocks import (
    FigureBlock,
    GalleryBlock,
    MissingBlock,
    Section,
    TableBlock,
    TextBlock,
)
from qcbench.report.inputs import StudyTables, read_tables
from qcbench.report.page import render
from qcbench.study import Study
from qcbench.summary import Summary

SECTIONS = (
    sections.workflow,
    relations.protocol,
    sections.images,
    sections.preprocessing,
    sections.labels,
    accounts.each_rater,
    sections.agreement,
    sections.consensus,
    relations.people,
    relations.grades,
    sections.examples,
    evidence.splits,
    relations.architectures,
    evidence.metrics,
    performance.learning_curves,
    performance.calibration,
    performance.mistakes,
    performance.hospitals,
    relations.compared,
    evidence.predictions,
    accounts.in_words,
    provenance.provenance,
)
#: What a study can be put beside.
COMPARISONS = {"paper": relations.paper}
_MANIFEST = "report-files.json"


def report(study: Study | str | Path, *, compare: str | None = None, show_progress: bool = True) -> Summary:
    """Write reports/report.html, and its tables as CSV and parquet and figures as PNG and SVG beside it.

    Nothing but these files is written. Sections whose tables are empty say which command makes
    them. Files that an earlier report wrote and this one has no content for are removed, so that no
    old table lies beside a new page. A screenshot that cannot be read is a failure of its image in
    the summary and an empty frame on the page. With `compare` "paper", the published numbers stand beside the
    study's. Raises TableError when a table is damaged, UsageError for another comparison.
    """
    if compare not in (None, *COMPARISONS):
        raise UsageError(f"a report can be compared with {', '.join(COMPARISONS)}, got {compare!r}")
    wanted = (*SECTIONS, *([COMPARISONS[compare]] if compare else []))
    started = time.monotonic()
    study = Study.of(study)
    data = read_tables(study)
    made = []
    with progress("report", len(wanted) + 1, show=show_progress) as advance:
        for section in wanted:
            made.append(section(study, data))
            advance()
        made = provenance.with_contents(made, data)
        files = dict(files_of(made, simulated=data.is_simulated))
        sources = {section.anchor: provenance.made_from(section.anchor, data) for section in made}
        page = render(head(study, data), made, files, sources=sources).encode()
        files["report.html"] = page
        n_written = _write(study, files)
        advance()
    return Summary(
        stage="report",
        done=n_written,
        unchanged=len(files) - n_written,
        facts={
            "report": study.relative(study.reports / "report.html"),
            "tables": sum(name.endswith(".csv") for name in files),
            "figures": sum(name.endswith(".svg") for name in files),
            "megabytes": round(len(page) / 1e6, 2),
        },
        notes=[
            f"{section.title}: {block.what} Run: {block.command}"
            for section in made
            for block in section.all_blocks()
            if isinstance(block, MissingBlock)
        ],
        failed=_unreadable(made),
        seconds=time.monotonic() - started,
    )


def _unreadable(made: list[Section]) -> dict[str, str]:
    """Return the images whose screenshot could not be shown, with the reason."""
    shown = (FigureBlock, GalleryBlock)
    blocks = [block for section in made for block in section.all_blocks() if isinstance(block, shown)]
    return {image_id: reason for block in blocks for image_id, reason in block.unreadable.items()}


def head(study: Study, data: StudyTables) -> dict[str, object]:
    """Return what the head of the page says: name, protocol, presets, counts, and what is simulated."""
    last = data.labels["saved_at"].max() if len(data.labels) else None
    usable = tables.usable(data.images)
    presets = data.preprocessed["preprocessing_preset"].dropna().unique()
    templates = data.preprocessed["template"].dropna().unique()
    return {
        "name": study.folder.name,
        "facts": {
            "Protocol": f"{study.protocol.name} ({study.protocol.sha256[:12]})",
            "Preprocessing": ", ".join(sorted(presets)) or "none yet",
            "Template": ", ".join(sorted(templates)) or "none yet",
            "Last label": "none yet" if last is None else f"{last:%Y-%m-%d %H:%M} UTC",
            "qcbench": qcbench.__version__,
        },
        "counts": {
            "usable images": len(usable),
            "participants": usable["participant_id"].nunique(),
            "labels": len(data.labels),
            "raters": data.labels["rater"].nunique(),
            "with a consensus": len(data.consensus),
            "evaluated tasks": data.metrics.loc[data.metrics["set"] == "test", "task"].nunique(),
        },
        "simulated": simulated_sentence(data),
    }


def simulated_sentence(data: StudyTables, *, in_detail: bool = True) -> str:
    """Return what is simulated in the study, in one line; an empty text when nothing is.

    Without detail it has neither names nor counts.
    """
    if not data.is_simulated:
        return ""
    n_images, raters = len(data.simulated_images), data.simulated_raters
    subject = [word for word, found in (("images", n_images), ("raters", raters)) if found]
    title = " and ".join(f"simulated {word}" for word in subject) or "simulated labels or images"
    sentence = f"{title.capitalize()}: the numbers say nothing about real scans."
    what = [f"{n_images} of {len(data.images)} images"] if n_images else []
    what += [f"the raters {', '.join(raters)}"] if raters else []
    return f"{sentence} Simulated are {' and '.join(what)}." if what and in_detail else sentence


def files_of(made: list[Section], *, with_parquet: bool = True, simulated: bool = False) -> Iterator[tuple[str, bytes]]:
    """Yield the name below the reports folder and the bytes of each table, figure and text.

    Where something is `simulated`, each figure says so by itself: its file may leave the page.
    """
    for section in made:
        for block in section.all_blocks():
            if isinstance(block, TableBlock):
                plain = tables.without_formulas(block.frame)
                yield f"tables/{block.name}.csv", plain.to_csv(index=False, lineterminator="\n").encode()
                if with_parquet:
                    yield f"tables/{block.name}.parquet", tables.to_parquet(block.frame)
            elif isinstance(block, TextBlock):
                yield f"texts/{block.name}.txt", f"{block.text}\n".encode()
            elif isinstance(block, FigureBlock):
                mark = "simulated images or labels" if simulated else ""
                yield f"figures/{block.name}.png", figures.to_png(block.figure, mark=mark)
                yield f"figures/{block.name}.svg", figures.to_svg(block.figure, mark=mark)


def _write(study: Study, files: dict[str, bytes]) -> int:
    """Write the files that differ from what is there; return how many. The page comes last."""
    folder = study.reports
    manifest = folder / _MANIFEST
    for name in _earlier(manifest) - set(files):
        (folder / name).unlink(missing_ok=True)
    changed = [name for name, content in files.items() if not _has(folder / name, content)]
    # Listed before they are written: a report that is cut off leaves no file that nobody knows.
    durable.write_text(manifest, json.dumps(sorted(files), indent=1) + "\n")
    for name in changed:
        durable.write_bytes(folder / name, files[name])
    return len(changed)


def _has(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _earlier(manifest: Path) -> set[str]:
    """Return the files that the last report wrote; only plain names of tables and figures count."""
    if not manifest.is_file():
        return set()
    try:
        names = json.loads(manifest.read_text())
    except ValueError:
        return set()
    if not isinstance(names, list):
        return set()
    return {
        name for name in names if isinstance(name, str) and re.fullmatch(r"(tables|figures|texts)/[^/]+\.\w+", name)
    }
