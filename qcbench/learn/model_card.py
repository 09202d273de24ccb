"""The card of a run: what was fitted, on what, how good it is, and what it was not tested on.

MODEL_CARD.md for people and model_card.json with the same facts lie in the run's folder; `evaluate` writes them anew.
They name no image, no person and no hospital. Nothing is typed in by hand: what is not known is said to be so.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from qcbench import durable, store
from qcbench.learn import left_out, runs, tabular, weights
from qcbench.learn.networks import multitask
from qcbench.learn.runs import Run
from qcbench.learn.tasks import CLASS_NAMES, MULTITASK, task_labels
from qcbench.study import Study

Row = Mapping[str, object]

_SHOWN = ("balanced_accuracy", "auc", "sensitivity", "specificity", "ppv", "npv", "f1_weighted", "mcc")
_HOW_FITTED = ("preset", "options", "seed", "class_weights", "images", "pretraining", "voxels")
_ADULT_YEARS = 18


def write(study: Study, run: Run, metrics: Sequence[Row]) -> Path:
    """Write MODEL_CARD.md and model_card.json of a run; return the path of the first.

    `metrics` are the rows of the table `metrics`.
    """
    found = facts(study, run, metrics)
    durable.write_text(run.folder / "model_card.json", json.dumps(found, indent=1, sort_keys=True) + "\n")
    path = run.folder / "MODEL_CARD.md"
    durable.write_text(path, as_markdown(found))
    return path


def facts(study: Study, run: Run, metrics: Sequence[Row]) -> dict:
    """Return all that the card says, as plain JSON values."""
    config = run.config
    splits = store.rows(study, "splits")
    consensus = store.rows(study, "consensus")
    labelled = {image_id for task in run.tasks for image_id in task_labels(consensus, task)}
    test = sorted(row["image_id"] for row in splits if row["set"] == "test" and row["image_id"] in labelled)
    catalogue = {row["image_id"]: row for row in store.rows(study, "images")}
    mine = [row for row in metrics if row["run_id"] == run.run_id and row["fold"] is None]
    return {
        "run_id": run.run_id,
        "task": run.task,
        "tasks": [_task(run, task, metrics) for task in run.tasks],
        "architecture": _architecture(run),
        "training": {**{name: config.get(name) for name in _HOW_FITTED}, "class_weights": _class_weights(run)},
        "data": {
            **{name: config.get(name) for name in ("consensus_sha256", "inputs_sha256", "splits_sha256")},
            **config["preprocessing"],
        },
        "changed_since": str(runs.outdated(study, [run]).get(run.run_id, "")) or None,
        "folds": [_fold(run, fold) for fold in config["folds"]],
        "versions": config["versions"],
        "simulated": any(row["simulated"] for row in mine),
        "test_set": _test_set([catalogue[image_id] for image_id in test if image_id in catalogue]),
        "not_tested_on": _not_tested_on(study, run, test, catalogue, metrics),
    }


def as_markdown(card: Mapping) -> str:
    """Return the card as Markdown; the same facts give the same text."""
    training, data, architecture = card["training"], card["data"], card["architecture"]
    lines = [
        f"# {card['run_id']}",
        "",
        *[
            f"Probability that a T1-weighted brain MRI is **{each['positive_class']}**, "
            f"against {each['negative_class']}.\n"
            for each in card["tasks"]
        ],
    ]
    if card["simulated"]:
        lines += ["**Simulated images or labels are among its data: the numbers below say little of real scans.**", ""]
    lines += [
        "## What it is",
        "",
        *_bullets(architecture),
        "",
        "## How it was fitted",
        "",
        *_bullets({"preset": training["preset"], "seed": training["seed"], **(training["options"] or {})}),
        *_bullets({"class weights (negative, positive)": training["class_weights"], "images": training["images"]}),
        *([f"- begun with: {_in_words(training['pretraining'])}"] if training["pretraining"] else []),
        *[f"- fold {fold['fold']}: {fold['words']}" for fold in card["folds"]],
        "",
        "## On what",
        "",
        *_bullets(data),
        *([f"- of its images, since it was fitted: {card['changed_since']}"] if card["changed_since"] else []),
        *_bullets({f"version of {name}": version for name, version in sorted(card["versions"].items())}),
        "",
        "## How good it is",
        "",
        *[line for each in card["tasks"] for line in _task_lines(each, is_alone=len(card["tasks"]) == 1)],
        "## The test set",
        "",
        *_bullets(card["test_set"]),
        "",
        "## What it was not tested on",
        "",
        *[f"- {sentence}" for sentence in card["not_tested_on"]],
    ]
    return "\n".join(lines) + "\n"


def _task(run: Run, task: str, metrics: Sequence[Row]) -> dict:
    """Return what one task of the run asks, and how good its answers are beside those of others."""
    means = [row for row in metrics if row["task"] == task and row["fold"] is None and row["set"] == "test"]
    return {
        "task": task,
        "positive_class": CLASS_NAMES[task][0],
        "negative_class": CLASS_NAMES[task][1],
        # The rows of the ensemble have the same run_id.
        "metrics": [_metric(row) for row in means if row["run_id"] == run.run_id and not _is_ensemble(row)],
        "ensemble": [_metric(row) for row in means if row["run_id"] == run.run_id and _is_ensemble(row)],
        "baseline": [_metric(row) for row in means if row["architecture"] == tabular.ARCHITECTURE],
        "annotators": [_metric(row) for row in means if row["run_id"] == "annotators"],
        "left_out": _left_out(run, task, metrics),
    }


def _class_weights(run: Run) -> object:
    found = run.config.get("class_weights")
    return dict(zip(multitask.OUTPUTS, found, strict=True)) if run.task == MULTITASK else found


def _is_ensemble(row: Row) -> bool:
    return row["architecture"].endswith("-ensemble")


def _architecture(run: Run) -> dict:
    path = run.folder / "architecture.json"
    about = {"name": run.architecture, "spacing_mm": run.spacing}
    if not path.exists():
        return about
    document = weights.read_json(path)
    return {**about, **{name: document.get(name) for name in ("parameters", "shape", "outputs")}}


def _fold(run: Run, fold: int) -> dict:
    skipped = run.skipped()
    if fold in skipped:
        return {"fold": fold, "words": f"not fitted: {skipped[fold]}"}
    path = run.fold_folder(fold) / "fold.json"
    if not path.exists():
        made_anew = run.architecture == tabular.ARCHITECTURE
        return {"fold": fold, "words": "fitted anew from the seed when it predicts" if made_anew else "not fitted yet"}
    document = weights.read_json(path)
    words = (
        f"fitted on {document.get('n_fit')} images, the epoch chosen on {document.get('n_validation')}; "
        f"epoch {document.get('best_epoch')}, weights sha256 {document.get('weights_sha256')}"
    )
    return {**document, "words": words}


def _metric(row: Row) -> dict:
    names = ("architecture", "metric", "value", "low", "high", "sd", "n", "n_participants", "reason")
    return {name: row.get(name) for name in names}


def _left_out(run: Run, task: str, metrics: Iterable[Row]) -> list[dict]:
    """Return what leaving hospitals out says of networks fitted in this way; places have no name here."""
    wanted = (task, f"mean over places {left_out.recipe(run)}")
    return [
        {**_metric(row), "set": row["set"], "sd": row["sd"]}
        for row in metrics
        if row["metric"] == "balanced_accuracy" and (row["task"], row["run_id"]) == wanted
    ]


def _test_set(rows: Sequence[Row]) -> dict:
    ages = [row["age_years"] for row in rows if row["age_years"] is not None]
    return {
        "images": len(rows),
        "participants": len({row["participant_id"] for row in rows}),
        "simulated_images": sum(bool(row["simulated"]) for row in rows),
        "hospitals": len({row["hospital"] for row in rows} - {None}),
        **{name: _counts(rows, name) for name in ("manufacturer", "model_name", "field_strength_t", "sex")},
        "age_years": f"{min(ages):.0f} to {max(ages):.0f}, not known of {len(rows) - len(ages)}" if ages else None,
    }


def _counts(rows: Iterable[Row], name: str) -> dict[str, int]:
    counts = Counter("not known" if row[name] is None else str(row[name]) for row in rows)
    return dict(sorted(counts.items()))


def _not_tested_on(
    study: Study, run: Run, test: Sequence[str], catalogue: Mapping[str, Row], metrics: Iterable[Row]
) -> list[str]:
    """Return sentences on what is in the warehouse, or may come to it, and in no test image."""
    tested = [catalogue[image_id] for image_id in test if image_id in catalogue]
    usable = [row for row in catalogue.values() if row["error"] is None and row["excluded_reason"] is None]
    sentences = []
    for name, words in (
        ("manufacturer", "manufacturer"),
        ("model_name", "scanner model"),
        ("field_strength_t", "tesla"),
    ):
        seen = {row[name] for row in tested}
        absent = Counter(str(row[name]) for row in usable if row[name] is not None and row[name] not in seen)
        if absent:
            listed = ", ".join(f"{value} ({count} images)" for value, count in sorted(absent.items()))
            sentences.append(f"{words}: {listed} in the catalogue, none in the test set")
    hospitals = {row["hospital"] for row in usable} - {None, *(row["hospital"] for row in tested)}
    if hospitals:
        sentences.append(f"{len(hospitals)} hospitals of the catalogue have no image in the test set")
    if not any(_left_out(run, task, metrics) for task in run.tasks):
        sentences.append("a hospital that took no part in training: none was left out (qcbench leave-one-out)")
    if not any(row["age_years"] is not None and row["age_years"] < _ADULT_YEARS for row in tested):
        sentences.append(f"people known to be under {_ADULT_YEARS}")
    presets = ", ".join(map(str, run.config["preprocessing"].get("preprocessing_preset") or ["unknown"]))
    sentences.append(f"volumes preprocessed otherwise than with {presets}")
    modalities = ", ".join(sorted({str(row["modality"]) for row in tested} - {"None"})) or "T1w"
    sentences.append(f"images that are not {modalities}")
    if tested and all(row["simulated"] for row in tested):
        sentences.append("real scans: every test image is simulated")
    return sentences


def _task_lines(each: Mapping, *, is_alone: bool) -> list[str]:
    """Return the metrics of one task, under a title where there are more."""
    title = [] if is_alone else [f"### {each['task']}: {each['positive_class']}, against {each['negative_class']}", ""]
    return [*title, *_metric_lines(each), ""]


def _metric_lines(each: Mapping) -> list[str]:
    """Return the table of the test metrics in percent: the mean over the folds, the baseline, the annotators."""
    columns = {"this run": each["metrics"], "its folds together": each["ensemble"]}
    columns |= {"without a network": each["baseline"], "annotators": each["annotators"]}
    cells = {title: {row["metric"]: _cell(row) for row in rows} for title, rows in columns.items() if rows}
    if not cells:
        return ["Nothing was predicted on the test set yet."]
    lines = [f"| percent | {' | '.join(cells)} |", "|---" * (len(cells) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(found.get(name, '') for found in cells.values())} |" for name in _SHOWN]
    lines += ["", "Mean over the folds ± standard deviation [95% interval, bootstrap over participants], test set."]
    for row in each["left_out"]:
        lines.append(f"- {row['set']}, mean over those left out, {row['n']} images: balanced accuracy {_cell(row)}")
    return lines


def _cell(row: Row) -> str:
    if row["value"] is None:
        return f"undefined ({row['reason']})"
    text = f"{100 * row['value']:.1f}"
    if row["sd"] is not None:
        text += f" ± {100 * row['sd']:.1f}"
    return text if row["low"] is None else f"{text} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"


def _bullets(entries: Mapping[str, object]) -> list[str]:
    return [f"- {name.replace('_', ' ')}: {_in_words(value)}" for name, value in entries.items()]


def _in_words(value: object) -> str:
    if value is None or value == []:
        return "not known"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {count}" for name, count in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)
