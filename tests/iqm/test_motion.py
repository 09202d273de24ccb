import numpy as np
import pytest

from qcbench.errors import UsageError
from qcbench.iqm import motion
from qcbench.iqm.reasons import NotMeasurableError


def test_a_rotation_counts_as_its_arc_on_a_sphere_of_50_mm():
    still, turned = np.zeros(6), np.array([0, 0, 0, 0, 0, 0.02])
    shifted = np.array([0.3, -0.4, 0.1, 0, 0, 0.02])
    assert motion.framewise_displacement(np.array([still, turned, shifted, still])) == pytest.approx([1.0, 0.8, 1.8])


def test_the_percentage_is_that_of_the_volumes():
    assert motion.fd_summary(np.array([0.2, 0.21, 0.0])) == pytest.approx({"mean": 0.41 / 3, "num": 1, "perc": 25.0})


def test_a_single_volume_has_no_motion():
    with pytest.raises(NotMeasurableError, match="single volume"):
        motion.fd_summary(motion.framewise_displacement(np.zeros((1, 6))))


def test_the_same_motion_is_read_from_three_programs(tmp_path):
    expected = np.array([[0, 0, 0, 0, 0, 0], [0.1, -0.2, 0.3, 0.01, 0.02, -0.03]])
    fmriprep, fsl, afni = (tmp_path / name for name in ("confounds.tsv", "mc.par", "dfile.1D"))
    fmriprep.write_text(
        "csf\trot_x\trot_y\trot_z\ttrans_x\ttrans_y\ttrans_z\n"
        "n/a\t0\t0\t0\t0\t0\t0\n"
        "5.0\t0.01\t0.02\t-0.03\t0.1\t-0.2\t0.3\n"
    )
    fsl.write_text("0 0 0 0 0 0  \n0.01  0.02  -0.03  0.1  -0.2  0.3\n")
    roll, pitch, yaw = np.degrees([-0.03, 0.01, 0.02])
    afni.write_text(f"# 3dvolreg\n0 0 0 0 0 0\n{roll} {pitch} {yaw} 0.3 0.1 -0.2\n")
    for path in (fmriprep, fsl, afni):
        assert motion.read_parameters(path) == pytest.approx(expected), path.name


@pytest.mark.parametrize(
    ("name", "content", "missing"),
    [
        ("motion.txt", "0 0 0 0 0 0\n", "named?|name the file"),
        ("mc.par", "0 0 0\n0 0 0\n", "six"),
        ("mc.par", "a b c d e f\n", "six"),
        ("mc.par", "nan 0 0 0 0 0\n", "six"),
        ("confounds.tsv", "trans_x\ttrans_y\n0\t0\n", "six"),
        ("dfile.1D", "1 2 3\n", "six"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, missing):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(UsageError, match=missing):
        motion.read_parameters(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"mc\.par"):
        motion.read_parameters(tmp_path / "mc.par")
