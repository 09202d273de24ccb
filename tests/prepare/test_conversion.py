import json
import struct

import nibabel as nib
import numpy as np
import pytest

from qcbench.errors import ImageError
from qcbench.prepare import conversion
from tests.prepare.test_stacks import write


@pytest.fixture
def places(tmp_path):
    """An empty folder for DICOM files and one for what is made of them."""
    (tmp_path / "out").mkdir()
    return tmp_path / "dicom", tmp_path / "out"


def stand_in(monkeypatch, tmp_path, script):
    """Let a shell script play dcm2niix; $OUT is where it writes."""
    program = tmp_path / "dcm2niix"
    program.write_text(f'#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done; OUT=$2\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setattr(conversion, "binary", lambda: str(program))


def nifti(path, **texts):
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    for name, text in texts.items():
        image.header[name] = text
    nib.save(image, path)
    return path


def test_a_series_becomes_an_image_without_free_text(places):
    dicom, out = places
    write(dicom)
    made = conversion.convert(dicom, out)
    image = nib.load(made.path)
    assert image.shape == (5, 4, 6)
    assert set(np.unique(image.dataobj)) == {100}
    assert {bytes(image.header[name]).strip(b"\0") for name in ("descrip", "aux_file", "db_name", "intent_name")} == {
        b""
    }
    assert b"SIMULATED" not in made.path.read_bytes()
    assert made.sidecar["ManufacturersModelName"] == "Skyra"


def test_slices_that_dcm2niix_makes_up_are_refused(places):
    dicom, out = places
    write(dicom, missing=[3])
    with pytest.raises(ImageError, match="INCOMPLETE"):
        conversion.convert(dicom, out)


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["image", "image_Eq_1"], "INCOMPLETE"),
        (["image", "image_Tilt_1"], "TILTED"),
        (["image", "imagea"], "SEVERAL"),
        (["image_e1", "image_e2"], "SEVERAL"),
        (["image_ph"], "SEVERAL"),
        ([], "NOT_CONVERTED"),
    ],
)
def test_further_outputs_are_refused(places, tmp_path, monkeypatch, names, code):
    source = nifti(tmp_path / "any.nii")
    stand_in(monkeypatch, tmp_path, "\n".join(f'cp "{source}" "$OUT/{name}.nii"' for name in names))
    with pytest.raises(ImageError) as caught:
        conversion.convert(*places)
    assert caught.value.code == code


def test_the_magnitude_is_taken_where_its_phase_lies_beside_it(places, tmp_path, monkeypatch):
    source = nifti(tmp_path / "any.nii")
    stand_in(monkeypatch, tmp_path, f'cp "{source}" "$OUT/image.nii"; cp "{source}" "$OUT/image_ph.nii"')
    assert len(conversion.convert(*places).path.read_bytes()) == 352 + 48


def test_texts_and_extensions_of_a_header_are_left_out_and_voxels_kept(places, tmp_path, monkeypatch):
    path = nifti(tmp_path / "any.nii", descrip=b"Time=121530;DUPONT", aux_file=b"DUPONT", intent_name=b"DUPONT")
    image = nib.load(path)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"DUPONT"))
    nib.save(image, tmp_path / "extended.nii")
    stand_in(monkeypatch, tmp_path, f'cp "{tmp_path}/extended.nii" "$OUT/image.nii"')
    made = conversion.convert(*places).path.read_bytes()
    assert b"DUPONT" not in made
    assert struct.unpack("<f", made[108:112]) == (352.0,)
    assert made[352:] == np.arange(24, dtype="<i2").reshape(2, 3, 4).tobytes(order="F")


@pytest.mark.parametrize("content", ["", "no NIfTI file at all"])
def test_what_is_no_nifti_file_is_refused(places, tmp_path, monkeypatch, content):
    stand_in(monkeypatch, tmp_path, f'printf "{content}" > "$OUT/image.nii"')
    with pytest.raises(ImageError, match="NOT_CONVERTED"):
        conversion.convert(*places)


@pytest.mark.parametrize("text", ["{", "[1]", "", json.dumps("x")])
def test_a_sidecar_that_makes_no_sense_is_empty(places, tmp_path, monkeypatch, text):
    source = nifti(tmp_path / "any.nii")
    (tmp_path / "any.json").write_text(text)
    stand_in(monkeypatch, tmp_path, f'cp "{source}" "$OUT/image.nii"; cp "{tmp_path}/any.json" "$OUT/image.json"')
    assert conversion.convert(*places).sidecar == {}


def test_a_status_other_than_zero_is_told_without_what_was_printed(places, tmp_path, monkeypatch, capfd):
    source = nifti(tmp_path / "any.nii")
    stand_in(monkeypatch, tmp_path, f'echo DUPONT; echo DUPONT >&2; cp "{source}" "$OUT/image.nii"; exit 3')
    with pytest.raises(ImageError, match=r"NOT_CONVERTED: dcm2niix made no image of its files \(exit status 3\)"):
        conversion.convert(*places)
    assert capfd.readouterr() == ("", "")


def test_a_hang_ends_with_the_time_limit(places, tmp_path, monkeypatch):
    stand_in(monkeypatch, tmp_path, "exec sleep 60")
    with pytest.raises(ImageError, match="TIMEOUT"):
        conversion.convert(*places, timeout_s=0.2)
