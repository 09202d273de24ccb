import csv
import json
import os
from pathlib import Path

import pytest

from qcbench import store
from qcbench.annotate import exchange
from qcbench.annotate.export import export_labels
from qcbench.annotate.journal import Journal
from qcbench.errors import UsageError
from qcbench.study import Study

REAL = os.environ.get("QCBENCH_REAL_DATA")
#: What MRIQC 24's widget downloaded in a browser for these answers.
DOWNLOADED = (
    '{"dataset":"ds","subject":"sub-01_T1w.nii.gz","rating":"3.1","artifacts":["head-motion","inu"],'
    '"time_sec":20.032,"confidence":"3.6","comments":""}'
)


def make_study(tmp_path, image_ids, raters=("alice", "bob")):
    study = Study.create(tmp_path / "ds", raters=list(raters), protocol="mriqc")
    rows = [
        {"image_id": name, "participant_id": name[:6], "source_path": "x", "simulated": False, "file_md5": "a" * 32}
        for name in image_ids
    ]
    store.write(study, "images", rows)
    return study


def rate(study, rater, image_id, answers, **more):
    label = study.protocol.check(answers)
    Journal(study, rater).append(event_id=f"{rater}-{image_id}", slot=(image_id, "label"), label=label, **more)


def test_a_rating_is_written_byte_for_byte_as_the_widget_downloads_it(tmp_path):
    study = make_study(tmp_path, ["sub-01_T1w", "sub-02_bold"])
    answers = {"rating": 3.1, "artifacts": ["inu", "head-motion"], "confidence": 3.6}
    rate(study, "alice", "sub-01_T1w", answers, seconds=20.0321)
    rate(study, "bob", "sub-02_bold", {"rating": 2, "confidence": 4}, comment="é <b>", seconds=9.0)
    assert export_labels(study, tmp_path / "out", form="mriqc").done == 2
    assert (tmp_path / "out" / "alice" / "ds_sub-01_T1w.json").read_text() == DOWNLOADED
    other = (tmp_path / "out" / "bob" / "ds_sub-02_bold.json").read_text()
    assert '"rating":"2","artifacts":[],"time_sec":9,"confidence":"4","comments":"é <b>"}' in other
    twin = json.loads((tmp_path / "out" / "alice" / "ds_sub-01_T1w_qcbench.json").read_text())
    assert (twin["rating"], twin["class"], twin["md5sum"], twin["rater"]) == (3.1, "acceptable", "a" * 32, "alice")


def test_a_downloaded_rating_comes_back_as_it_was(tmp_path):
    study = make_study(tmp_path, ["sub-01_T1w"])
    (tmp_path / "rating.json").write_text(DOWNLOADED)
    assert exchange.import_labels(study, tmp_path / "rating.json", rater="bob").done == 1
    [label] = store.labels(study)
    assert json.loads(label["answers"]) == {"artifacts": ["head-motion", "inu"], "confidence": 3.6, "rating": 3.1}
    assert (label["rater"], label["seconds"], label["tier"]) == ("bob", 20.032, None)


def test_ratings_of_q_kay_and_of_older_widgets_are_read(tmp_path):
    study = make_study(tmp_path, ["sub-01_T1w", "sub-02_T1w", "sub-03_T1w"])
    ratings = [
        {
            "rater_id": "alice",
            "subject": "sub-01_T1w",
            "rating": 1.45,
            "artifacts": '["ghosts-other"]',
            "time_sec": 3.5,
            "confidence": 2.0,
        },
        {"rater_id": "bob", "name": "sub-02_T1w.html", "rating": "4", "artifacts": ["postprocessing"], "comments": "x"},
        {"rating": "3.1", "md5sum": "unspecified", "name": "", "comment": "[]"},
        {"rater_id": "bob", "subject": "sub-03_T1w", "rating": "banana"},
        {"rater_id": "bob", "subject": "sub-03_T1w", "rating": 2, "artifacts": ["blur"]},
        7,
    ]
    (tmp_path / "qkay.json").write_text(json.dumps(ratings))
    summary = exchange.import_labels(study, tmp_path / "qkay.json")
    assert (summary.done, sorted(summary.failed)) == (2, ["line 3", "line 4", "line 5", "line 6"])
    assert "names no image" in summary.failed["line 3"]
    assert "rating must be a number, got 'banana'" in summary.failed["line 4"]
    answers = {label["image_id"]: json.loads(label["answers"]) for label in store.labels(study)}
    assert answers["sub-01_T1w"]["artifacts"] == ["ghost-other"]
    assert answers["sub-02_T1w"] == {"artifacts": ["processing"], "confidence": None, "rating": 4.0}


def test_a_rating_without_its_rating_is_refused(tmp_path):
    study = make_study(tmp_path, ["sub-01_T1w"])
    (tmp_path / "r.json").write_text('{"subject": "sub-01_T1w", "rating": ""}')
    assert "rating is not set" in exchange.import_labels(study, tmp_path / "r.json", rater="bob").failed["line 1"]


def test_a_file_that_is_no_json_is_refused(tmp_path):
    study = make_study(tmp_path, ["sub-01_T1w"])
    (tmp_path / "r.json").write_text("{")
    with pytest.raises(UsageError, match=r"r.json cannot be read as JSON"):
        exchange.import_labels(study, tmp_path / "r.json", rater="bob")


def test_a_study_of_grades_has_no_ratings_to_write(study, tmp_path):
    with pytest.raises(
        UsageError, match="only a study with the protocol mriqc has ratings; this one has t1w-warehouse"
    ):
        export_labels(study, tmp_path / "out", form="mriqc")


@pytest.mark.skipif(not REAL, reason="QCBENCH_REAL_DATA is not set")
def test_1800_real_ratings_are_read(tmp_path):
    table = Path(REAL) / "mriqc" / "axonlab_ixi" / "S1_Data.tsv"
    with table.open(newline="") as file:
        real = list(csv.DictReader(file, delimiter="\t"))
    raters = sorted({row["rater_id"] for row in real})
    study = make_study(tmp_path, sorted({row["randomized_id"] for row in real}), raters)
    columns = {"image_id": "randomized_id", "rater": "rater_id", "seconds": "time_sec", "comment": "comments"}
    summary = exchange.import_labels(study, table, columns=columns)
    assert (summary.done, summary.failed) == (1800, {})
    labels = store.labels(study)
    assert len(labels) == len({(row["randomized_id"], row["rater_id"]) for row in real})
    ours = sorted(json.loads(label["answers"])["rating"] for label in labels)
    assert ours == sorted(float(row["rating"]) for row in real)


def test_artifacts_that_are_no_list_are_told_and_the_other_ratings_are_kept(tmp_path):
    study = make_study(tmp_path, [f"sub-0{number}_T1w" for number in range(1, 6)])
    noted = [None, "", "[]", [["inu"]], {"inu": 1}]
    ratings = [
        {"rating": "3", "subject": f"sub-0{number}_T1w.nii.gz", "artifacts": each, "confidence": "3"}
        for number, each in enumerate(noted, start=1)
    ]
    (tmp_path / "ratings.json").write_text(json.dumps(ratings))
    summary = exchange.import_labels(study, tmp_path / "ratings.json", rater="bob")
    assert (summary.done, list(summary.failed)) == (3, ["line 4", "line 5"])
    assert summary.failed["line 5"] == "artifacts must be a list of names, got {'inu': 1}"
