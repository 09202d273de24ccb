import re
import shutil
from pathlib import Path

import pytest

from qcbench import protocol
from qcbench.errors import ProtocolError, StudyError
from qcbench.study import Study


def test_a_made_study_can_be_opened_again(tmp_path):
    Study.create(tmp_path / "s", raters=["alice", "bob"], consensus_raters=["sim-1", "sim-2"])
    study = Study(tmp_path / "s")
    assert study.raters == ("alice", "bob")
    assert study.consensus_raters == ("sim-1", "sim-2")
    assert study.all_raters == ("alice", "bob", "sim-1", "sim-2")
    assert study.protocol.name == "t1w-warehouse"


def test_a_folder_without_study_toml_says_how_to_make_one(tmp_path):
    with pytest.raises(StudyError, match="qcbench init"):
        Study(tmp_path)


def test_a_study_is_never_made_over_another(study):
    with pytest.raises(StudyError, match="nothing was changed"):
        Study.create(study.folder, raters=["carol"])
    assert Study(study.folder).raters == ("alice", "bob")


@pytest.mark.parametrize("name", ["Alice", "../bob", "a b", "", "é", "x" * 33, "<script>"])
def test_a_rater_name_that_could_be_a_path_or_markup_is_refused(tmp_path, name):
    with pytest.raises(StudyError, match="raters"):
        Study.create(tmp_path / "s", raters=[name])


def test_a_stranger_has_no_label_folder(study):
    with pytest.raises(StudyError, match="mallory"):
        study.label_folder("mallory")


@pytest.mark.parametrize("path", ["../outside.png", "/etc/passwd", "a/../../b"])
def test_a_table_cannot_point_outside_the_study(study, path):
    with pytest.raises(StudyError, match="outside"):
        study.absolute(path)


def test_a_study_keeps_a_copy_of_its_own_protocol(tmp_path):
    own = tmp_path / "own.toml"
    own.write_bytes(_shipped().replace(b'version = "1"', b'version = "ours"'))
    study = Study.create(tmp_path / "s", raters=["alice"], protocol=str(own))
    own.unlink()
    assert Study(study.folder).protocol.version == "ours"


def test_a_study_keeps_the_exemplars_of_its_own_protocol(tmp_path):
    source = tmp_path / "ours"
    (source / "pictures").mkdir(parents=True)
    (source / "pictures" / "noise.png").write_bytes(b"\x89PNG\r\n\x1a\n grain")
    grain = b'key = "KeyX", exemplar = "pictures/noise.png",'
    (source / "own.toml").write_bytes(_shipped().replace(b'key = "KeyX",', grain))
    made = Study.create(tmp_path / "s", raters=["alice"], protocol=str(source / "own.toml"))
    before = made.protocol.sha256
    shutil.rmtree(source)
    (tmp_path / "s").rename(tmp_path / "moved")
    moved = Study(tmp_path / "moved").protocol
    assert moved.read_exemplar("noise", 1) == b"\x89PNG\r\n\x1a\n grain"
    assert moved.sha256 == before


def test_an_unknown_protocol_makes_no_study(tmp_path):
    with pytest.raises(ProtocolError, match="t1w-warehouse"):
        Study.create(tmp_path / "s", raters=["alice"], protocol="nonsense")
    assert not (tmp_path / "s").exists()


def test_a_wrong_study_toml_is_named(study):
    (study.folder / "study.toml").write_text("raters = 'alice'\n")
    with pytest.raises(StudyError, match=r"study\.toml: raters must be a list"):
        Study(study.folder)


def _shipped():
    """The shipped protocol without its pictures."""
    file = Path(protocol.__file__).parent / "protocols" / "t1w-warehouse.toml"
    return re.sub(rb', exemplar = "[^"]+"', b"", file.read_bytes())
