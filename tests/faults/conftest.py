"""A study whose pictures are one small drawn file, real kernels, and what is on the disk, row by row."""

import pyarrow.parquet as pq
import pytest

from qcbench import images, store
from qcbench.study import Study
from tests.faults.kernel import Kernel, RaterPage


@pytest.fixture
def make_study(tmp_path):
    """A function that makes a study of n images for alice and bob; all show one picture."""

    def make(n, *, name="study", image_id="sub-{:04d}_ses-M00_T1w"):
        import numpy as np

        study = Study.create(tmp_path / name, raters=["alice", "bob"])
        path = study.derivatives / "drawn.png"
        grey = np.tile(np.arange(0, 240, 2, dtype="uint8"), (40, 1))
        sha256 = images.save_png(path, grey)
        names = [image_id.format(number) for number in range(n)]
        store.write(
            study,
            "images",
            [{"image_id": name, "participant_id": name[:8], "source_path": "x", "simulated": True} for name in names],
        )
        shown = {
            "screenshot_path": study.relative(path),
            "screenshot_sha256": sha256,
            "preprocessing_preset": "drawn",
        }
        store.write(study, "preprocessed", [{"image_id": name, **shown} for name in names])
        return study

    return make


@pytest.fixture
def kernels():
    """A function that starts a kernel; all are ended with the test."""
    started = []

    def start():
        started.append(Kernel())
        return started[-1]

    yield start
    for kernel in started:
        kernel.close()


@pytest.fixture
def page(make_study, kernels):
    """A page at a study of 40 images, whose kernel is up; the study is `page.study`."""
    page = RaterPage()
    page.study = make_study(40)
    return page.open(kernels().ready(), page.study)


@pytest.fixture
def rows_on_disk():
    """A function that returns every row of every segment of a study, nothing folded, nothing left out."""

    def read(study):
        paths = sorted((study.folder / "labels").rglob("seg-*.parquet"))
        return [row for path in paths for row in pq.ParquetFile(path).read().to_pylist()]

    return read
