"""What was done in a study, in words: a methods paragraph and a checklist, both filled from its tables.

What the tables cannot know (ethics, where the images come from, who the raters are) is said to be for the authors to
fill in; what was not done is said to be not done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pandas as pd

import qcbench
from qcbench.report import results, tables
from qcbench.report.inputs import StudyTables
from qcbench.report.reliability import LEFT_OUT
from qcbench.study import Study

YES, NO, AUTHORS = "yes", "not done", "authors"


def paragraph(study: Study, data: StudyTables) -> str:
    """Return the methods of the study as plain text, one paragraph a topic, ready to paste and to be edited."""
    parts = (_images, _labelling, _agreement, _splits, _networks, _software)
    simulated = (
        ["Simulated images or labels are among these data: the figures say nothing about real scans."]
        if data.is_simulated
        else []
    )
    return "\n\n".join([*simulated, *(" ".join(part(study, data)) for part in parts)])


def _images(study: Study, data: StudyTables) -> Iterator[str]:
    if data.images.empty:
        yield "No image is in the catalogue yet."
        return
    usable = tables.usable(data.images)
    found, people = _count(len(data.images), "image"), _count(data.images["participant_id"].nunique(), "participant")
    yield f"The catalogue held {found} of {people}."
    lost = tables.left_out(data.images)
    if len(lost):
        reasons = "; ".join(f"{row.Reason} ({row.Images:,})" for row in lost.head(4).itertuples())
        n_lost = len(data.images) - len(usable)
        yield f"{n_lost:,} {'was' if n_lost == 1 else 'were'} left out, the most frequent reasons being {reasons}."
    done = data.preprocessed[data.preprocessed["error"].isna()]
    if done.empty:
        yield "Images are not preprocessed yet."
        return
    presets = ", ".join(sorted(done["preprocessing_preset"].dropna().unique()))
    templates = ", ".join(
        f"{row.template} (sha256 {str(row.template_sha256)[:12]})"
        for row in done[["template", "template_sha256"]].drop_duplicates().dropna().itertuples()
    )
    yield (
        f"{_count(len(done), 'image')} {'was' if len(done) == 1 else 'were'} preprocessed with the preset {presets}"
        f"{f' and aligned to {templates}' if templates else ''}; "
        f"{_count(len(data.preprocessed) - len(done), 'image')} failed."
    )


def _labelling(study: Study, data: StudyTables) -> Iterator[str]:
    protocol = study.protocol
    if data.labels.empty:
        yield "No image is labelled yet."
        return
    n_raters = data.labels["rater"].nunique()
    criteria = ", ".join(criterion.label for criterion in protocol.criteria)
    yield (
        f"{_count(n_raters, 'rater')}, blind to each other's labels, noted {criteria} from three central slices of "
        f"each image, under the protocol {protocol.name}, version {protocol.version} (sha256 {protocol.sha256[:12]})."
    )
    if protocol.tier_rules:
        rules = "; ".join(f"tier {rule.tier}: {rule.wording}" for rule in protocol.tier_rules)
        yield f"The tier was computed from the grades ({rules}), never typed in."
    seconds = data.labels["seconds"].dropna()
    if len(seconds):
        yield f"The median time was {seconds.median():.1f} s an image."
    if data.consensus.empty:
        yield "There is no consensus yet."
        return
    classes = tables.class_of(data.consensus).value_counts()
    counts = ", ".join(f"{name} {classes.get(name, 0):,}" for name in tables.CLASSES)
    by_review = int((data.consensus["decided_by"] == "review").sum())
    yield (
        f"Where raters disagreed on straight reject (SR), two of them settled it in a joint review ({by_review:,} "
        f"images); of two grades the higher counted. {_count(len(data.consensus), 'image')} reached a consensus: "
        f"{counts}."
    )


def _agreement(study: Study, data: StudyTables) -> Iterator[str]:
    names = data.agreement["raters"].str.split(",")
    pairs = data.agreement[(names.str.len() == 2) & (names.str[0] != names.str[1])]
    pairs = pairs[~pairs["raters"].str.contains(r"[(]|consensus") & pairs["value"].notna()]
    wanted = [
        (name, pairs[(pairs["characteristic"] == name) & (pairs["statistic"] == _kappa(name))])
        for name in ("straight_reject", "gadolinium", "contrast", "motion", "noise")
    ]
    words = [f"{tables.in_words(name)} {rows['value'].mean():.2f}" for name, rows in wanted if len(rows)]
    if not words:
        yield "Agreement between raters is not computed yet."
        return
    yield (
        "Cohen's kappa between raters (linear weights for grades; the mean over pairs where there are more than two "
        f"raters) was: {', '.join(words)}."
    )


def _kappa(characteristic: str) -> str:
    return "kappa" if characteristic in ("straight_reject", "gadolinium") else "kappa_linear"


def _splits(study: Study, data: StudyTables) -> Iterator[str]:
    if data.splits.empty:
        yield "Images are not split into training and test yet."
        return
    test, rest = (data.splits[data.splits["set"] == name] for name in ("test", "cv"))
    seeds = ", ".join(map(str, sorted(data.splits["seed"].dropna().unique()))) or "not noted"
    shared = results.shared_participants(data.splits)
    checked = "no participant is in two sets" if not shared else f"LEAK: {len(shared)} participants are in two sets"
    yield (
        f"By participant, {_count(len(test), 'image')} were kept apart as test set and {len(rest):,} divided into "
        f"{rest['fold'].nunique()} folds for cross-validation (seed {seeds}; checked: {checked})."
    )


def _networks(study: Study, data: StudyTables) -> Iterator[str]:
    summary = results.metric_summary(data.metrics)
    accuracy = summary[(summary["metric"] == "balanced_accuracy") & summary["mean"].notna()]
    accuracy = results.without_single_raters(accuracy)
    if accuracy.empty:
        yield "No network is evaluated yet."
        return
    yield (
        "For each task one network a fold was fitted, the weights with the lowest validation loss kept, and each "
        "evaluated on the same test set. Balanced accuracy, mean ± empirical standard deviation over the folds, was:"
    )
    for task in results.tasks_of(accuracy):
        mine = accuracy[accuracy["task"] == task]
        words = [
            f"{row.architecture} {100 * row.mean:.1f}{'' if pd.isna(row.sd) else f' ± {100 * row.sd:.1f}'}%"
            for row in mine.itertuples()
        ]
        yield f"{results.TASK_TITLES.get(task, task)}, {', '.join(words)};"
    presets = sorted(accuracy["training_preset"].dropna().unique())
    yield f"training preset {', '.join(presets)}." if presets else "training preset not noted."


def _software(study: Study, data: StudyTables) -> Iterator[str]:
    labelled_with = sorted(set(data.labels["version"].dropna()))
    earlier = f"; labels were made with {', '.join(labelled_with)}" if labelled_with else ""
    yield f"All was done with qcbench {qcbench.__version__}{earlier}."


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def checklist(study: Study, data: StudyTables) -> pd.DataFrame:
    """Return what a paper on medical imaging with machine learning is asked for, and where this study stands.

    Columns: Area, Item, State (yes; not done; authors, for what only they know) and What was done. The items are those
    that reporting guidelines of the field agree on, in our own words.
    """
    rows = [(area, item, *answer(data)) for area, item, answer in _ITEMS]
    return pd.DataFrame(rows, columns=["Area", "Item", "State", "What was done"])


def _fact(what: Callable[[StudyTables], str | None]) -> Callable[[StudyTables], tuple[str, str]]:
    """Return an answer that is yes with the fact, or not done where there is none."""

    def answer(data: StudyTables) -> tuple[str, str]:
        found = what(data)
        return (YES, found) if found else (NO, "")

    return answer


def _by_hand(words: str) -> Callable[[StudyTables], tuple[str, str]]:
    return lambda data: (AUTHORS, words)


def _left_out_words(data: StudyTables) -> str | None:
    lost = tables.left_out(data.images)
    counts = "; ".join(f"{row.Reason}: {row.Images}" for row in lost.head(4).itertuples())
    return (f"{len(tables.usable(data.images))} usable. {counts}") if len(data.images) else None


def _missing_words(data: StudyTables) -> str | None:
    if data.images.empty:
        return None
    usable = tables.usable(data.images)
    return f"age not stated {usable['age_years'].isna().sum()}, sex not stated {usable['sex'].isna().sum()}"


def _raters_words(data: StudyTables) -> str | None:
    n, n_raters = len(data.labels), data.labels["rater"].nunique()
    return f"{_count(n_raters, 'rater')}, {_count(n, 'current label')}, blind to each other" if n else None


def _hyperparameters(data: StudyTables) -> str | None:
    texts = []
    for text in data.run_configs.values():
        try:
            options = json.loads(text).get("options", {})
        except (ValueError, AttributeError):
            continue
        texts.append(", ".join(f"{name} {value}" for name, value in sorted(options.items())))
    return " | ".join(sorted(set(texts) - {""})) or None


def _metrics_words(data: StudyTables) -> str | None:
    test = data.metrics[(data.metrics["set"] == "test") & data.metrics["value"].notna()]
    return ", ".join(name for name in results.METRICS if name in set(test["metric"])) or None


def _of_predictions(words: str) -> Callable[[StudyTables], str | None]:
    def found(data: StudyTables) -> str | None:
        test = set(data.splits.loc[data.splits["set"] == "test", "image_id"])
        return words if data.predictions["image_id"].isin(test).any() and len(data.consensus) else None

    return found


def _split_words(data: StudyTables) -> str | None:
    if data.splits.empty:
        return None
    shared = results.shared_participants(data.splits)
    sizes = ", ".join(f"{name} {size}" for name, size in data.splits["set"].value_counts().sort_index().items())
    return f"by participant, {sizes} images, {len(shared)} participants in two sets"


def _templates(data: StudyTables) -> str | None:
    pairs = data.preprocessed[["preprocessing_preset", "template"]].drop_duplicates().fillna("none")
    return "; ".join(f"{preset}, template {template}" for preset, template in pairs.to_numpy()) or None


_ITEMS = (
    ("Study", "aim and hypothesis", _by_hand("what the tiers and the networks are for")),
    ("Study", "design, dates, ethics", _by_hand("retrospective or not; period; approval")),
    ("Data", "source of images", _by_hand("which warehouse, which requests")),
    ("Data", "inclusion, exclusion, counts", _fact(_left_out_words)),
    ("Data", "scanners and people", _fact(lambda data: "Table 1" if len(data.images) else None)),
    ("Data", "missing values", _fact(_missing_words)),
    ("Data", "de-identification", _by_hand("state the outcome of qcbench check-identity")),
    ("Data", "preprocessing", _fact(_templates)),
    ("Data", "simulated data", lambda data: (YES, "among the data" if data.is_simulated else "none")),
    ("Reference", "definition of labels", lambda data: (YES, "Table 2 and the protocol")),
    ("Reference", "raters, blinding", _fact(_raters_words)),
    ("Reference", "experience of raters", _by_hand("training and years of each rater")),
    ("Reference", "agreement", _fact(lambda data: "Table 3, with 95% intervals" if len(data.agreement) else None)),
    (
        "Reference",
        "settling disagreements",
        _fact(lambda data: "joint review, higher grade" if len(data.consensus) else None),
    ),
    ("Partitions", "sizes, level, leak", _fact(_split_words)),
    ("Model", "structure", _fact(lambda data: ", ".join(data.architectures) or None)),
    ("Model", "software", lambda data: (YES, f"qcbench {qcbench.__version__}")),
    ("Training", "options, seeds", _fact(_hyperparameters)),
    (
        "Training",
        "size of the training set",
        _fact(lambda data: "learning curves, Figure 5" if len(data.learning_curve) else None),
    ),
    ("Evaluation", "metrics", _fact(_metrics_words)),
    (
        "Evaluation",
        "uncertainty",
        _fact(
            lambda data: "sd over folds; 95% intervals by bootstrap over participants" if _metrics_words(data) else None
        ),
    ),
    ("Evaluation", "comparison of models", _fact(_of_predictions("McNemar, corrected"))),
    ("Evaluation", "subgroups", _fact(_of_predictions("age, sex, manufacturer, field strength"))),
    ("Evaluation", "calibration", _fact(_of_predictions("reliability diagrams, Brier score"))),
    ("Evaluation", "failures looked at", _fact(_of_predictions("examples of wrong decisions"))),
    (
        "Evaluation",
        "unseen hospitals",
        _fact(
            lambda data: (
                "each left out of training in turn"
                if data.metrics["set"].str.startswith(LEFT_OUT).fillna(value=False).any()
                else None
            )
        ),
    ),
    ("Results", "flow of images", _fact(lambda data: "Figure 2" if len(data.images) else None)),
    ("Other", "limits, generality", _by_hand("what the study cannot say")),
    ("Other", "code, weights, data", _by_hand("where they can be had, and by whom")),
    ("Other", "funding, interests", _by_hand("who paid")),
)
