"""What each section of the report says of how networks learn, err and hold up elsewhere; see `sections`."""

from __future__ import annotations

import functools

import pandas as pd

from qcbench.report import figures, learning, reliability, results
from qcbench.report.blocks import Block, FigureBlock, FoldedBlock, GalleryBlock, MissingBlock, Section, TableBlock
from qcbench.report.inputs import StudyTables
from qcbench.report.pictures import read_picture
from qcbench.study import Study

#: Wrong decisions shown of each kind, task and network: enough to see a pattern, few enough for a small page.
ERRORS_SHOWN = 4
_LONGEST_PX = 400


def learning_curves(study: Study, data: StudyTables) -> Section:
    """Return the section on what more labels bring (Figure 5)."""
    title = "Learning curves"
    rows = learning.by_size(data.learning_curve)
    if rows.empty:
        missing = MissingBlock(what="No learning curve is computed yet.", command="qcbench learning-curve STUDY")
        return Section(anchor="learning", title=title, blocks=(missing,))
    simulated = " Simulated images or labels are among them." if rows["simulated"].fillna(value=False).any() else ""
    table = learning.curve_table(data.learning_curve)
    return Section(
        anchor="learning",
        title=title,
        blocks=(
            FigureBlock(
                name="learning-curves",
                caption="Balanced accuracy on the test set against the images that a network learned from (Figure 5). "
                "The line is the mean over the folds, the band one standard deviation (ddof = 1), a small mark one "
                f"fold; dashed the annotators, dotted a coin toss.{simulated}",
                alt="; ".join(
                    f"{row.Task}, {row.Architecture}, {row.Images} images: {mean:.1f}%"
                    for row, mean in zip(table.itertuples(), table["BA, %"], strict=True)
                ),
                figure=figures.learning_curves(rows, learning.annotators(data.metrics)),
            ),
            TableBlock(
                name="learning-curves",
                caption=f"What more images bring. The gain is on the next smaller number of images.{simulated}",
                frame=table,
                formats={"BA, %": ".2f", "sd": ".2f", "gain": "+.2f"},
            ),
        ),
    )


def calibration(study: Study, data: StudyTables) -> Section:
    """Return the section on whether probabilities hold what they say."""
    title = "Calibration"
    rows = _judged(data)
    if rows.empty:
        return Section(anchor="calibration", title=title, blocks=(_no_predictions(),))
    bins = reliability.reliability(rows)
    simulated = _simulated(data, rows)
    return Section(
        anchor="calibration",
        title=title,
        blocks=(
            FigureBlock(
                name="calibration",
                caption="Reliability of the probabilities on the test set. Share of positive images against the "
                "probability, in tenths, all folds' predictions together; white marks are of fewer than 10. Below, "
                f"how many predictions each tenth holds (linear up to 10, then logarithmic).{simulated}",
                alt="; ".join(
                    f"{row.task}, {row.series}, {100 * row.mean_probability:.0f}%: {100 * row.positive:.0f}% positive"
                    for row in bins[bins["predictions"] > 0].itertuples()
                ),
                figure=figures.reliability_diagrams(bins),
            ),
            TableBlock(
                name="calibration",
                caption="How well probabilities hold, mean ± sd over the folds. Brier score and calibration error: "
                f"lower is better.{simulated}",
                frame=reliability.calibration_table(rows),
            ),
            TableBlock(
                name="calibration-bins",
                caption="The tenths of the diagrams, with their counts of predictions.",
                frame=bins,
                longest=0,
            ),
        ),
    )


def mistakes(study: Study, data: StudyTables) -> Section:
    """Return the section on wrong decisions: how many, of which kind, and examples to click on."""
    title = "Wrong decisions"
    rows = _judged(data)
    if rows.empty:
        return Section(anchor="mistakes", title=title, blocks=(_no_predictions(),))
    counts, wrong = reliability.confusion(rows), reliability.errors(rows)
    simulated = _simulated(data, rows)
    galleries = [
        block for task in results.tasks_of(wrong) for block in _galleries(study, data, wrong[wrong["task"] == task])
    ]
    listed = TableBlock(
        name="wrong-decisions",
        caption="Test images that at least half of a network's folds got wrong, the surest mistakes first.",
        frame=wrong.rename(columns=results.in_headings(wrong.columns)),
        formats={"Probability": ".3f"},
        longest=30,
    )
    blocks: list[Block] = [
        FigureBlock(
            name="confusion",
            caption="Decisions at a probability of 50% against the consensus, test images: mean over the folds, "
            f"range, and share of the images with that truth.{simulated}",
            alt="; ".join(
                f"{row.task}, {row.series}, fold {row.fold}: {row.true_positives} right and {row.false_negatives} "
                f"missed of the positive, {row.true_negatives} right and {row.false_positives} false alarms"
                for row in counts.itertuples()
            ),
            figure=figures.confusion_matrices(counts),
        ),
        TableBlock(
            name="confusion",
            caption="Decisions of each fold's network on the test set.",
            frame=counts.rename(columns=results.in_headings(counts.columns)),
        ),
        *galleries,
    ]
    if len(wrong):
        blocks.append(FoldedBlock(words=f"All wrong decisions: {len(wrong)}", blocks=(listed,)))
    return Section(anchor="mistakes", title=title, blocks=tuple(blocks))


def _galleries(study: Study, data: StudyTables, wrong: pd.DataFrame) -> list[GalleryBlock]:
    """Return the surest mistakes of the first network of a task, missed images and false alarms."""
    found = []
    task, series = wrong.iloc[0][["task", "series"]]
    shown = wrong[wrong["series"] == series].merge(
        data.preprocessed[["image_id", "screenshot_path"]], on="image_id", how="left"
    )
    for kind, rows in shown.groupby("kind", sort=False):
        pictures = tuple(
            read_picture(
                study,
                row,
                caption=f"{row['image_id']}: probability {100 * row['probability']:.0f}%, "
                f"wrong in {row['folds_wrong']} of {row['folds']} folds",
                longest_px=_LONGEST_PX,
            )
            for row in rows.head(ERRORS_SHOWN).to_dict("records")
        )
        caption = f"{task}, {series}: {kind}, the surest {len(pictures)} of {len(rows)}. Click to see the image."
        found.append(GalleryBlock(caption=caption, pictures=pictures))
    return found


def hospitals(study: Study, data: StudyTables) -> Section:
    """Return the section on each hospital: where networks saw it in training, and where they did not."""
    title = "Hospitals"
    rows = _judged(data)
    left_out = reliability.left_out_places(data.metrics)
    blocks: list[Block] = []
    if len(left_out):
        blocks.append(
            TableBlock(
                name="left-out-places",
                caption="Balanced accuracy at a place that the network never saw, with the 95% interval. The nearest "
                "to what a new hospital can expect.",
                frame=left_out,
                longest=100,
            )
        )
    else:
        what = "No network was fitted with a hospital left out, so nothing is known of a hospital it never saw."
        blocks.append(MissingBlock(what=what, command="qcbench leave-one-out STUDY"))
    if len(rows) and data.images["hospital"].notna().any():
        blocks.append(
            TableBlock(
                name="hospitals",
                caption="Balanced accuracy on the test images of each hospital, mean ± sd over the folds. The networks "
                f"have learned from other images of these hospitals.{_simulated(data, rows)}",
                frame=reliability.by_hospital(rows, data.images),
            )
        )
    return Section(anchor="hospitals", title=title, blocks=tuple(blocks))


@functools.lru_cache(maxsize=1)
def _judged(data: StudyTables) -> pd.DataFrame:
    """Return `reliability.judged` of a study, made once for the sections that start from it."""
    return reliability.judged(data.predictions, data.consensus, data.splits)


def _simulated(data: StudyTables, rows: pd.DataFrame) -> str:
    """Return a sentence where an image or a label of these rows is simulated, or nothing."""
    simulated = set(data.simulated_images["image_id"])
    simulated |= set(data.consensus.loc[data.consensus["simulated"].fillna(value=False), "image_id"])
    return "" if simulated.isdisjoint(rows["image_id"]) else " Simulated images or labels are among them."


def _no_predictions() -> MissingBlock:
    return MissingBlock(what="No prediction on the test set yet.", command="qcbench predict STUDY")
