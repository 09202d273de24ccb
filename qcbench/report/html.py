"""The report of a study: one HTML page that needs nothing else, with its tables and figures beside it.

The page has no script, asks for nothing outside itself and carries no date of its making, so the
same study gives the same bytes. Whatever comes from a table is escaped by jinja2.
"""

from __future__ import annotations

import base64
import json
import numbers
import re
import time
from collections.abc import Iterator
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup

import qcbench
from qcbench import durable
from qcbench.errors import UsageError
from qcbench.parallel import progress
from qcbench.report import evidence, figures, relations, sections, tables
from qcbench.report.blocks import FigureBlock, MissingBlock, Section, TableBlock, WarningBlock
from qcbench.report.inputs import StudyTables, read_tables
from qcbench.study import Study
from qcbench.summary import Summary

SECTIONS = (
    sections.workflow,
    relations.protocol,
    sections.images,
    sections.preprocessing,
    sections.labels,
    sections.agreement,
    sections.consensus,
    relations.people,
    relations.grades,
    sections.examples,
    evidence.splits,
    relations.architectures,
    evidence.metrics,
    relations.compared,
    evidence.predictions,
    evidence.provenance,
)
#: What a study can be put beside.
COMPARISONS = {"paper": relations.paper}
_MANIFEST = "report-files.json"
#: What reads as a number: 93.76 ± 0.57, 0.88 [0.80, 0.93], 5/6, 99.1 (4 of 5 folds), undefined.
_NUMBER_LIKE = re.compile(r"(-?[\d,]+(\.\d+)?(e-?\d+)?( ?[±\[(/].*| to \d+)?|undefined.*)$")


def report(study: Study | str | Path, *, compare: str | None = None, show_progress: bool = True) -> Summary:
    """Write reports/report.html, and each of its tables as CSV and figures as PNG and SVG beside it.

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
        files = dict(files_of(made))
        page = render(head(study, data), made, files).encode()
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
            for block in section.blocks
            if isinstance(block, MissingBlock)
        ],
        failed=_unreadable(made),
        seconds=time.monotonic() - started,
    )


def _unreadable(made: list[Section]) -> dict[str, str]:
    """Return the images whose screenshot could not be shown, with the reason."""
    blocks = [block for section in made for block in section.blocks if isinstance(block, FigureBlock)]
    return {image_id: reason for block in blocks for image_id, reason in block.unreadable.items()}


def render(head: dict[str, object], made: list[Section], files: dict[str, bytes]) -> str:
    """Return the page as HTML; `files` holds the figures' bytes by their names in the reports folder."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("qcbench.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.tests["table"] = lambda block: isinstance(block, TableBlock)
    environment.tests["figure"] = lambda block: isinstance(block, FigureBlock)
    environment.tests["missing"] = lambda block: isinstance(block, MissingBlock)
    environment.tests["warning"] = lambda block: isinstance(block, WarningBlock)
    style = environment.loader.get_source(environment, "style.css")[0]
    return environment.get_template("report.html").render(
        head=head,
        sections=made,
        style=Markup(style),  # noqa: S704  our own file, not a table's content
        grid=grid,
        caption=caption,
        data_uri=lambda block: _data_uri(block, files),
    )


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


def simulated_sentence(data: StudyTables, *, with_names: bool = True) -> str:
    """Return what is simulated in the study, in one line; an empty text when nothing is."""
    if not data.is_simulated:
        return ""
    n_images, raters = len(data.simulated_images), data.simulated_raters
    what = [f"{n_images} of {len(data.images)} images"] if n_images else []
    what += [f"the raters {', '.join(raters)}" if with_names else "raters"] if raters else []
    subject = " and ".join((["images"] if n_images else []) + (["raters"] if raters else []))
    title = f"Simulated {subject.replace(' and ', ' and simulated ')}" if subject else "Simulated labels or images"
    sentence = f"{title}: the numbers say nothing about real scans."
    return f"{sentence} Simulated are {' and '.join(what)}." if what else sentence


def caption(text: str) -> Markup:
    """Return a caption with its first sentence, which says what is shown, set in bold; escaped.

    >>> str(caption("Ages, <years>. Of all."))
    '<strong>Ages, &lt;years&gt;.</strong> <span>Of all.</span>'
    """
    first, _, rest = text.partition(". ")
    bold = Markup("<strong>{}</strong>").format(first + "." if rest else first)
    return bold + Markup(" <span>{}</span>").format(rest) if rest else bold


def grid(block: TableBlock) -> dict[str, object]:
    """Return a table as the page shows it: headings, rows of (text, class), and how many are left out."""
    columns = [_shown_column(block.frame[name], block.formats.get(name)) for name in block.frame.columns]
    rows = list(zip(*(column[: block.longest] for column in columns), strict=True))
    kinds = [_kind(column) for column in columns]
    return {
        "headings": list(zip(block.frame.columns, kinds, strict=True)),
        "rows": [list(zip(row, kinds, strict=True)) for row in rows],
        "left_out": max(len(block.frame) - block.longest, 0),
    }


def _shown_column(values: pd.Series, form: str | None) -> list[str]:
    return [_shown(value, form) for value in values.astype(object)]


def _shown(value: object, form: str | None) -> str:
    if value is None or pd.isna(value):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, numbers.Integral):
        return f"{value:,}"
    if isinstance(value, numbers.Real):
        return format(value, form or ".3g")
    return str(value)


def _kind(column: list[str]) -> str:
    """Return "number" for a column of numbers, which is set flush right, or "text"."""
    filled = [text for text in column if text]
    return "number" if filled and all(_NUMBER_LIKE.match(text) for text in filled) else "text"


def _data_uri(block: FigureBlock, files: dict[str, bytes]) -> str:
    suffix, kind = ("png", "image/png") if block.photographic else ("svg", "image/svg+xml")
    content = base64.b64encode(files[f"figures/{block.name}.{suffix}"]).decode()
    return f"data:{kind};base64,{content}"


def files_of(made: list[Section]) -> Iterator[tuple[str, bytes]]:
    """Yield the name below the reports folder and the bytes of each table and figure."""
    for section in made:
        for block in section.blocks:
            if isinstance(block, TableBlock):
                plain = tables.without_formulas(block.frame)
                yield f"tables/{block.name}.csv", plain.to_csv(index=False, lineterminator="\n").encode()
            elif isinstance(block, FigureBlock):
                yield f"figures/{block.name}.png", figures.to_png(block.figure)
                yield f"figures/{block.name}.svg", figures.to_svg(block.figure)


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
    return {name for name in names if isinstance(name, str) and re.fullmatch(r"(tables|figures)/[^/]+\.\w+", name)}
