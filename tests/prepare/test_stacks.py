import shutil

import numpy as np
import pydicom
import pytest

from qcbench.errors import ImageError
from qcbench.images import Volume
from qcbench.prepare import staging
from qcbench.prepare.dicom_series import write_series
from qcbench.prepare.invented import SCANNERS, Description, draw_patient
from qcbench.prepare.stacks import link, stacks
from tests.prepare.synthetic_pacs import edit, uid

T1 = Description(study="IRM", series="T1", protocol="p", body_part="BRAIN")
OBLIQUE = np.array([[0.8, -0.6, 0, 5], [0.6, 0.8, 0, -9], [0, 0, 1.5, 3], [0, 0, 0, 1]])


def write(folder, *, n_slices=6, affine=OBLIQUE, **arguments):
    volume = Volume(data=np.full((5, 4, n_slices), 100, np.float32), affine=affine)
    patient = draw_patient(1)
    return write_series(
        folder, volume, scanner=SCANNERS[0], description=T1, patient=patient, seed=1, numbered_files=True, **arguments
    )


def found(folder):
    return stacks([staging.listed(str(path)) for path in sorted(folder.rglob("IM*"))])


@pytest.mark.parametrize("slice_axis", [0, 1, 2])
def test_a_whole_series_is_one_stack_in_the_order_of_its_places(tmp_path, slice_axis):
    files = write(tmp_path, slice_axis=slice_axis)
    for number, path in enumerate(files):
        path.rename(tmp_path / f"IM{(7 * number) % 11}")
    (stack,) = found(tmp_path)
    numbers = [int(pydicom.dcmread(path).InstanceNumber) for path in stack.paths]
    assert (stack.n_slices, stack.fault) == ((5, 4, 6)[slice_axis], None)
    assert numbers in (sorted(numbers), sorted(numbers, reverse=True))


@pytest.mark.parametrize(("missing", "told"), [([3], "1 of 6"), ([2, 3], "2 of 6"), ([2, 5], "2 of 6")])
def test_a_gap_is_counted(tmp_path, missing, told):
    write(tmp_path, missing=missing)
    (stack,) = found(tmp_path)
    assert str(stack.fault) == f"INCOMPLETE: {told} slices are missing"


def test_slices_missing_at_an_end_cannot_be_told(tmp_path):
    write(tmp_path, missing=[1, 6])
    (stack,) = found(tmp_path)
    assert (stack.n_slices, stack.fault) == (4, None)


def test_copies_under_one_uid_or_two_count_once(tmp_path):
    for path in write(tmp_path):
        shutil.copy(path, path.with_name(f"IMcopy{path.name}"))
        edit(shutil.copy(path, path.with_name(f"IMagain{path.name}")), SOPInstanceUID=uid(path))
    (stack,) = found(tmp_path)
    assert (stack.n_slices, len(stack.paths), stack.fault) == (6, 6, None)


def test_several_volumes_at_one_place_are_no_image(tmp_path):
    for path in write(tmp_path):
        again = shutil.copy(path, path.with_name(f"IMagain{path.name}"))
        edit(again, SOPInstanceUID=uid(path), InstanceNumber=100 + int(path.name[2:]))
    (stack,) = found(tmp_path)
    assert (stack.n_slices, stack.fault.code) == (6, "SEVERAL")


@pytest.mark.parametrize(
    "change",
    [
        {"EchoTime": 55},
        {"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]},
        {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]},
        {"PixelSpacing": [2, 2]},
    ],
)
def test_what_differs_in_geometry_echo_or_kind_is_a_stack_of_its_own(tmp_path, change):
    write(tmp_path)
    for path in write(tmp_path / "other"):
        edit(path, SOPInstanceUID=uid(path), **change)
    assert sorted(len(stack.paths) for stack in found(tmp_path)) == [6, 6]
    assert len({stack.name for stack in found(tmp_path)}) == 2


def test_the_name_of_a_stack_holds_no_text_of_a_header(tmp_path):
    for path in write(tmp_path):
        edit(path, ImageType=["ORIGINAL", "PRIMARY", "DUPONT"], SeriesDescription="DUPONT")
    (stack,) = found(tmp_path)
    assert "DUPONT" not in stack.name


def test_a_file_that_changed_since_it_was_listed_is_refused(tmp_path):
    files = [staging.listed(str(path)) for path in write(tmp_path)]
    edit(tmp_path / "IM0002", SeriesDescription="changed since then")
    with pytest.raises(ImageError, match="UNREADABLE: a file has changed"):
        stacks(files)


def test_links_have_numbers_for_names(tmp_path):
    write(tmp_path / "source")
    (stack,) = found(tmp_path / "source")
    (tmp_path / "staged").mkdir()
    link(stack, tmp_path / "staged")
    assert sorted(path.name for path in (tmp_path / "staged").iterdir()) == [f"00000{n}.dcm" for n in range(6)]
    assert {path.resolve() for path in (tmp_path / "staged").iterdir()} == set((tmp_path / "source").iterdir())
