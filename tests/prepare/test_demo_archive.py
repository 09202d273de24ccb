import pytest

from qcbench.errors import UsageError
from qcbench.prepare import scan
from qcbench.prepare.demo_archive import build_archive


def test_each_invented_patient_has_a_t1w_and_a_series_that_is_none(tmp_path):
    summary = build_archive(tmp_path / "archive", patients=1, show_progress=False)
    found = scan.scan(tmp_path / "archive", show_progress=False)
    assert (summary.done, len(found.series), found.skipped) == (2, 2, {})
    n_slices = sorted(row["n_files"] for row in found.series)
    assert (n_slices[0], n_slices[1] >= 40) == (24, True)
    before = {path: path.read_bytes() for path in (tmp_path / "archive").rglob("*") if path.is_file()}
    again = build_archive(tmp_path / "archive", patients=1, show_progress=False)
    assert (again.done, again.unchanged) == (0, 2)
    build_archive(tmp_path / "other", patients=1, show_progress=False)
    assert sorted(before.values()) == sorted(
        path.read_bytes() for path in (tmp_path / "other").rglob("*") if path.is_file()
    )


def test_an_archive_of_nobody_is_refused(tmp_path):
    with pytest.raises(UsageError, match="patients must be 1 or more"):
        build_archive(tmp_path, patients=0)
