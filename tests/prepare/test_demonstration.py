"""The small warehouse: whole, honest about what was planted, the same each time, and resumable."""

import json
from collections import Counter

import numpy as np
import pytest

from qcbench import images, schema
from qcbench.errors import ImageError, UsageError
from qcbench.imaging import heads, simulate
from qcbench.prepare import demonstration

CORRUPT = "sub-demo00_ses-01_run-01_T1w"


@pytest.fixture(scope="module", autouse=True)
def coarse():
    """Voxels of 4 mm, so that an image takes a tenth of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demonstration, "_SIDEWAYS_MM", (3.8, 4.0))
        patch.setattr(demonstration, "_IN_PLANE_MM", 4.0)
        patch.setattr(demonstration, "_FEWEST_IMAGES", 15)
        yield


def build(folder, **options):
    return demonstration.build_warehouse(folder, **{"workers": 1, "show_progress": False, **options})


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def sidecars(folder):
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    folder = tmp_path_factory.mktemp("warehouse")
    return folder, build(folder, participants=2)


@pytest.fixture(scope="module")
def plan():
    """What the default warehouse would hold: planned, not made."""
    return list(demonstration._synthetic_plan(12, 0))


def planted(plan):
    return [image["sidecar"]["QcbenchSimulation"]["planted"] for head in plan for image in head["images"]]


def test_the_default_warehouse_has_the_proportions_of_a_hospital(plan):
    rows = planted(plan)
    graded = [row for row in rows if not row["straight_reject"]]
    tiers = Counter(1 + max(row[name] for name in schema.GRADED) for row in graded)
    assert len(plan) == 12
    assert len(rows) >= 44
    assert 0.2 <= 1 - len(graded) / len(rows) <= 0.25
    assert all(0.2 <= tiers[tier] / len(rows) <= 0.3 for tier in (1, 2, 3))
    assert 0.4 <= np.mean([row["gadolinium"] for row in graded]) <= 0.5


def test_every_pair_of_participants_has_both_classes_of_every_task(plan):
    for first in range(0, 12, 2):
        rows = planted(plan[first : first + 2])
        graded = [row for row in rows if not row["straight_reject"]]
        assert len(graded) < len(rows)
        assert {1 + max(row[name] for name in schema.GRADED) for row in graded} == {1, 2, 3}
        assert {row["gadolinium"] for row in graded} == {True, False}


def test_no_artefact_goes_with_gadolinium_alone(plan):
    for name in schema.GRADED:
        for grade in (0, 1, 2):
            seen = {row["gadolinium"] for row in planted(plan) if row[name] == grade and not row["straight_reject"]}
            assert seen == {True, False}, (name, grade)


def test_every_kind_of_straight_reject_is_planted(plan):
    assert {row["kind"] for row in planted(plan) if row["straight_reject"]} == set(simulate.KINDS)


def test_every_image_but_the_planted_one_can_be_read(warehouse):
    folder, summary = warehouse
    stems = [path.name.removesuffix(".nii.gz") for path in sorted(folder.glob("*.nii.gz"))]
    assert stems == sorted(sidecars(folder))
    assert summary.done == len(stems) == 9
    assert summary.failed == {}
    assert CORRUPT in summary.facts["planted_fault"]
    for stem in stems:
        if stem != CORRUPT:
            volume = images.load_volume(folder / f"{stem}.nii.gz")
            assert volume.data.max() > 50
    with pytest.raises(ImageError, match="TRUNCATED"):
        images.load_volume(folder / f"{CORRUPT}.nii.gz")


def test_voxels_are_stored_as_int16(warehouse):
    import nibabel as nib

    folder, _ = warehouse
    assert nib.load(next(folder.glob("sub-demo01*.nii.gz"))).get_data_dtype() == np.int16


def test_sidecars_are_complete_and_say_simulated(warehouse):
    folder, _ = warehouse
    for stem, sidecar in sidecars(folder).items():
        simulation = sidecar.pop("QcbenchSimulation")
        of_grades = set() if simulation["planted"]["straight_reject"] else {"asked", "severity", "strengths", "figures"}
        always = {"simulated", "derived_from", "planted", "seed", "from"}
        assert set(simulation) - {"planted_fault"} - of_grades == always
        assert simulation["simulated"] is True
        assert simulation["derived_from"] is None
        assert simulation["from"] == "synthetic head"
        assert simulation.get("planted_fault", False) == (stem == CORRUPT)
        assert list(simulation["planted"]) == ["straight_reject", "kind", "gadolinium", "motion", "contrast", "noise"]
        assert {"Manufacturer", "ManufacturersModelName", "MagneticFieldStrength", "InstitutionName"} <= set(sidecar)
        assert {"PatientAge", "PatientSex", "SeriesDescription", "StudyDescription"} <= set(sidecar)
        assert "simulated" in sidecar["InstitutionName"]


def test_descriptions_speak_of_an_injection_as_unreliably_as_in_hospitals():
    rows = [image["sidecar"] for head in demonstration._synthetic_plan(400, 0) for image in head["images"]]
    words = ("gado", "inj", "iv")
    noted = {True: [], False: []}
    for row in rows:
        text = f"{row['SeriesDescription']} {row['StudyDescription']}".lower()
        noted[row["QcbenchSimulation"]["planted"]["gadolinium"]].append(any(word in text for word in words))
    assert np.mean(noted[True]) == pytest.approx(0.84, abs=0.05)
    assert np.mean(noted[False]) == pytest.approx(0.39, abs=0.05)


def test_a_second_call_keeps_every_file(warehouse):
    folder, _ = warehouse
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    summary = build(folder, participants=2)
    assert (summary.done, summary.unchanged) == (0, 9)
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_what_is_missing_is_made_again_byte_for_byte_by_other_processes(warehouse):
    folder, _ = warehouse
    before = content(folder)
    for path in [*folder.glob("sub-demo01_ses-01_run-01*"), *folder.glob("sub-demo02_ses-01_run-02_T1w.json")]:
        path.unlink()
    summary = build(folder, participants=2, workers=2)
    assert summary.done > 0
    assert summary.unchanged > 0
    assert content(folder) == before


def test_another_seed_gives_another_warehouse(warehouse, tmp_path):
    build(tmp_path, participants=1, seed=1)
    first = content(warehouse[0])
    assert all(first.get(name) != data for name, data in content(tmp_path).items())


class TestFromRealHeads:
    @pytest.fixture(scope="class")
    def source(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("source")
        for number in range(2):
            head = heads.synthetic_head(seed=number, spacing_mm=(3, 3, 3))
            name = f"ds000011_sub-{number:02d}_T1w.nii.gz" if number else "case7.nii.gz"
            images.save_volume(folder / name, head.data.astype(np.int16), head.affine)
        (folder / "sub-bad_T1w.nii.gz").write_bytes((folder / "case7.nii.gz").read_bytes()[:5000])
        return folder

    @pytest.fixture(scope="class")
    def built(self, source, tmp_path_factory):
        folder = tmp_path_factory.mktemp("from-real")
        return folder, build(folder, images=source)

    def test_originals_are_copied_unchanged_and_are_not_called_simulated(self, source, built):
        folder, _ = built
        name = "ds000011_sub-01_T1w.nii.gz"
        assert (folder / name).read_bytes() == (source / name).read_bytes()
        assert not (folder / "ds000011_sub-01_T1w.json").exists()

    def test_a_bad_file_is_reported_and_the_rest_goes_on(self, built):
        folder, summary = built
        assert list(summary.failed) == ["sub-bad_T1w"]
        assert "TRUNCATED" in summary.failed["sub-bad_T1w"]
        assert not list(folder.glob("sub-bad*"))
        assert summary.facts["originals"] == 2
        assert summary.done == 2 + 2 * 4

    def test_copies_name_their_participant_and_their_original(self, built):
        folder, _ = built
        copies = sidecars(folder)
        simulation = copies["sub-01_acq-sim_run-02_T1w"]["QcbenchSimulation"]
        assert simulation["derived_from"] == "sub-01_T1w"
        assert simulation["from"] == "real head"
        assert copies["sub-case7_acq-sim_run-01_T1w"]["QcbenchSimulation"]["derived_from"] == "sub-case7_T1w"

    def test_few_heads_give_forty_images_and_more(self, tmp_path, monkeypatch):
        monkeypatch.setattr(demonstration, "_FEWEST_IMAGES", 40)
        for number in range(1, 9):
            (tmp_path / f"sub-{number:02d}_T1w.nii.gz").touch()
            plan = list(demonstration._real_plan(tmp_path, 0))
            assert sum(1 + len(head["images"]) for head in plan) >= 40

    def test_sessions_of_one_participant_do_not_share_names(self, tmp_path):
        for name in ("sub-01_run-1_T1w.nii.gz", "sub-01_run-2_T1w.nii.gz", "sub-01_ses-2_T1w.nii"):
            (tmp_path / name).touch()
        names = [image["image_id"] for head in demonstration._real_plan(tmp_path, 0) for image in head["images"]]
        assert len(names) == len(set(names))
        assert any(name.startswith("sub-01_ses-2_acq-sim_run-01") for name in names)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no"):
        build(tmp_path / "out", images=tmp_path)
    with pytest.raises(UsageError, match="no folder"):
        build(tmp_path / "out", images=tmp_path / "missing")


def test_a_warehouse_needs_a_participant(tmp_path):
    with pytest.raises(UsageError, match="participants"):
        build(tmp_path, participants=0)
