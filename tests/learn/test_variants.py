import pytest

from qcbench import store
from qcbench.errors import LeakError
from qcbench.learn import variants
from qcbench.study import Study
from tests.learn.conftest import image_row

ROWS = [
    {"image_id": "b", "participant_id": "sub-2", "set": "test", "fold": None, "seed": 0},
    {"image_id": "a", "participant_id": "sub-1", "set": "cv", "fold": 0, "seed": 0},
]


def test_a_variant_has_splits_of_its_own_and_the_images_of_the_study(study):
    store.write(study, "images", [image_row("a", "sub-1")])
    variant = variants.prepare(study, "left-out", ROWS)
    assert [row["image_id"] for row in store.rows(variant, "splits")] == ["a", "b"]
    assert store.rows(study, "splits") == []
    assert store.rows(variant, "images") == store.rows(study, "images")
    assert variant.runs == study.folder / "variants" / "left-out" / "runs"
    assert (variant.cache, Study.of(variant)) == (study.cache, variant)


def test_the_same_splits_are_not_written_again(study):
    path = variants.prepare(study, "left-out", ROWS).table_path("splits")
    before = path.stat().st_mtime_ns
    variants.prepare(study, "left-out", ROWS[::-1])
    assert path.stat().st_mtime_ns == before
    variants.prepare(study, "left-out", ROWS[:1])
    assert len(store.rows(variants.find(study, "left-")[0], "splits")) == 1


def test_a_variant_that_leaks_is_refused(study):
    with pytest.raises(LeakError, match="sub-1"):
        variants.prepare(study, "leak", [*ROWS, {**ROWS[0], "image_id": "c", "participant_id": "sub-1"}])
    assert variants.find(study, "") == []
