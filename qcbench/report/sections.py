"""What each section of the report says, from the catalogue to the consensus.

Each function takes the tables of a study and returns a Section. A table that is empty gives a
section that says what is missing and which command makes it.
"""

from __future__ import annotations

import pandas as pd

from qcbench import store
from qcbench.report import figures, results, tables
from qcbench.report.blocks import Block, FigureBlock, FoldedBlock, MissingBlock, Section, TableBlock, WarningBlock
from qcbench.report.inputs import StudyTables
from qcbench.report.pictures import Picture, choose_examples, read_picture
from qcbench.report.statistics import gadolinium_by_tier
from qcbench.study import Study

EXAMPLES_PER_CLASS = 3


def workflow(study: Study, data: StudyTables) -> Section:
    """Return the section on how many images reach each step."""
    if data.images.empty:
        return Section(anchor="workflow", title="Workflow", blocks=(_no_images(),))
    steps = tables.workflow(
        data.images,
        data.preprocessed,
        data.labels,
        data.consensus,
        data.open_reviews,
        data.splits,
        raters=study.consensus_raters,
        drawn=data.sample["image_id"],
    )
    classes = tables.class_of(data.consensus).value_counts()
    return Section(
        anchor="workflow",
        title="Workflow",
        paragraphs=(
            "Each image of the catalogue is unreadable, excluded, failed, waiting or preprocessed. "
            f"The consensus raters are {', '.join(study.consensus_raters)}.",
        ),
        blocks=(
            FigureBlock(
                name="workflow",
                caption="From the images found to training and test set (Figure 2). Grey boxes are images that stop or "
                "wait there.",
                alt="; ".join(f"{step.Step}: {step.Images}" for step in steps.itertuples()),
                figure=figures.flow(steps, tables.left_out(data.images), classes.to_dict()),
            ),
            TableBlock(name="workflow", caption="Images and participants at each step.", frame=steps),
        ),
    )


def images(study: Study, data: StudyTables) -> Section:
    """Return the section on scanners, age and sex (Table 1) and on what is left out."""
    if data.images.empty:
        return Section(anchor="images", title="Images", blocks=(_no_images(),))
    usable = tables.usable(data.images)
    blocks: list[Block] = [
        TableBlock(
            name="images",
            caption="Images by manufacturer, model and field strength (Table 1). Age and sex are counted per image, "
            "not per participant; sd with ddof = 1. Excluded and unreadable images are not in it.",
            frame=tables.demographics(usable),
            formats={"Field strength, T": "g"},
            total_row=True,
        )
    ]
    labelled = usable[usable["image_id"].isin(data.consensus["image_id"])]
    if 0 < len(labelled) < len(usable):
        blocks.append(
            TableBlock(
                name="images-with-consensus",
                caption="The same for the images with a consensus, as the paper counts them in its Table 1.",
                frame=tables.demographics(labelled),
                formats={"Field strength, T": "g"},
                total_row=True,
            )
        )
    reasons = tables.left_out(data.images)
    if len(reasons):
        blocks.append(TableBlock(name="left-out", caption="Why images are left out.", frame=reasons))
    return Section(anchor="images", title="Images", blocks=tuple(blocks))


def preprocessing(study: Study, data: StudyTables) -> Section:
    """Return the section on preprocessing: presets, failures, the lowest alignments in pictures."""
    title = "Preprocessing"
    if data.preprocessed.empty:
        missing = MissingBlock(what="No image is preprocessed yet.", command="qcbench preprocess STUDY")
        return Section(anchor="preprocessing", title=title, blocks=(missing,))
    blocks: list[Block] = [
        TableBlock(
            name="preprocessing",
            caption="Images preprocessed, by preset and template. Alignment with it: 0 to 1, higher is better.",
            frame=tables.preprocessing_summary(data.preprocessed),
            formats={"Alignment: lowest": ".3f", "median": ".3f", "highest": ".3f", "Seconds an image: median": ".1f"},
        )
    ]
    failures = tables.preprocessing_failures(data.preprocessed)
    paragraphs = () if len(failures) else ("No image failed.",)
    if len(failures):
        blocks.append(
            TableBlock(
                name="preprocessing-failure-reasons",
                caption="Why preprocessing failed. The part of each reason before its first colon.",
                frame=tables.failure_reasons(data.preprocessed),
            )
        )
        whole = TableBlock(name="preprocessing-failures", caption="Images whose preprocessing failed.", frame=failures)
        blocks.append(FoldedBlock(words=f"Images whose preprocessing failed: {len(failures)}", blocks=(whole,)))
    worst = tables.lowest_alignments(data.preprocessed)
    if len(worst):
        blocks.append(_lowest_alignments(study, worst))
    return Section(anchor="preprocessing", title=title, paragraphs=paragraphs, blocks=tuple(blocks))


def _lowest_alignments(study: Study, worst: pd.DataFrame) -> FigureBlock:
    pictures = [
        read_picture(study, row, caption=f"{row['image_id']}\nalignment {row['alignment']:.3f}")
        for row in worst.to_dict("records")
    ]
    return FigureBlock(
        name="lowest-alignments",
        caption="The images with the lowest alignment: check here first for heads that lie askew.",
        alt=_described(pictures),
        figure=figures.contact_sheet({"Lowest alignments": pictures}),
        photographic=True,
        unreadable=_unreadable(pictures),
    )


def labels(study: Study, data: StudyTables) -> Section:
    """Return the section on what each rater noted, with the comments."""
    title = "Labels"
    if data.labels.empty:
        missing = MissingBlock(what="Nobody has labelled yet.", command="qcbench label STUDY --rater NAME")
        return Section(anchor="labels", title=title, blocks=(missing,))
    blocks: list[Block] = [
        TableBlock(
            name="labels",
            caption="Current labels of each rater: images per value. Gadolinium and grades are noted only for images "
            "that are not rejected; the tier follows from the grades.",
            frame=tables.labels_per_rater(data.labels),
        )
    ]
    comments = tables.comments(data.labels)
    if len(comments):
        table = TableBlock(name="comments", caption="Comments, in the raters' own words.", frame=comments)
        blocks.append(FoldedBlock(words=f"Comments: {len(comments)}", blocks=(table,)))
    silent = sorted(set(study.raters) - set(data.labels["rater"]))
    paragraphs = ("Raters who still label should not see this page: it shows what others noted.",)
    if silent:
        paragraphs += (f"Have labelled nothing yet: {', '.join(silent)}.",)
    return Section(anchor="labels", title=title, paragraphs=paragraphs, blocks=tuple(blocks))


def agreement(study: Study, data: StudyTables) -> Section:
    """Return the section on agreement between raters (Table 3)."""
    title = "Agreement between raters"
    if data.agreement.empty:
        missing = MissingBlock(what="Agreement is not computed yet.", command="qcbench agreement STUDY")
        return Section(anchor="agreement", title=title, blocks=(missing,))
    table = TableBlock(
        name="agreement",
        caption="Agreement per characteristic (Table 3): value [95% interval]. Kappa and alpha are 1 when raters "
        "always agree and 0 when they agree no more than by chance: higher is better. A rater named twice was shown "
        "the same images again, unannounced.",
        frame=tables.agreement_table(data.agreement),
    )
    return Section(anchor="agreement", title=title, blocks=(table,))


def consensus(study: Study, data: StudyTables) -> Section:
    """Return the section on the consensus: classes, gadolinium, waiting joint reviews, rings."""
    title = "Consensus"
    waiting = _waiting(data)
    if data.consensus.empty:
        missing = MissingBlock(what="There is no consensus yet.", command="qcbench consensus STUDY")
        return Section(anchor="consensus", title=title, blocks=(missing, *waiting))
    counts = results.gadolinium_counts(data.consensus)
    n_rejects = int(data.consensus["straight_reject"].fillna(value=False).sum())
    n_stale = len(store.stale_consensus(study))
    stale = (
        WarningBlock(
            text=f"Images whose consensus is stale, because a rater has since revised a label: {n_stale}. "
            "Run: qcbench consensus STUDY"
        ),
    )
    by_review = int((data.consensus["decided_by"] == "review").sum())
    return Section(
        anchor="consensus",
        title=title,
        paragraphs=(
            f"{len(data.consensus)} images have a consensus, {by_review} of them by joint review. "
            "Straight rejects (SR) have no gadolinium, grades or tier.",
        ),
        blocks=(*(stale if n_stale else ()), *_class_blocks(data, counts, n_rejects), *waiting),
    )


def _class_blocks(data: StudyTables, counts: dict, n_rejects: int) -> tuple[Block, ...]:
    tests = pd.DataFrame(
        [
            (test.comparison, test.statistic, test.degrees_of_freedom, test.p, test.n, test.reason)
            for test in gadolinium_by_tier(counts)
        ],
        columns=["Tiers compared", "Chi-squared", "Degrees of freedom", "p", "Images", "Caution"],
    ).astype({"Chi-squared": "float64", "Degrees of freedom": "Int64", "p": "float64"})
    shares = [f"{100 * n / (n + m):.0f}% of {tier}" for tier, (n, m) in counts.items()]
    return (
        FigureBlock(
            name="classes",
            caption="Images by class (inner ring), gadolinium, Gd (second ring) and the grades of contrast, motion "
            "and noise (outer rings) (Figure 4).",
            alt=f"straight rejects: {n_rejects}; "
            + "; ".join(f"{tier}: {n} with gadolinium, {m} without" for tier, (n, m) in counts.items()),
            figure=figures.nested_rings(n_rejects, results.class_branches(data.consensus)),
        ),
        TableBlock(
            name="classes",
            caption="Images per class, gadolinium and grade (Table S1).",
            frame=results.class_counts(data.consensus),
            formats={"% of all": ".1f"},
            total_row=True,
        ),
        TableBlock(
            name="gadolinium-by-tier",
            caption=f"Does the tier depend on gadolinium? With gadolinium: {', '.join(shares) or 'no graded image'}. "
            "Pearson's chi-squared test, with Yates' correction for two tiers; p is not corrected for the number of "
            "tests and takes images as independent, although some are of the same participant.",
            frame=tests,
            formats={"Chi-squared": ".3f", "p": ".3g"},
        ),
    )


def _waiting(data: StudyTables) -> tuple[Block, ...]:
    frame = results.waiting_reviews(data.open_reviews)
    if frame.empty:
        return ()
    caption = "Images that wait for a joint review, because raters disagree on straight reject."
    return (TableBlock(name="waiting-reviews", caption=caption, frame=frame),)


def examples(study: Study, data: StudyTables) -> Section:
    """Return the section with example screenshots of each class (Figure 1)."""
    title = "Examples of each class"
    if data.consensus.empty:
        missing = MissingBlock(what="There is no consensus yet.", command="qcbench consensus STUDY")
        return Section(anchor="examples", title=title, blocks=(missing,))
    shown = data.consensus.assign(label=tables.class_of(data.consensus))
    shown = shown.merge(data.images[["image_id", "participant_id"]], on="image_id", how="left")
    shown = shown.merge(data.preprocessed[["image_id", "screenshot_path"]], on="image_id", how="left")
    groups = {
        name: [
            read_picture(study, row)
            for row in choose_examples(shown[shown["label"] == name], n=EXAMPLES_PER_CLASS).to_dict("records")
        ]
        for name in tables.CLASSES
    }
    empty = [name for name, pictures in groups.items() if not pictures]
    paragraphs = (f"No image is in: {', '.join(empty)}.",) if empty else ()
    block = FigureBlock(
        name="examples",
        caption="Screenshots per class (Figure 1), chosen by a hash of their names, not by their looks: at most "
        f"{EXAMPLES_PER_CLASS} a class, of different participants where there are as many.",
        alt="; ".join(f"{name}: {_described(pictures)}" for name, pictures in groups.items() if pictures),
        figure=figures.contact_sheet(groups),
        photographic=True,
        unreadable=_unreadable([picture for pictures in groups.values() for picture in pictures]),
    )
    return Section(anchor="examples", title=title, paragraphs=paragraphs, blocks=(block,))


def _unreadable(pictures: list[Picture]) -> dict[str, str]:
    return {picture.image_id: picture.error for picture in pictures if picture.error}


def _described(pictures: list[Picture]) -> str:
    return ", ".join(
        f"{picture.image_id} ({picture.error})" if picture.error else picture.image_id for picture in pictures
    )


def _no_images() -> MissingBlock:
    return MissingBlock(what="The catalogue is empty.", command="qcbench ingest STUDY SOURCE")
