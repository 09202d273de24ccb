import pytest
import torch

from qcbench import store
from qcbench.errors import StudyError, UsageError, WeightsError
from qcbench.learn import runs
from qcbench.learn.datasets import open_cache
from qcbench.learn.infer import predict, probabilities
from qcbench.learn.networks import build
from qcbench.learn.splits import split
from tests.learn.conftest import add_image


def run_predict(study, **more):
    return predict(study, device="cpu", show_progress=False, **more)


def test_every_fold_predicts_every_image_once(trained_copy):
    summary = run_predict(trained_copy, task="sr")
    rows = store.rows(trained_copy, "predictions")
    assert (summary.done, len(rows)) == (24 * 3, 24 * 3)
    assert {row["fold"] for row in rows} == {0, 1, 2}
    assert all((row["decision"] == "yes") == (row["probability"] >= 0.5) for row in rows)
    assert all(row["probability_calibrated"] is None and row["preprocessing_preset"] == "fast" for row in rows)
    again = run_predict(trained_copy, task="sr")
    assert (again.done, again.unchanged) == (0, 72)


def test_only_what_is_new_is_predicted(trained_copy):
    run_predict(trained_copy, task="tier2")
    rows = store.rows(trained_copy, "predictions")
    image_id = rows[0]["image_id"]
    store.write(trained_copy, "predictions", [row for row in rows if row["image_id"] != image_id or row["fold"] != 1])
    summary = run_predict(trained_copy, task="tier2")
    assert (summary.done, summary.unchanged) == (1, 71)
    found = {(r["image_id"], r["fold"]): r["probability"] for r in store.rows(trained_copy, "predictions")}
    expected = {(r["image_id"], r["fold"]): r["probability"] for r in rows}
    assert found == pytest.approx(expected, abs=1e-6)


def test_only_the_wanted_images_are_predicted(trained_copy):
    wanted = [row["image_id"] for row in store.rows(trained_copy, "preprocessed")][:5]
    assert run_predict(trained_copy, task="sr", image_ids=wanted).done == 15
    assert {row["image_id"] for row in store.rows(trained_copy, "predictions")} == set(wanted)
    assert run_predict(trained_copy, task="sr").unchanged == 15


def test_a_network_sees_voxels_as_it_was_fitted_on(trained_copy):
    (run,) = runs.find(trained_copy, task="sr")
    runs.Run(folder=run.folder, config={**run.config, "voxels": "uint16"}).save_config()
    wanted = [row["image_id"] for row in store.rows(trained_copy, "preprocessed")][:2]
    assert run_predict(trained_copy, task="sr", image_ids=wanted).done == 6
    assert set(open_cache(trained_copy, spacing=4, voxels="uint16").rows) == set(wanted)


def test_only_what_was_preprocessed_anew_or_lost_its_volume_is_seen_otherwise(trained_copy):
    run_predict(trained_copy, task="sr")
    before = {(r["image_id"], r["fold"]): r["probability"] for r in store.rows(trained_copy, "predictions")}
    in_cv, tested = (
        next(row["image_id"] for row in store.rows(trained_copy, "splits") if row["set"] == set_)
        for set_ in ("cv", "test")
    )
    add_image(trained_copy, tested, "reject", 999)
    lost = {"image_id": in_cv, "preprocessing_preset": "fast", "volume_path": None, "error": "not registered"}
    store.upsert(trained_copy, "preprocessed", [lost])
    summary = run_predict(trained_copy, task="sr")
    assert (summary.done, summary.unchanged) == (3, 23 * 3 - 3)
    assert summary.failed == {in_cv: "has no volume: not registered"}
    after = {(r["image_id"], r["fold"]): r["probability"] for r in store.rows(trained_copy, "predictions")}
    assert {image_id for image_id, fold in before if before[image_id, fold] != after[image_id, fold]} == {tested}
    (note,) = summary.notes
    assert note.startswith("sr-conv5_fc3-quick-4mm-s0-")
    assert note.endswith("was fitted to other data than today's (1 without a volume now): train again to use them")


def test_weights_that_were_changed_are_refused(trained_copy):
    (run,) = runs.find(trained_copy, task="sr")
    path = run.fold_folder(2) / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(WeightsError, match="fold-2"):
        run_predict(trained_copy, task="sr")


def test_without_a_run_the_message_says_what_to_run(labelled):
    with pytest.raises(StudyError, match="qcbench train"):
        run_predict(labelled)


def test_an_unknown_device_is_refused(trained):
    with pytest.raises(UsageError, match="auto, cpu or cuda"):
        predict(trained, device="tpu")


def test_runs_of_earlier_splits_serve_only_where_there_are_no_others(trained_copy):
    split(trained_copy, test_images=4, folds=2, seed=5)
    assert run_predict(trained_copy, task="sr").done == 72


def test_an_image_gets_the_same_probability_alone_and_in_a_batch(trained):
    cache = open_cache(trained, spacing=4)
    volumes = cache.volumes(sorted(cache.rows)[:5])
    torch.manual_seed(0)
    network = build("conv5_fc3", cache.shape).eval()
    together = probabilities(network, volumes)
    alone = [probabilities(network, volumes[n : n + 1])[0] for n in range(5)]
    assert [one for (one,) in together] == pytest.approx([one for (one,) in alone], abs=1e-5)
