import json

import pytest

from qcbench import store
from qcbench.learn import left_out, model_card, runs


def metric(run, value, **more):
    row = {"task": run.task, "architecture": run.architecture, "training_preset": "quick", "run_id": run.run_id}
    row |= {"fold": None, "set": "test", "metric": "balanced_accuracy", "value": value, "low": 0.7, "high": 0.9}
    return {**row, "sd": 0.05, "n": 4, "n_participants": 1, "simulated": False, "reason": None, **more}


@pytest.fixture
def run(trained_copy):
    rows = store.rows(trained_copy, "images")
    places = {"sub-00": ("Siemens", "Nord"), "sub-01": ("GE", "Sud")}
    new = [dict(zip(("manufacturer", "hospital"), places.get(row["participant_id"], ("Philips", "Est")), strict=True))
           for row in rows]  # fmt: skip
    store.write(trained_copy, "images", [{**row, **more} for row, more in zip(rows, new, strict=True)])
    return runs.find(trained_copy, task="tier3")[0]


def test_the_card_says_what_was_fitted_on_what_and_how_good_it_is(trained_copy, run):
    others = [
        metric(run, 0.6, architecture="forest_25", run_id="forest", sd=None, low=None),
        metric(run, 0.95, architecture="annotators", run_id="annotators"),
    ]
    text = model_card.write(trained_copy, run, [metric(run, 0.8), *others]).read_text()
    fold = json.loads((run.fold_folder(1) / "fold.json").read_text())
    for words in (
        "**tier 3**, against tier 1 or 2",
        "learning rate: 0.001",
        "parameters: 1692372",
        f"consensus sha256: {run.config['consensus_sha256']}",
        f"splits sha256: {run.config['splits_sha256']}",
        "template sha256: ab",
        f"weights sha256 {fold['weights_sha256']}",
        f"version of torch: {run.config['versions']['torch']}",
        "| balanced_accuracy | 80.0 ± 5.0 [70.0, 90.0] | 60.0 | 95.0 ± 5.0 [70.0, 90.0] |",
    ):
        assert words in text, words
    assert "Simulated images" not in text
    found = json.loads((run.folder / "model_card.json").read_text())
    assert found["tasks"][0]["metrics"][0]["value"] == 0.8


def test_the_card_says_what_the_test_set_does_not_hold(trained_copy, run):
    said = model_card.facts(trained_copy, run, [])["not_tested_on"]
    owner = next(row["participant_id"] for row in store.rows(trained_copy, "splits") if row["set"] == "test")
    tested = {"sub-00": "Siemens", "sub-01": "GE"}.get(owner, "Philips")
    absent = {"Siemens", "GE", "Philips"} - {tested}
    assert all(f"{name} (" in said[0] for name in absent) and f"{tested} (" not in said[0]
    assert "2 hospitals of the catalogue have no image in the test set" in said
    assert any("none was left out" in sentence for sentence in said)
    assert "volumes preprocessed otherwise than with fast" in said


def test_a_simulation_is_said_first_and_places_have_no_name(trained_copy, run):
    of_this_way = {"set": "left-out hospital", "n": 12, "run_id": f"mean over places {left_out.recipe(run)}"}
    of_another = {**of_this_way, "run_id": "mean over places conv5_fc3-quick-1mm-s0-0", "value": 0.7}
    at_a_place = {"set": "left-out hospital", "left_out": "Nord", "run_id": "variant", "n": 12}
    rows = [metric(run, 0.8, simulated=True), metric(run, 0.5, **of_this_way), metric(run, 0.9, **at_a_place)]
    text = model_card.write(trained_copy, run, [*rows, metric(run, **of_another)]).read_text()
    assert text.index("Simulated images or labels are among its data") < text.index("## What it is")
    assert "left-out hospital, mean over those left out, 12 images: balanced accuracy 50.0" in text
    assert text.count("left-out hospital") == 1
    assert not any(name in text for name in ("Nord", "Sud", "Est", "sub-0"))


def test_the_same_facts_give_the_same_card(trained_copy, run):
    first = model_card.write(trained_copy, run, [metric(run, 0.8)]).read_bytes()
    assert model_card.write(trained_copy, run, [metric(run, 0.8)]).read_bytes() == first
