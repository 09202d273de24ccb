import json
import subprocess
from collections import Counter
from dataclasses import replace
from datetime import date

import dcm2niix
import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.uid import UID

from qcbench.errors import ImageError, UsageError
from qcbench.images import Volume
from qcbench.imaging import geometry
from qcbench.prepare import dicom_series, headers
from qcbench.prepare.dicom_series import write_series
from qcbench.prepare.invented import SCANNERS, Description, Patient, describe, draw_patient

SKYRA = SCANNERS[0]
ALICE = Patient(name="SIMULATED^ALICE", patient_id="SIM1", birth_date=date(1950, 6, 2), sex="F")
PLAIN = Description(study="IRM cérébrale", series="T1 MPRAGE SAG", protocol="t1_mprage_sag", body_part="BRAIN")
SPACING_MM = (0.9, 1.1, 1.3)
AXES = {
    "RAS": np.eye(3),
    "LAS": np.diag([-1, 1, 1]),
    "PIR": np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]),
    # Turned by 20 degrees about z, then by 10 about x; the second time with the last axis the other way round.
    "oblique": np.array(
        [[0.9396926, -0.3420201, 0], [0.3368241, 0.9254166, -0.1736482], [0.0593912, 0.1631759, 0.9848078]]
    ),
}
AXES["left-handed oblique"] = AXES["oblique"] * (1, 1, -1)


def volume(axes="RAS", *, seed=0, shape=(14, 18, 16)):
    affine = np.eye(4)
    affine[:3, :3] = AXES[axes] * SPACING_MM
    affine[:3, 3] = (-31.5, 12.25, -7.75)
    data = np.random.default_rng(seed).integers(0, 1500, shape).astype(np.float32)
    data[:4, :5, :6] = 3000  # a corner that cannot be taken for another
    return Volume(data=data, affine=affine)


def write(folder, source=None, **arguments):
    given = {"scanner": SKYRA, "description": PLAIN, "patient": ALICE, "seed": 1} | arguments
    return write_series(folder, source or volume(), **given)


def header(path):
    return pydicom.dcmread(path, stop_before_pixels=True)


def converted(folder, out):
    """Return the one NIfTI image, with its sidecar, that dcm2niix makes of a folder."""
    out.mkdir()
    command = [dcm2niix.bin, "-z", "n", "-b", "y", "-ba", "n", "-f", "%s_%d", "-o", out, folder]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    (nifti,) = out.glob("*.nii")
    (sidecar,) = out.glob("*.json")
    return nib.load(nifti), json.loads(sidecar.read_text())


def assert_same_place(image, source):
    """Both as near to RAS as flips and swaps go: then voxels and affine must be those of the source."""
    was = nib.as_closest_canonical(nib.Nifti1Image(source.data, source.affine))
    came = nib.as_closest_canonical(image)
    assert came.shape == was.shape
    assert np.array_equal(came.get_fdata(), was.get_fdata())
    assert np.abs(came.affine - was.affine).max() < 1e-3


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("scanner", SCANNERS, ids=lambda scanner: scanner.model)
def test_a_converter_finds_one_volume_with_every_voxel_in_its_place(tmp_path, scanner, axes):
    source = volume(axes)
    write(tmp_path / "dicom", source, scanner=scanner)
    image, sidecar = converted(tmp_path / "dicom", tmp_path / "nifti")
    assert_same_place(image, source)
    assert sidecar["ManufacturersModelName"] == scanner.model
    assert sidecar["Manufacturer"].lower()[:2] == scanner.manufacturer.lower()[:2]
    assert sidecar["MagneticFieldStrength"] == scanner.field_strength_t
    assert sidecar["SeriesDescription"] == "T1 MPRAGE SAG"
    assert sidecar["MRAcquisitionType"] == "3D"
    assert sidecar["EchoTime"] == pytest.approx(scanner.echo_time_ms / 1000)


@pytest.mark.parametrize("slice_axis", [0, 1, 2])
def test_slices_can_lie_along_any_axis(tmp_path, slice_axis):
    source = volume("left-handed oblique")
    paths = write(tmp_path / "dicom", source, slice_axis=slice_axis)
    assert len(paths) == source.data.shape[slice_axis]
    assert_same_place(converted(tmp_path / "dicom", tmp_path / "nifti")[0], source)


def test_the_slice_axis_is_that_of_the_volume_or_the_last(tmp_path):
    named = replace(volume(), slice_axis=0)
    assert [len(write(tmp_path / "a", named)), len(write(tmp_path / "b", volume()))] == [14, 16]


def test_the_first_voxel_lies_where_the_affine_says_in_lps(tmp_path):
    first, second = (header(path) for path in write(tmp_path)[:2])
    assert list(first.ImagePositionPatient) == [31.5, -12.25, -7.75]
    assert list(second.ImagePositionPatient) == pytest.approx([31.5, -12.25, -7.75 + 1.3])
    assert list(first.ImageOrientationPatient) == [-1, 0, 0, 0, -1, 0]
    assert list(first.PixelSpacing) == [1.1, 0.9]
    assert (first.Rows, first.Columns, first.SliceThickness) == (18, 14, 1.3)


def test_sheared_axes_are_refused_and_mended_ones_are_not(tmp_path):
    sheared = volume()
    sheared.affine[0, 2] = 0.2
    with pytest.raises(ImageError, match=r"geometry\.orthonormal"):
        write(tmp_path, sheared)
    assert list(tmp_path.iterdir()) == []
    mended, _ = geometry.orthonormal(sheared.affine, sheared.data.shape)
    assert len(write(tmp_path, replace(sheared, affine=mended))) == 16


def test_the_same_arguments_give_the_same_bytes(tmp_path):
    once, again = write(tmp_path / "a"), write(tmp_path / "b")
    assert [path.name for path in once] == [path.name for path in again]
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in again]
    assert write(tmp_path / "a") == once


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 2},
        {"series_number": 4},
        {"scanner": SCANNERS[1]},
        {"description": replace(PLAIN, series="T1")},
        {"source": volume(seed=1)},
        {"source": volume("LAS")},
        {"slice_axis": 0},
        {"patient": replace(ALICE, name="SIMULATED^ALICIA")},
    ],
)
def test_two_series_of_a_study_share_the_study_and_no_other_uid(tmp_path, other):
    one = [header(path) for path in write(tmp_path, study_seed=9)]
    two = [header(path) for path in write(tmp_path, **({"study_seed": 9} | other))]
    together = one + two
    assert (
        len({(file.StudyInstanceUID, file.PatientID, file.StudyDate, file.AccessionNumber) for file in together}) == 1
    )
    assert len({file.SeriesInstanceUID for file in together}) == 2
    assert len({file.SOPInstanceUID for file in together}) == len(together)
    assert all(UID(file.SOPInstanceUID).is_valid for file in together)


def test_the_series_of_a_study_come_one_after_the_other(tmp_path):
    first, second = (header(write(tmp_path, series_number=number)[0]) for number in (3, 7))
    assert (first.SeriesNumber, second.SeriesNumber) == (3, 7)
    assert (first.StudyDate + first.StudyTime) == (second.StudyDate + second.StudyTime)
    assert first.StudyTime < first.SeriesTime < second.SeriesTime


def test_studies_differ_by_seed_and_by_patient(tmp_path):
    seeds = [header(write(tmp_path, seed=seed)[0]) for seed in (1, 2)]
    bob = header(write(tmp_path, patient=replace(ALICE, patient_id="SIM2"))[0])
    assert len({file.StudyInstanceUID for file in (*seeds, bob)}) == 3


def test_every_header_says_simulated(tmp_path):
    for scanner in SCANNERS:
        for path in write(tmp_path / scanner.station, scanner=scanner, patient=draw_patient(3)):
            assert header(path).ImageComments == "SIMULATED by qcbench"
            assert str(header(path).PatientName).startswith("SIMULATED^")


@pytest.mark.parametrize("agent", ["GADOVIST", "", None])
def test_the_contrast_agent_is_filled_empty_or_absent(tmp_path, agent):
    file = header(write(tmp_path, description=replace(PLAIN, contrast_agent=agent))[0])
    assert ("ContrastBolusAgent" in file) == (agent is not None)
    assert (file.get("ContrastBolusAgent") or "") == (agent or "")


@pytest.mark.parametrize(("character_set", "bytes_of_e"), [("ISO_IR 100", b"\xe9"), ("ISO_IR 192", b"\xc3\xa9")])
def test_accents_survive(tmp_path, character_set, bytes_of_e):
    patient = replace(ALICE, name="SIMULATED^ZOÉ")
    path = write(tmp_path, patient=patient, character_set=character_set)[0]
    file = header(path)
    assert (file.StudyDescription, str(file.PatientName)) == ("IRM cérébrale", "SIMULATED^ZOÉ")
    assert file.InstitutionName == "Hôpital Simulé Nord"
    assert b"c" + bytes_of_e + b"r" in path.read_bytes()


def test_text_that_a_header_cannot_hold_is_refused(tmp_path):
    with pytest.raises(UsageError, match="ISO_IR 192"):
        write(tmp_path, description=replace(PLAIN, series="T1 cœur"))
    with pytest.raises(UsageError, match="64 characters"):
        write(tmp_path, description=replace(PLAIN, study="x" * 65))
    with pytest.raises(UsageError, match="ISO_IR 100, ISO_IR 192"):
        write(tmp_path, character_set="latin-1")
    assert list(tmp_path.iterdir()) == []


def test_missing_slices_leave_gaps_in_the_numbers_and_nowhere_else(tmp_path):
    whole = write(tmp_path / "whole")
    paths = write(tmp_path / "gaps", missing=(12, 13))
    numbers = [header(path).InstanceNumber for path in paths]
    assert numbers == [*range(1, 12), *range(14, 17)]
    kept = [path.read_bytes() for path in whole if header(path).InstanceNumber not in (12, 13)]
    assert [path.read_bytes() for path in paths] == kept
    assert sorted((tmp_path / "gaps").iterdir()) == sorted(paths)


@pytest.mark.parametrize("missing", [(17,), (0,), range(1, 17)])
def test_slices_that_do_not_exist_cannot_be_missing_nor_can_all(tmp_path, missing):
    with pytest.raises(UsageError, match="InstanceNumbers 1 to 16"):
        write(tmp_path, missing=missing)


def test_numbered_files_have_no_extension_and_never_replace_another_series(tmp_path):
    paths = write(tmp_path, numbered_files=True, missing=(1,))
    assert [path.name for path in paths[:2]] == ["IM0002", "IM0003"]
    before = [path.read_bytes() for path in paths]
    with pytest.raises(UsageError, match="IM0002 is there with other content"):
        write(tmp_path, seed=2, numbered_files=True)
    assert sorted(tmp_path.iterdir()) == paths
    assert [path.read_bytes() for path in paths] == before


@pytest.mark.parametrize(
    ("voxels", "stored"),
    [
        ([0, 7, 1200], [0, 7, 1200]),
        ([-5, 0.4, 99.6, 200], [0, 0, 100, 200]),
        ([0, 0.25, 1, 1], [0, 500, 2000, 2000]),
        ([0, 30000, 60000, 60000], [0, 1000, 2000, 2000]),
        ([0] * 1000 + [1000] * 9000 + [9000], [0] * 1000 + [1000] * 9000 + [4095]),
        ([0, 0], [0, 0]),
    ],
)
def test_voxels_become_twelve_bits(voxels, stored):
    values = dicom_series.stored_values(np.array(voxels, float))
    assert values.dtype == np.uint16
    assert values.tolist() == stored


def test_voxels_that_are_not_finite_are_refused():
    with pytest.raises(ImageError, match="NOT_FINITE"):
        dicom_series.stored_values(np.array([1.0, np.nan]))


def test_the_age_fits_the_birth_and_the_study(tmp_path):
    file = header(write(tmp_path, study_date=date(2015, 6, 1))[0])
    assert (file.StudyDate, file.PatientBirthDate, file.PatientAge) == ("20150601", "19500602", "064Y")
    assert header(write(tmp_path, study_date=date(2015, 6, 2))[0]).PatientAge == "065Y"
    infant = replace(ALICE, birth_date=date(2014, 12, 20))
    assert header(write(tmp_path, patient=infant, study_date=date(2015, 6, 1))[0]).PatientAge == "005M"
    with pytest.raises(UsageError, match="before the birth"):
        write(tmp_path, patient=infant, study_date=date(2014, 1, 1))


def test_patients_are_invented_adults_and_the_same_for_the_same_seed(tmp_path):
    patients = [draw_patient(seed) for seed in range(200)]
    assert patients == [draw_patient(seed) for seed in range(200)]
    assert len({patient.patient_id for patient in patients}) == 200
    assert {patient.sex for patient in patients} == {"F", "M"}
    assert len({patient.name for patient in patients}) > 10
    ages = [header(write(tmp_path, patient=patient, missing=range(2, 17))[0]).PatientAge for patient in patients[:10]]
    assert all("022Y" < age < "100Y" for age in ages)


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("gadolinium", [True, False])
@pytest.mark.parametrize("noted", [True, False])
def test_descriptions_speak_of_an_injection_when_asked(language, gadolinium, noted):
    rng = np.random.default_rng(5)
    for draw in range(300):
        scanner = SCANNERS[draw % len(SCANNERS)]
        text = describe(scanner=scanner, gadolinium=gadolinium, language=language, noted=noted, rng=rng)
        assert headers.noted_as_injected(text.study, text.series) is noted, text
        assert max(map(len, (text.study, text.series, text.protocol))) <= 64
        assert noted or not headers.noted_as_injected(text.protocol)


@pytest.mark.parametrize(("gadolinium", "agents"), [(True, {"filled", "empty"}), (False, {"empty", "absent"})])
def test_the_contrast_agent_is_as_unreliable_as_in_hospitals(gadolinium, agents):
    rng = np.random.default_rng(5)
    drawn = [describe(scanner=SKYRA, gadolinium=gadolinium, language="fr", noted=True, rng=rng) for _ in range(200)]
    kinds = Counter("absent" if d.contrast_agent is None else "filled" if d.contrast_agent else "empty" for d in drawn)
    assert set(kinds) == agents
    assert min(kinds.values()) > 30
    assert len({d.series for d in drawn}) > 100
    assert any(not d.study.isascii() for d in drawn)


def test_drawn_descriptions_can_be_written_and_read_by_a_converter(tmp_path):
    rng = np.random.default_rng(8)
    for number, scanner in enumerate(SCANNERS):
        language, folder = ("fr", "en")[number % 2], tmp_path / str(number)
        text = describe(scanner=scanner, gadolinium=True, language=language, noted=True, rng=rng)
        file = header(write(folder, scanner=scanner, description=text, patient=draw_patient(number))[0])
        assert (file.StudyDescription, file.SeriesDescription) == (text.study, text.series)
        image, _ = converted(folder, tmp_path / f"nifti-{number}")
        assert image.shape == (14, 18, 16)


def test_an_unknown_language_is_refused():
    with pytest.raises(UsageError, match="fr or en"):
        describe(scanner=SKYRA, gadolinium=True, language="de", noted=True, rng=np.random.default_rng(0))


def test_four_manufacturers_have_two_machines_or_more():
    makers = Counter(scanner.manufacturer.lower()[:2] for scanner in SCANNERS)
    assert set(makers) == {"si", "ge", "ph", "to", "ca"}
    assert min(makers["si"], makers["ge"], makers["ph"], makers["to"] + makers["ca"]) >= 2
    assert len({scanner.station for scanner in SCANNERS}) == len(SCANNERS)
    assert {headers.field_strength_t(scanner.field_strength_t) for scanner in SCANNERS} == {1.5, 3.0}
