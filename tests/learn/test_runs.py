from qcbench import store
from qcbench.learn import runs


def test_task_data_leaves_out_the_test_set_and_images_without_a_volume(labelled):
    splits = store.rows(labelled, "splits")
    cv = sorted(row["image_id"] for row in splits if row["set"] == "cv")
    data = runs.task_data(labelled, "sr", [row["image_id"] for row in splits if row["image_id"] != cv[0]])
    assert list(data.labels) == cv[1:]
    fit, validation = data.parts(0)
    assert sorted([*fit, *validation]) == cv[1:]
    assert not set(fit) & set(validation)


def test_a_run_fitted_on_other_splits_is_told_apart(trained_copy):
    current, earlier = runs.of_these_splits(trained_copy, runs.find(trained_copy))
    assert (len(current), earlier) == (4, [])
    rows = store.rows(trained_copy, "splits")
    store.write(trained_copy, "splits", rows[1:])
    current, earlier = runs.of_these_splits(trained_copy, runs.find(trained_copy))
    assert (current, len(earlier)) == ([], 4)
