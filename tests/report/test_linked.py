import numpy as np
import pandas as pd
import pytest

from qcbench import store
from qcbench.report import safe
from qcbench.report.inputs import read_tables
from qcbench.report.linked import hidden_tables
from qcbench.report.suppression import HIDDEN, Counts, Sum, hide_small, hide_together
from qcbench.study import Study
from tests.report.conftest import label_event

GRADES = {"gadolinium": False, "contrast": 0, "noise": 0}


def two_scanners(folder, *, n_without=3):
    """300 images of 300 people, 200 from Siemens and 100 from GE; some Siemens images have no consensus."""
    study = Study.create(folder, raters=["alice", "bob"])
    numbers = range(300)
    images = [
        {
            "image_id": f"i{number:03d}",
            "participant_id": f"p{number:03d}",
            "source_path": f"{number}.nii",
            "manufacturer": "Siemens" if number < 200 else "GE",
            "model_name": "one",
            "field_strength_t": 3.0,
            "sex": "FM"[number % 2],
            "age_years": 40.0 + number % 30,
            "simulated": False,
        }
        for number in numbers
    ]
    store.write(study, "images", images)
    done = [{"image_id": row["image_id"], "preprocessing_preset": "fast"} for row in images]
    store.write(study, "preprocessed", done)
    labelled = images[n_without:]
    consensus = [
        {
            "image_id": row["image_id"],
            "straight_reject": False,
            "motion": number % 3,
            **GRADES,
            "tier": number % 3 + 1,
            "decided_by": "raters",
            "label_event_ids": ["x"],
            "stale": False,
            "simulated": False,
        }
        for number, row in enumerate(labelled)
    ]
    store.write(study, "consensus", consensus)
    for rater in ("alice", "bob"):
        noted = (False, False, 0, 0, 0)
        events = [
            {**label_event(1, rater, noted), "event_id": f"{rater}{row['image_id']}", "image_id": row["image_id"]}
            for row in labelled
        ]
        log = store.SegmentLog(study.label_folder(rater) / "s", "label_events")
        log.extend({**event, "sequence": number} for number, event in enumerate(events))
    return study


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    study = two_scanners(tmp_path_factory.mktemp("linked") / "study")
    return hidden_tables(study, read_tables(study), 10)


def cell(frame, column, **where):
    for name, value in where.items():
        frame = frame[frame[name] == value]
    return frame[column].iloc[0]


def possible(value, low, high):
    return np.arange(low, high) if value == HIDDEN else np.array([value])


def test_two_tables_that_are_safe_alone_tell_three_people_when_one_is_taken_from_the_other():
    usable = pd.DataFrame({"Maker": ["Siemens", "GE", "all"], "Images": [200, 100, 300]})
    labelled = pd.DataFrame({"Maker": ["Siemens", "GE", "all"], "Images": [197, 100, 297]})
    alone = [hide_small(frame, ["Images"]) for frame in (usable, labelled)]
    assert alone[0]["Images"].iloc[0] - alone[1]["Images"].iloc[0] == 3
    sums = (Sum((2, "Images"), ((0, "Images"), (1, "Images"))),)
    tables = {
        "usable": Counts(frame=usable, columns=["Images"], sums=sums),
        "labelled": Counts(frame=labelled, columns=["Images"], sums=sums),
    }
    links = [Sum(("usable", row, "Images"), (("labelled", row, "Images"), ("lost", row))) for row in (0, 2)]
    links.append(Sum(("usable", 1, "Images"), (("labelled", 1, "Images"),)))
    together = hide_together(tables, links, unseen={("lost", 0): 3, ("lost", 2): 3})
    assert spread_of_the_lost(together["usable"], together["labelled"]) >= 8


def spread_of_the_lost(usable, labelled):
    """By how much the Siemens images without consensus can differ, found by trying all numbers that fit."""
    fits = []
    for maker, low, high in (("Siemens", 180, 220), ("GE", 80, 120)):
        first = possible(cell(usable, "Images", Maker=maker), low, high)
        second = possible(cell(labelled, "Images", Maker=maker), low, high)
        fits.append([(a, b) for a in first for b in second if a >= b])
    totals = [cell(frame, "Images", Maker="all") for frame in (usable, labelled)]
    lost = {
        a - b for a, b in fits[0] for c, d in fits[1] if totals[0] in (HIDDEN, a + c) and totals[1] in (HIDDEN, b + d)
    }
    return max(lost) - min(lost)


def test_the_images_of_a_manufacturer_without_consensus_cannot_be_had_from_two_tables(shown):
    images, people = shown["images"], shown["people"]
    makers = people[people["Attribute"] == "Manufacturer"]
    labelled = pd.DataFrame({"Maker": makers["Value"], "Images": makers["all"]})
    labelled.loc[len(people)] = ["all", cell(people, "all", Attribute="Images")]
    usable = pd.DataFrame({"Maker": images["Manufacturer"], "Images": images["Images"]})
    assert spread_of_the_lost(usable, labelled) >= 8


def test_people_who_are_lost_between_two_steps_cannot_be_counted(shown):
    steps = shown["workflow"].set_index("Step")
    assert steps.loc["waiting for labels", "Images"] == HIDDEN
    for column in ("Images", "Participants"):
        first, last = steps.loc[["preprocessed", "with a consensus"], column]
        assert HIDDEN in (first, last), column


def test_a_count_that_is_hidden_in_one_table_is_hidden_in_all(shown):
    consensus = {
        "workflow": cell(shown["workflow"], "Images", Step="with a consensus"),
        "by all raters": cell(shown["workflow"], "Images", Step="labelled by all consensus raters"),
        "classes": cell(shown["classes"], "Images", Class="all"),
        "people": cell(shown["people"], "all", Attribute="Images"),
    }
    assert len(set(map(str, consensus.values()))) == 1, consensus


def test_nothing_is_hidden_where_nothing_small_can_be_computed(tmp_path):
    study = two_scanners(tmp_path / "study", n_without=0)
    for name, frame in hidden_tables(study, read_tables(study), 10).items():
        assert not (frame == HIDDEN).any().any(), name


def test_grades_that_few_images_do_not_share_are_hidden(filled):
    """Of 24 images with severe contrast 21 have severe motion too: 24 minus 21 would tell the other three."""
    study = two_scanners(filled.folder / "other", n_without=0)
    rows = store.rows(study, "consensus")
    for number, row in enumerate(rows):
        row.update(motion=2 if number < 21 else 0, contrast=2 if number < 24 else 0)
        row["tier"] = 3 if number < 24 else 1
    store.write(study, "consensus", rows)
    together = hidden_tables(study, read_tables(study), 10)["grades-together"]
    row = together[(together["Of images with"] == "contrast 2") & (together["also have"] == "motion 2")].iloc[0]
    assert HIDDEN in (row["Images"], row["of"])


def test_a_sensitivity_on_few_images_is_not_in_it(filled):
    """The test set has one image with gadolinium and tier 3 of each kind: its metrics would tell them."""
    rows = [{**row, "n": 40, "task": "gadolinium"} for row in store.rows(filled, "metrics")]
    store.write(filled, "metrics", rows)
    data = read_tables(filled)
    assert not [name for name in safe.made(filled, data) if "metrics" in name]


def test_new_sections_do_not_reach_the_report_that_may_leave(filled):
    files = safe.made(filled, read_tables(filled))
    assert not [name for name in files if not name.startswith("tables/") and name != "report.html"]
    assert not [name for name in files if not name.endswith((".csv", ".html"))]
    for absent in ("raters", "rater-", "comments", "wrong-decisions", "confusion", "hospitals", "left-", "provenance"):
        assert not [name for name in files if name.startswith(f"tables/{absent}")], absent
    page = files["report.html"].decode()
    assert "<details" not in page
    assert "Made from" not in page
