import csv
import json
import os
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from qcbench import store
from qcbench.annotate import agreement as room
from qcbench.annotate import consensus, exchange, reliability
from qcbench.annotate.events import label_event
from qcbench.study import Study

YES_NO, GRADED = room.Characteristic("reject", 2), room.Characteristic("motion", 3)
PAIRS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=4, max_size=40)


@given(PAIRS)
def test_kappa_of_a_table_is_kappa_of_its_pairs(pairs):
    table = np.zeros((3, 3), dtype=int)
    for first, second in pairs:
        table[first, second] += 1
    ours = reliability.weighted_kappa(table, "quadratic")
    first, second = zip(*pairs, strict=True)
    if len(set(first + second)) > 1:
        theirs = cohen_kappa_score(first, second, labels=[0, 1, 2], weights="quadratic")
        assert ours == pytest.approx(theirs, nan_ok=True)


def test_full_agreement_is_1_and_its_interval_is_1():
    kappa = next(row for row in room.compare([0, 1, 0, 1], [0, 1, 0, 1], YES_NO) if row["statistic"] == "kappa")
    assert (kappa["value"], kappa["low"], kappa["high"], kappa["n"]) == (1.0, 1.0, 1.0, 4)


def test_one_grade_throughout_leaves_kappa_null_with_the_reason():
    rows = {row["statistic"]: row for row in room.compare([0, 0], [0, 0], GRADED)}
    assert rows["kappa_linear"]["value"] is None
    assert "same value" in rows["kappa_linear"]["reason"]
    assert rows["percent_agreement"]["value"] == 100


def test_the_interval_holds_the_value_and_narrows_with_more_images():
    few = room.compare([0, 1, 2, 1, 0, 2], [0, 1, 1, 1, 0, 2], GRADED)[1]
    many = room.compare([0, 1, 2, 1, 0, 2] * 20, [0, 1, 1, 1, 0, 2] * 20, GRADED)[1]
    assert few["low"] < few["value"] < few["high"]
    assert many["high"] - many["low"] < few["high"] - few["low"]


def test_a_study_without_labels_has_an_empty_table_and_a_note(study):
    summary = room.agreement(study)
    assert store.rows(study, "agreement") == []
    assert "two raters" in summary.notes[0]


def label(study, rater, image_id, grades, purpose="label"):
    whole = study.protocol.check(grades)
    store.SegmentLog(study.label_folder(rater) / "session", "label_events").append(
        label_event(
            study.protocol,
            whole,
            rater=rater,
            source="rater",
            session="session",
            sequence=0,
            event_id=f"{rater}-{image_id}-{purpose}",
            image_id=image_id,
            purpose=purpose,
        )
    )


def graded(motion, noise=0):
    return {"gadolinium": False, "motion": motion, "contrast": 0, "noise": noise}


def rows_of(study, characteristic, raters):
    found = store.rows(study, "agreement")
    return {
        row["statistic"]: row for row in found if (row["characteristic"], row["raters"]) == (characteristic, raters)
    }


def test_hidden_repeats_are_compared_with_the_first_showing(study):
    for number, (first, again) in enumerate([(0, 0), (1, 2), (2, 2), (0, 0)]):
        label(study, "alice", f"image-{number}", graded(first))
        label(study, "alice", f"image-{number}", graded(again), purpose="repeat")
    room.agreement(study)
    repeats = rows_of(study, "motion", "alice,alice")
    assert (repeats["percent_agreement"]["value"], repeats["percent_agreement"]["n"]) == (75, 4)
    assert repeats["percent_agreement"]["counts"] == "[[2, 0, 0], [0, 0, 1], [0, 0, 1]]"
    assert 0 < repeats["kappa_linear"]["value"] < 1
    assert rows_of(study, "motion", "alice,bob") == {}


def test_labels_from_three_slices_are_compared_with_those_from_the_whole_volume(study):
    for number, (slices, volume) in enumerate([(0, 0), (0, 1), (2, 2), (1, 2)]):
        label(study, "alice", f"image-{number}", graded(slices))
        label(study, "alice", f"image-{number}", graded(volume), purpose="volume")
    summary = room.agreement(study)
    found = rows_of(study, "motion", "alice,alice (volume)")
    assert (found["percent_agreement"]["value"], found["percent_agreement"]["n"]) == (50, 4)
    assert found["percent_agreement"]["counts"] == "[[1, 1, 0], [0, 0, 1], [0, 0, 1]]"
    assert rows_of(study, "motion", "alice,alice") == {}
    assert summary.facts == {}  # no two raters


def test_each_rater_is_measured_against_the_consensus(study):
    for number, (alice, bob) in enumerate([(0, 0), (1, 2), (2, 2), (0, 1)]):
        label(study, "alice", f"image-{number}", graded(alice))
        label(study, "bob", f"image-{number}", graded(bob))
    consensus.consensus(study)
    room.agreement(study)
    alice, bob = (rows_of(study, "motion", f"{rater},consensus")["balanced_accuracy"] for rater in ("alice", "bob"))
    assert (alice["value"], bob["value"]) == (50.0, 100.0)  # of grades 0, 1, 2 alice found 1/1, 0/1, 1/2
    assert alice["n"] == 4


def test_three_raters_together_have_krippendorff_s_alpha(tmp_path):
    study = Study.create(tmp_path / "study", raters=["a", "b", "c"])
    for rater, grades in {"a": [0, 1, 2, 0, 1], "b": [0, 1, 2, 0, 2], "c": [0, 1, 2, 0]}.items():
        for number, grade in enumerate(grades):
            label(study, rater, f"image-{number}", graded(grade))
    told = room.agreement(study).facts
    # Each pair has its own figure: a name that all three share would show the last of them.
    assert told["kappa_motion (a,c)"] == 1.0 > told["kappa_motion (a,b)"] > 0
    found = rows_of(study, "motion", "a,b,c")["krippendorff_alpha"]
    assert (found["n"], 0.8 < found["value"] < 1, found["low"] < found["value"]) == (5, True, True)
    assert "same value" in rows_of(study, "noise", "a,b,c")["krippendorff_alpha"]["reason"]


def test_alpha_is_that_of_the_published_example():
    """Krippendorff 2011, section C: four observers, twelve units, five categories, values missing."""
    observers = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
            [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
        ]
    )
    counts = np.array([[(unit == value).sum() for value in range(1, 6)] for unit in observers.T])
    assert reliability.alpha(counts, graded=False) == pytest.approx(0.743, abs=5e-4)
    assert reliability.alpha(counts, graded=True) == pytest.approx(0.815, abs=5e-4)


REAL = os.environ.get("QCBENCH_REAL_DATA")


@pytest.mark.skipif(not REAL, reason="QCBENCH_REAL_DATA is not set")
def test_the_published_agreement_of_four_raters_on_real_scans_is_reproduced(tmp_path):
    """Provins et al. 2025 rated 370 images of IXI, 80 of them twice: ICC(2,1) 0.44, intra-rater 0.61 to 0.75."""
    with (Path(REAL) / "mriqc" / "axonlab_ixi" / "S1_Data.tsv").open(newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    seen = set()
    for line in lines:
        line["image_id"] = f"sub-{line['subject']}_{'defaced' if line['defaced'] == '1' else 'whole'}"
        line["purpose"] = "repeat" if (line["rater_id"], line["image_id"]) in seen else "label"
        seen.add((line["rater_id"], line["image_id"]))
    with (tmp_path / "ratings.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, lines[0].keys())
        writer.writeheader()
        writer.writerows(lines)
    raters = sorted({line["rater_id"] for line in lines})
    study = Study.create(tmp_path / "study", raters=raters, protocol="mriqc")
    ids = {line["image_id"] for line in lines}
    rows = [{"image_id": name, "participant_id": name[:7], "source_path": "x", "simulated": False} for name in ids]
    store.write(study, "images", rows)
    columns = {"rater": "rater_id", "seconds": "time_sec", "comment": "comments"}
    assert exchange.import_labels(study, tmp_path / "ratings.csv", columns=columns).done == 1800
    room.agreement(study)
    together = rows_of(study, "rating", ",".join(raters))["icc"]
    assert (together["n"], round(together["value"], 2)) == (370, 0.43)  # 0.44 when repeats are averaged first
    assert together["low"] < 0.44 < together["high"]
    themselves = [rows_of(study, "rating", f"{rater},{rater}")["icc"] for rater in raters]
    assert [row["n"] for row in themselves] == [80] * 4
    assert [round(row["value"], 2) for row in themselves] == [0.61, 0.68, 0.75, 0.70]
    motion = rows_of(study, "artifacts:head-motion", ",".join(raters))["krippendorff_alpha"]
    assert 0.2 < motion["value"] < 0.5


def test_the_published_kappas_of_abide_are_reproduced():
    """The two raters of MRIQC's training set agree on 99 scans by 0.393 in three classes, by 0.526 on exclusion."""
    table = metadata.distribution("mriqc-learn").locate_file("mriqc_learn/datasets/abide.tsv")
    with open(table, newline="") as file:
        lines = [
            line for line in csv.DictReader(file, delimiter="\t") if "n/a" not in (line["rater_1"], line["rater_2"])
        ]
    first, second = ([round(float(line[f"rater_{n}"])) + 1 for line in lines] for n in (1, 2))
    rows = {row["statistic"]: row for row in room.compare(first, second, GRADED)}
    assert rows["kappa_linear"]["n"] == 99
    counts = np.array(json.loads(rows["kappa_linear"]["counts"]))
    assert round(float(reliability.weighted_kappa(counts)), 3) == 0.393
    [kappa] = [
        row
        for row in room.compare([grade == 0 for grade in first], [grade == 0 for grade in second], YES_NO)
        if row["statistic"] == "kappa"
    ]
    assert round(kappa["value"], 3) == 0.526
