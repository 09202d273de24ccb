"""What each section of the report says of the raters one by one, and of the methods in words; see `sections`."""

from __future__ import annotations

from qcbench.report import figures, methods, raters
from qcbench.report.blocks import FigureBlock, FoldedBlock, MissingBlock, Section, TableBlock, TextBlock, file_name
from qcbench.report.inputs import StudyTables
from qcbench.schema import GRADED
from qcbench.study import Study


def each_rater(study: Study, data: StudyTables) -> Section:
    """Return the section on how each rater worked, with a fold of their own for each."""
    title = "Each rater"
    if data.labels.empty:
        missing = MissingBlock(what="Nobody has labelled yet.", command="qcbench label STUDY --rater NAME")
        return Section(anchor="raters", title=title, blocks=(missing,))
    shares = raters.grade_shares(data.labels)
    return Section(
        anchor="raters",
        title=title,
        paragraphs=("For the coordinator: who is fast, strict or tired. It is no measure of a person's worth.",),
        blocks=(
            TableBlock(
                name="raters",
                caption="How each rater worked. Seconds run from the image on the screen to its label. Own repeats are "
                "images shown twice, unannounced.",
                frame=raters.rater_table(data.labels, data.agreement),
                formats={"Straight reject, %": ".1f", "Kappa with oneself, straight reject": ".2f"},
            ),
            FigureBlock(
                name="rater-grades",
                caption="What each rater noted, in percent of the images on which they noted it. Raters of the same "
                "images differ by how they grade.",
                alt="; ".join(
                    f"{row.rater}, {row.characteristic} {row.value}: {100 * row.share:.0f}%"
                    for row in shares.itertuples()
                ),
                figure=figures.rater_grades(shares),
            ),
            *(_page(data, rater) for rater in sorted(data.labels["rater"].unique())),
        ),
    )


def _page(data: StudyTables, rater: str) -> FoldedBlock:
    repeats = raters.repeats_table(data.agreement, rater)
    pace = TableBlock(
        name=f"rater-{file_name(rater)}-pace",
        caption=f"{rater}: successive hundreds of images. A rater who tires or drifts shows here first.",
        frame=raters.pace(data.labels, rater),
        formats={
            "Seconds an image, median": ".1f",
            "Straight reject, %": ".1f",
            **{f"{name}, mean grade": ".2f" for name in GRADED},
        },
        notes=() if len(repeats) else (f"Nothing is known yet of how {rater} agrees with their own repeats.",),
    )
    if repeats.empty:
        return FoldedBlock(words=rater, blocks=(pace,))
    table = TableBlock(
        name=f"rater-{file_name(rater)}-repeats",
        caption=f"{rater}: agreement with oneself on images shown twice. With the 95% interval.",
        frame=repeats,
        formats=dict.fromkeys(("Value", "Low", "High"), ".2f"),
    )
    return FoldedBlock(words=rater, blocks=(pace, table))


def in_words(study: Study, data: StudyTables) -> Section:
    """Return the section with a methods paragraph and a checklist, ready to be pasted."""
    return Section(
        anchor="methods",
        title="Methods in words, and a checklist",
        blocks=(
            TextBlock(
                name="methods",
                caption="Methods, ready to paste. Made from the tables; read it before you send it.",
                text=methods.paragraph(study, data),
            ),
            TableBlock(
                name="checklist",
                caption="What a paper on this study will be asked for. Authors: only they know it.",
                frame=methods.checklist(study, data),
            ),
        ),
    )
