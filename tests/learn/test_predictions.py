import pytest

from qcbench import store
from qcbench.learn.predictions import of_runs


@pytest.fixture
def predicted(study):
    row = {"task": "sr", "architecture": "lean3d", "fold": 0, "preprocessing_preset": "fast"}
    rows = [
        {**row, "run_id": run_id, "image_id": image_id, "probability": probability}
        for run_id in ("one", "two")
        for image_id, probability in (("a", 0.25), ("b", None), ("warehouse", 0.5))
    ]
    store.write(study, "predictions", rows)
    return study


def test_only_the_wanted_runs_and_images_are_read(predicted):
    assert list(of_runs(predicted, ["two"], ["run_id", "image_id", "probability"], image_ids={"b", "a"})) == [
        ("two", "a", 0.25),
        ("two", "b", None),
    ]
    assert len(list(of_runs(predicted, ["one", "two"], ["image_id"]))) == 6
    assert list(of_runs(predicted, [], ["image_id"])) == []


def test_a_column_that_is_not_there_is_null_and_a_table_that_is_not_there_is_empty(predicted):
    assert list(of_runs(predicted, ["one"], ["weights_sha256"])) == [(None,)] * 3
    store.write(predicted, "predictions", [])
    assert list(of_runs(predicted, ["one"], ["image_id"])) == []
