import errno
import os

import numpy as np
import pytest
import torch

from qcbench import images, parallel, store
from qcbench.errors import ImageError, UsageError
from qcbench.imaging import crop
from qcbench.learn import datasets
from qcbench.learn.datasets import (
    VolumeDataset,
    build_cache,
    cache_volume,
    coarse_shape,
    open_cache,
    to_unit,
)
from tests.learn.conftest import AFFINE, add_image, head


@pytest.fixture
def two_volumes(study):
    store.write(study, "preprocessed", [add_image(study, "a", "good", 0), add_image(study, "b", "bad", 1)])
    return study


def test_a_spacing_that_is_not_cached_is_refused():
    with pytest.raises(UsageError, match="1, 2, 4 mm, got 3"):
        coarse_shape(3)


def test_the_cache_holds_the_scaled_volume_as_bytes(two_volumes):
    summary = build_cache(two_volumes, spacing=1, image_ids=["b"], show_progress=False)
    cache = open_cache(two_volumes, spacing=1)
    expected = np.rint(255 * crop.min_max(head("bad", 1).astype(np.float32))).astype(np.uint8)
    assert (summary.done, list(cache.rows)) == (1, ["b"])
    assert np.array_equal(cache.volume("b"), expected)


def test_a_second_build_writes_only_what_is_new_or_changed(two_volumes):
    assert build_cache(two_volumes, spacing=4, image_ids=["a"], show_progress=False).done == 1
    grown = build_cache(two_volumes, spacing=4, show_progress=False)
    assert (grown.done, grown.unchanged) == (1, 1)
    before = open_cache(two_volumes, spacing=4)
    row = add_image(two_volumes, "a", "reject", 5)
    os.utime(two_volumes.absolute(row["volume_path"]), ns=(1, 1))
    assert build_cache(two_volumes, spacing=4, show_progress=False).done == 1
    after = open_cache(two_volumes, spacing=4)
    assert after.rows == before.rows
    assert after.volume("a")[:, :, -10:].max() < after.volume("b")[:, :, 25].max()


def test_a_cache_file_that_was_cut_is_filled_again(two_volumes):
    build_cache(two_volumes, spacing=4, show_progress=False)
    whole = open_cache(two_volumes, spacing=4)
    with whole.path.open("r+b") as file:
        file.truncate(whole.path.stat().st_size - 1)
    assert set(open_cache(two_volumes, spacing=4).rows) == {"a"}
    assert build_cache(two_volumes, spacing=4, show_progress=False).done == 1
    assert set(open_cache(two_volumes, spacing=4).rows) == {"a", "b"}


def test_a_damaged_index_only_costs_time(two_volumes):
    build_cache(two_volumes, spacing=4, image_ids=["a"], show_progress=False)
    (two_volumes.cache / "volumes-4mm.json").write_text('{"a": ')
    assert build_cache(two_volumes, spacing=4, image_ids=["a"], show_progress=False).done == 1


def test_bad_volumes_are_reported_and_the_others_cached(two_volumes):
    bad = two_volumes.derivatives / "bad.nii.gz"
    bad.write_bytes(b"\x1f\x8bno gzip")
    row = {"preprocessing_preset": "fast", "volume_path": two_volumes.relative(bad)}
    failed_before = {"image_id": "d", "preprocessing_preset": "fast", "error": "not registered"}
    store.upsert(two_volumes, "preprocessed", [{"image_id": "c", **row}, failed_before])
    summary = build_cache(two_volumes, spacing=4, show_progress=False)
    assert set(summary.failed) == {"c"}
    assert set(open_cache(two_volumes, spacing=4).rows) == {"a", "b"}


def test_a_volume_on_another_grid_is_refused(tmp_path):
    path = tmp_path / "small.nii"
    images.save_volume(path, head("good", 0)[:-1], AFFINE)
    with pytest.raises(ImageError, match=r"168 x 208 x 179.*169 x 208 x 179 voxels of 1 mm"):
        cache_volume({"path": path, "row": 0}, path=tmp_path / "cache", spacing=4)


def test_the_dataset_gives_bytes_that_become_zero_to_one(two_volumes):
    build_cache(two_volumes, spacing=4, show_progress=False)
    dataset = VolumeDataset(open_cache(two_volumes, spacing=4), {"b": 1, "a": 0})
    volume, label = dataset[1]
    assert (dataset.image_ids, label, tuple(volume.shape)) == (["a", "b"], 1, (1, 43, 52, 45))
    assert 0 <= float(to_unit(volume).min()) < 0.1 < 0.9 < float(to_unit(volume).max()) <= 1


def test_uint16_keeps_what_a_byte_loses(two_volumes):
    build_cache(two_volumes, spacing=2, voxels="uint16", image_ids=["b"], show_progress=False)
    cache = open_cache(two_volumes, spacing=2, voxels="uint16")
    exact = crop.block_average(crop.min_max(head("bad", 1).astype(np.float32)), 2)
    assert (cache.volume("b").dtype, cache.path.name) == (np.uint16, "volumes-2mm.u16")
    assert np.abs(to_unit(cache.volumes(["b"]))[0, 0].numpy() - exact).max() < 1e-5
    assert "b" not in open_cache(two_volumes, spacing=2)
    volume, label = VolumeDataset(cache, {"b": 1})[0]
    batch, _ = torch.utils.data.default_collate([(volume, label), (volume, label)])
    assert torch.equal(to_unit(batch)[1], to_unit(volume))
    with pytest.raises(UsageError, match="uint8 or uint16, got 'int8'"):
        open_cache(two_volumes, voxels="int8")


def test_bytes_that_changed_on_the_disk_are_found_and_written_again(two_volumes):
    build_cache(two_volumes, spacing=4, show_progress=False)
    cache = open_cache(two_volumes, spacing=4)
    expected = cache.volume("b")
    with cache.path.open("r+b") as file:
        file.seek(cache.rows["b"] * expected.size + 1000)
        file.write(b"\xff\x01\xff")
    assert build_cache(two_volumes, spacing=4, show_progress=False).done == 0
    checked = build_cache(two_volumes, spacing=4, check=True, show_progress=False)
    assert (checked.done, checked.facts["damaged"]) == (1, 1)
    assert np.array_equal(cache.volume("b"), expected)


def test_a_build_that_was_stopped_goes_on(two_volumes, monkeypatch):
    def stopped(row, **options):
        if row["image_id"] == "b":
            raise KeyboardInterrupt
        return cache_volume(row, **options)

    monkeypatch.setattr(datasets, "cache_volume", stopped)
    with pytest.raises(KeyboardInterrupt):
        build_cache(two_volumes, spacing=4, show_progress=False)
    monkeypatch.undo()
    assert build_cache(two_volumes, spacing=4, show_progress=False).done == 1


def built_while_another_one_builds(study, monkeypatch, *, ours, theirs, when):
    """Build the cache of `ours`; another builder does all of `theirs` before or after we write our volumes."""
    map_rows = parallel.map_rows

    def with_another(worker, rows, executor):
        monkeypatch.undo()
        if when == "before":
            build_cache(study, spacing=4, image_ids=theirs, show_progress=False)
        yield from map_rows(worker, rows, executor)
        if when == "after":
            build_cache(study, spacing=4, image_ids=theirs, show_progress=False)

    monkeypatch.setattr(parallel, "map_rows", with_another)
    return build_cache(study, spacing=4, image_ids=ours, check=True, show_progress=False)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("ours", "theirs"), [(["b"], ["a", "b"]), (["a", "b"], ["b"]), (["b"], ["a"])])
def test_builders_that_run_at_once_give_no_row_to_two_images(two_volumes, monkeypatch, ours, theirs, when):
    assert built_while_another_one_builds(two_volumes, monkeypatch, ours=ours, theirs=theirs, when=when).failed == {}
    cache = open_cache(two_volumes, spacing=4)
    assert set(cache.rows) == {*ours, *theirs}
    for image_id, kind, seed in (("a", "good", 0), ("b", "bad", 1)):
        expected = crop.block_average(crop.min_max(head(kind, seed).astype(np.float32)), 4)
        assert image_id not in cache or np.array_equal(cache.volume(image_id), np.rint(255 * expected))
    assert build_cache(two_volumes, spacing=4, image_ids=[*cache.rows], check=True, show_progress=False).done == 0


def test_rows_of_a_lost_index_are_not_given_to_others_who_read_them_still(two_volumes):
    build_cache(two_volumes, spacing=4, image_ids=["b"], show_progress=False)
    mapped = open_cache(two_volumes, spacing=4)
    expected = mapped.volume("b")
    (two_volumes.cache / "volumes-4mm.json").unlink()
    build_cache(two_volumes, spacing=4, image_ids=["a"], show_progress=False)
    assert np.array_equal(mapped.volume("b"), expected)


def test_what_has_no_volume_any_more_is_not_in_the_cache_and_its_reason_is_told(two_volumes):
    build_cache(two_volumes, spacing=4, show_progress=False)
    failed = {"image_id": "b", "preprocessing_preset": "fast", "volume_path": None, "error": "not registered"}
    store.upsert(two_volumes, "preprocessed", [failed])
    cache = open_cache(two_volumes, spacing=4)
    assert set(cache.rows) == set(cache.hashes) == {"a"}
    assert datasets.without_volume(two_volumes, ["a", "b", "c"], cache) == {
        "b": "has no volume: not registered",
        "c": "has no volume: it was not preprocessed",
    }


def test_a_disk_that_takes_no_more_ends_the_build_and_what_it_took_is_kept(two_volumes, monkeypatch):
    def full(descriptor, content, offset):
        if offset > 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return pwrite(descriptor, content, offset)

    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match=r"No space left on device; make room .* run this again") as raised:
        build_cache(two_volumes, spacing=4, show_progress=False)
    assert raised.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert build_cache(two_volumes, spacing=4, show_progress=False).done == 1
