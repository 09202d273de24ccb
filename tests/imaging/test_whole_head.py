import gzip
import hashlib

import numpy as np
import pytest
from scipy import ndimage

from qcbench import images
from qcbench.errors import UsageError
from qcbench.imaging import crop, geometry, template, whole_head

#: MNI152NLin2009cSym at 1 mm, and a grid of the same extent at 4 mm, which is quicker.
AFFINE_09C = np.array([[1.0, 0, 0, -96], [0, 1, 0, -132], [0, 0, 1, -78], [0, 0, 0, 1]])
SHAPE, AFFINE = (48, 57, 48), np.array([[4.0, 0, 0, -96], [0, 4, 0, -132], [0, 0, 4, -78], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def made_up():
    """A whole head: nilearn's brain, a dark skull, a bright scalp."""
    known = template.load().coarse(4)
    t1, brain = (
        crop.resample(getattr(known, part).astype(np.float32), known.affine, np.eye(4), SHAPE, AFFINE)
        for part in ("t1", "brain")
    )
    beyond_mm = ndimage.distance_transform_edt(brain < 0.5, sampling=4)
    return (1000 * t1 + 900 * ((beyond_mm > 8) & (beyond_mm < 18))).astype(np.int16)


@pytest.fixture
def file(made_up, tmp_path):
    path = tmp_path / "head.nii"
    images.save_volume(path, made_up, AFFINE)
    return path


@pytest.fixture
def empty_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(tmp_path / "flow"))
    monkeypatch.setattr(whole_head, "find_spec", lambda name: None)
    return tmp_path


@pytest.fixture
def as_clinicas(monkeypatch, file):
    """The made-up file counts as Clinica's."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setattr(whole_head, "_SHA256_09C", (digest[:8], digest[-7:]))
    return file


def test_the_crop_of_the_paper_is_the_canonical_grid_voxel_for_voxel():
    assert whole_head.GRID_09C_SHAPE == (193, 229, 193)
    assert np.array_equal(AFFINE_09C[:3, 3], whole_head.GRID_09C_CORNER_MM)
    data = np.random.default_rng(0).random(whole_head.GRID_09C_SHAPE, dtype=np.float32)
    cut = data[12:181, 13:221, 0:179]
    assert cut.shape == geometry.CANONICAL_SHAPE
    assert np.array_equal(AFFINE_09C @ [12, 13, 0, 1], geometry.CANONICAL_AFFINE[:, 3])
    assert np.array_equal(crop.to_canonical(data, AFFINE_09C, np.eye(4)), cut)


def test_the_known_file_needs_no_name(as_clinicas):
    found = whole_head.choose(as_clinicas)
    assert found.name == "MNI152NLin2009cSym whole head (Clinica's file)"
    assert found.space == "MNI152NLin2009cSym"
    assert found.sha256 == hashlib.sha256(as_clinicas.read_bytes()).hexdigest()
    assert not found.is_brain_only
    assert found.t1.shape == found.brain.shape == SHAPE
    assert 1.7e6 < 64 * found.brain.sum() < 2.0e6


def test_the_known_file_is_known_when_packed(as_clinicas, tmp_path):
    packed = tmp_path / "head.nii.gz"
    packed.write_bytes(gzip.compress(as_clinicas.read_bytes()))
    found = whole_head.choose(packed)
    assert found.space == "MNI152NLin2009cSym"
    assert found.sha256 == hashlib.sha256(packed.read_bytes()).hexdigest()  # of the file as it lies there


def test_another_file_is_refused_unless_it_has_a_name(file):
    with pytest.raises(UsageError, match=r"not Clinica's.*93359ab9.*64eaa34.*name of letters"):
        whole_head.choose(file)
    with pytest.raises(UsageError, match="letters and digits"):
        whole_head.choose(file, "our heads")
    found = whole_head.choose(file, "OurHeads")
    assert (found.name, found.space) == ("OurHeads (own template)", "OurHeads")


def test_a_file_cut_short_or_missing_says_so(as_clinicas, tmp_path):
    short = tmp_path / "short.nii"
    short.write_bytes(as_clinicas.read_bytes()[:-1000])
    with pytest.raises(UsageError, match="cut short"):
        whole_head.choose(short)
    with pytest.raises(UsageError, match="cannot be used"):
        whole_head.choose(short, "Short")
    with pytest.raises(UsageError, match="missing"):
        whole_head.choose(tmp_path / "nowhere.nii")


def test_a_head_out_of_mni_space_and_one_without_a_skull_are_refused(made_up, tmp_path):
    shifted = AFFINE.copy()
    shifted[1, 3] += 40
    images.save_volume(tmp_path / "shifted.nii", made_up, shifted)
    with pytest.raises(UsageError, match="does not lie in MNI space"):
        whole_head.choose(tmp_path / "shifted.nii", "Shifted")
    known = template.load().coarse(4)
    images.save_volume(tmp_path / "brain.nii", known.t1, known.affine)
    with pytest.raises(UsageError, match="no skull"):
        whole_head.choose(tmp_path / "brain.nii", "Brain")


def test_without_a_whole_head_anywhere_nilearns_brain_serves(empty_machine):
    assert whole_head.choose(look_around=True) is template.load()
    assert whole_head.choose() is template.load()


def test_templateflows_placeholder_is_passed_over_and_its_file_taken(empty_machine, file):
    folder = empty_machine / "flow" / "tpl-MNI152NLin2009cSym"
    folder.mkdir(parents=True)
    kept = folder / "tpl-MNI152NLin2009cSym_res-1_T1w.nii.gz"
    kept.write_bytes(b"")
    assert whole_head.choose(look_around=True) is template.load()
    kept.write_bytes(gzip.compress(file.read_bytes()))
    assert whole_head.choose(look_around=True).name == "MNI152NLin2009cSym whole head (TemplateFlow)"
    assert whole_head.choose() is template.load()  # not asked to look around


def test_a_link_to_nowhere_is_passed_over(empty_machine):
    folder = empty_machine / "flow" / "tpl-MNI152NLin2009cSym"
    folder.mkdir(parents=True)
    (folder / "tpl-MNI152NLin2009cSym_res-1_T1w.nii.gz").symlink_to("gone")
    assert whole_head.choose(look_around=True).is_brain_only


def test_millimetres_are_millimetres_whatever_the_voxels_of_the_file(file):
    own = whole_head.choose(file, "own")
    assert own.at_mm(4) is own
    assert np.linalg.norm(own.at_mm(8).affine[:3, 0]) == pytest.approx(8)
    assert np.linalg.norm(template.load().at_mm(8).affine[:3, 0]) == pytest.approx(8)


def test_clinicas_own_copy_is_taken_when_it_is_whole(empty_machine, as_clinicas, monkeypatch, tmp_path):
    folder = tmp_path / "clinica" / "resources" / "masks"
    folder.mkdir(parents=True)
    copy = folder / "mni_icbm152_t1_tal_nlin_sym_09c.nii"
    copy.write_bytes(as_clinicas.read_bytes())
    installed = type("Spec", (), {"submodule_search_locations": [str(tmp_path / "clinica")]})
    monkeypatch.setattr(whole_head, "find_spec", lambda name: installed)
    assert whole_head.choose(look_around=True).name == "MNI152NLin2009cSym whole head (Clinica)"
    copy.write_bytes(b"half a download")
    assert whole_head.choose(look_around=True) is template.load()
