"""What each section of the report says of things that go together; see `sections`."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from qcbench.report import associations, comparisons, figures, results
from qcbench.report.blocks import Block, FigureBlock, FoldedBlock, MissingBlock, Section, TableBlock, file_name
from qcbench.report.inputs import StudyTables
from qcbench.report.tables import class_of
from qcbench.schema import TASKS
from qcbench.study import Study

_P = {"p": ".3g", "p, corrected": ".3g", "Statistic": ".3f", "Effect": ".3f"}
_PERCENT = {
    "right in the group, %": ".1f",
    "in the others, %": ".1f",
    "smallest difference, %": ".1f",
    "p": ".3g",
    "p, corrected": ".3g",
}


def protocol(study: Study, data: StudyTables) -> Section:
    """Return the section on what raters noted and how the tier follows (Table 2)."""
    found = study.protocol
    criteria = pd.DataFrame(
        [
            (
                criterion.label,
                "; ".join(f"{choice.value}: {choice.label}" for choice in criterion.choices),
                criterion.help,
            )
            for criterion in found.criteria
        ],
        columns=["Criterion", "Values", "Help"],
    )
    blocks: list[Block] = [TableBlock(name="criteria", caption="What raters note of each image.", frame=criteria)]
    rules = associations.tier_rules(found)
    if len(rules):
        caption = "How the tier follows from the grades (Table 2); it is computed, never typed in."
        blocks.append(TableBlock(name="tier-rules", caption=caption, frame=rules))
    text = f"{found.title} ({found.name}, version {found.version})."
    return Section(anchor="protocol", title="Protocol", paragraphs=(text,), blocks=tuple(blocks))


def people(study: Study, data: StudyTables) -> Section:
    """Return the section on scanners and people of each class (Table 4)."""
    title = "Classes, scanners and people"
    if data.consensus.empty or data.images.empty:
        return Section(anchor="people", title=title, blocks=(_no_consensus(),))
    return Section(
        anchor="people",
        title=title,
        blocks=(
            TableBlock(
                name="people",
                caption="Images by manufacturer, field strength, sex and age of each class (Table 4), per image.",
                frame=associations.people_by_class(data.images, data.consensus),
            ),
            TableBlock(
                name="people-tests",
                caption="Is a class other than the rest? Chi-squared (effect: Cramér's V) and Welch's t-test for age "
                "(effect: difference in years), each class against all other images where the attribute is stated; p "
                "is Bonferroni-corrected over the rows. Images are taken as independent, although some are of the "
                "same participant.",
                frame=associations.people_tests(data.images, data.consensus),
                formats=_P,
            ),
        ),
    )


def grades(study: Study, data: StudyTables) -> Section:
    """Return the section on grades that go together, and on what DICOM says of gadolinium."""
    title = "What goes together"
    if data.consensus.empty:
        return Section(anchor="together", title=title, blocks=(_no_consensus(),))
    blocks: list[Block] = []
    if (class_of(data.consensus) == "tier 3").any():
        blocks.append(
            TableBlock(
                name="tier-3",
                caption="Why images are of tier 3.",
                frame=associations.tier3_reasons(data.consensus),
                formats={"% of tier 3": ".0f"},
            )
        )
    blocks.append(
        TableBlock(
            name="grades-together",
            caption="Severe grades that go together: of the images with one, how many have the other.",
            frame=associations.grades_together(data.consensus),
            formats={"%": ".0f"},
        )
    )
    columns = {
        "dicom_gadolinium": "gado, inj or iv anywhere in a description (the paper's rule)",
        "described_injection": "words of an injection, and no word against it",
    }
    for column, rule in columns.items():
        if column in data.images and data.images[column].notna().any():
            blocks.append(
                TableBlock(
                    name=column.replace("_", "-"),
                    caption=f"What DICOM says of gadolinium against what raters saw. Rule: {rule}.",
                    frame=associations.dicom_words(data.images, data.consensus, column=column),
                    formats={"Value": ".4g"},
                )
            )
    return Section(anchor="together", title=title, blocks=tuple(blocks))


def architectures(study: Study, data: StudyTables) -> Section:
    """Return the section on the layers of the networks that were fitted (Table S2, Figure 3)."""
    title = "Networks"
    if not data.architectures:
        missing = MissingBlock(what="No network is fitted yet.", command="qcbench train STUDY")
        return Section(anchor="networks", title=title, blocks=(missing,))
    blocks: list[Block] = []
    for name, found in data.architectures.items():
        frame = layers(found)
        size = " x ".join(map(str, found["shape"]))
        blocks.append(
            FigureBlock(
                name=f"network-{file_name(name)}",
                caption=f"{found['name']} for volumes of {size} voxels (Figure 3). A slab is as high as its grid "
                "(square root) and as wide as its channels (logarithm); below it the operations and their parameters. "
                "Branches that run beside each other are in one slab, whose size is that of the last of them.",
                alt=f"{name}: {len(frame)} layers, {found['parameters']} parameters; the table below lists them",
                figure=figures.architecture(found),
            )
        )
        table = TableBlock(
            name=f"layers-{file_name(name)}",
            caption=f"Layers of {name} for volumes of {size} voxels (Table S2): "
            f"{found['parameters']:,} parameters. What leaves each layer, channels first.",
            frame=frame,
            longest=80,
        )
        blocks.append(FoldedBlock(words=f"Layers of {name}: {len(frame)} (Table S2)", blocks=(table,)))
    return Section(anchor="networks", title=title, blocks=tuple(blocks))


def layers(document: Mapping[str, object]) -> pd.DataFrame:
    """Return Table S2: the layers of an architecture.json, what leaves each, and their parameters."""
    rows = [
        (row["layer"], row["kind"], " x ".join(map(str, row["output_shape"])), row["parameters"])
        for row in document["layers"]
    ]
    return pd.DataFrame(rows, columns=["Layer", "Kind", "Output", "Parameters"])


def compared(study: Study, data: StudyTables) -> Section:
    """Return the section on networks beside each other, and on images on which they err more."""
    title = "Do the networks differ, and for whom?"
    test_ids = set(data.splits.loc[data.splits["set"] == "test", "image_id"])
    blocks: list[Block] = []
    for task in results.tasks_of(data.predictions):
        mine = data.predictions[data.predictions["task"] == task]
        if task not in TASKS or data.consensus.empty or not test_ids:
            continue
        truth = comparisons.labels_of_task(data.consensus, task)
        pairs = comparisons.architecture_tests(mine, truth, test_ids)
        if len(pairs):
            blocks.append(
                TableBlock(
                    name=f"mcnemar-{task}",
                    caption=f"Task {task}: networks beside each other on the same test images, fold against fold. "
                    "McNemar's exact test; p is Bonferroni-corrected over the rows.",
                    frame=pairs,
                    formats={"p": ".3g", "p, corrected": ".3g"},
                )
            )
        groups = comparisons.subgroup_tests(mine, truth, test_ids, data.images)
        if len(groups):
            blocks.append(
                TableBlock(
                    name=f"subgroups-{task}",
                    caption=f"Task {task}: are some images harder? Share of a network's folds that are right, group "
                    "against all others; Mann-Whitney, Bonferroni-corrected. The smallest difference is what groups "
                    "of these sizes would have shown in four studies of five.",
                    frame=groups,
                    formats=_PERCENT,
                )
            )
    if not blocks:
        missing = MissingBlock(what="No prediction on the test set to compare.", command="qcbench predict STUDY")
        return Section(anchor="compared", title=title, blocks=(missing,))
    return Section(anchor="compared", title=title, blocks=tuple(blocks))


def paper(study: Study, data: StudyTables) -> Section:
    """Return the section that puts the study beside the published one."""
    table = TableBlock(
        name="beside-the-paper",
        caption="Bottani et al. 2022 and this study, in percent (kappa and MCC times 100). What this study lacks is "
        "empty. Other images, other raters: a difference is no error of either.",
        frame=comparisons.beside_the_paper(data.agreement, data.consensus, data.metrics),
        formats=dict.fromkeys(("Published", "This study", "Difference"), ".1f"),
        longest=100,
    )
    return Section(anchor="paper", title="Beside the paper", blocks=(table,))


def _no_consensus() -> MissingBlock:
    return MissingBlock(what="There is no consensus yet.", command="qcbench consensus STUDY")
