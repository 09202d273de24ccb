import itertools

import pandas as pd

from qcbench.report import figures, tables
from qcbench.report.inputs import read_tables

CLASSES = {"SR": 1, "tier 1": 2, "tier 2": 1, "tier 3": 2}


def texts(study, **changed):
    data = read_tables(study)
    steps = tables.workflow(
        data.images,
        data.preprocessed,
        data.labels,
        data.consensus,
        data.open_reviews,
        changed.get("splits", data.splits),
        raters=["alice", "bob"],
    )
    (axes,) = figures.flow(steps, tables.left_out(data.images), CLASSES).axes
    return [text.get_text() for text in axes.texts if text.get_text()]


def test_each_box_has_its_count_and_what_leaves_stands_beside_it(filled_once):
    words = texts(filled_once)
    boxes = dict(itertools.pairwise(words))
    assert boxes["Images found"] == "12 images, 11 participants"
    assert boxes["Can be used"] == "10 images"
    assert boxes["Preprocessed"] == "8 images, 7 participants"
    assert boxes["Labelled by all raters"] == "7 images, 6 participants"
    assert boxes["With a consensus"] == "6 images, 5 participants"
    assert boxes["Tier 3"] == "2 images (33%)"
    assert boxes["Test set, kept apart"] == "2 images, 2 participants"
    assert {"1 excluded: fewer than 40 slices", "1 preprocessing failed", "1 waiting for labels"} <= set(words)
    assert "1 waiting for a joint review" in words


def test_what_was_not_done_yet_says_so(filled_once):
    words = texts(filled_once, splits=read_tables(filled_once).splits.iloc[:0])
    assert words[words.index("Test set, kept apart") + 1] == "none yet"


def test_the_reasons_beyond_the_first_four_are_counted_together(filled_once):
    data = read_tables(filled_once)
    steps = tables.workflow(
        data.images, data.preprocessed, data.labels, data.consensus, data.open_reviews, data.splits, raters=["alice"]
    )
    reasons = pd.DataFrame({"Reason": list("abcdef"), "Images": [9, 8, 7, 6, 2, 1]})
    words = [text.get_text() for text in figures.flow(steps, reasons, {}).axes[0].texts]
    assert "3 other reasons (2)" in words
    assert "2 e" not in words
