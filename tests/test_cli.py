import json
import subprocess
import sys
import tempfile

import pytest

from qcbench import store
from qcbench.study import Study


def qcbench(*arguments):
    command = [sys.executable, "-c", "from qcbench.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_init_makes_a_study_and_says_what_comes_next(tmp_path):
    result = qcbench("init", tmp_path / "s", "--raters", "alice,bob")
    assert result.returncode == 0
    assert "qcbench ingest" in result.stdout
    assert Study(tmp_path / "s").raters == ("alice", "bob")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["consensus", "nowhere"], "is no study"),
        (["init", "{tmp}/s", "--raters", "Al Ice"], "lower-case"),
        (["import-labels", "{study}", "{tmp}/missing.csv"], "cannot be read"),
        (["train", "{study}"], "qcbench"),
        (["sample", "{study}", "--n", "5"], "qcbench preprocess"),
        (["simulate", "{study}", "--from", "all"], "qcbench ingest"),
        (["attributes", "{tmp}/nowhere", "{tmp}/list.csv"], "no folder and no export"),
        (["label", "{study}", "--rater", "mallory"], "'mallory' is no rater"),
        (["doctor", "{tmp}/nowhere"], "is no study"),
    ],
)
def test_bad_use_is_one_clear_line_and_status_2(study, tmp_path, arguments, complaint):
    result = qcbench(*(text.format(tmp=tmp_path, study=study.folder) for text in arguments))
    assert result.returncode == 2
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_an_unknown_verb_is_status_2():
    assert qcbench("frobnicate").returncode == 2


def test_json_on_standard_output_is_all_there_is(study):
    result = qcbench("consensus", study.folder, "--json")
    summary = json.loads(result.stdout)
    assert (summary["stage"], summary["done"]) == ("consensus", 0)


def test_a_failed_line_is_listed_and_status_1(study, tmp_path):
    store.write(
        study,
        "images",
        [{"image_id": "sub-01_T1w", "participant_id": "sub-01", "source_path": "x", "simulated": False}],
    )
    file = tmp_path / "labels.csv"
    file.write_text("rater,image_id,straight_reject\nalice,sub-01_T1w,true\nalice,sub-99_T1w,true\n")
    result = qcbench("import-labels", study.folder, file)
    assert result.returncode == 1
    assert "1 done" in result.stdout
    assert "FAILED line 3" in result.stdout


def test_a_missing_extra_names_its_install_command(study):
    hide = "import sys; sys.modules['krippendorff'] = None; "
    command = [sys.executable, "-c", hide + "from qcbench.cli import main; main()", "agreement", str(study.folder)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert "pip install 'qcbench[" in result.stderr


def test_the_doctor_prints_a_line_a_finding_and_the_same_as_json(study):
    result = qcbench("doctor", study.folder)
    assert result.stderr == ""
    assert "WARNING  blindness" in result.stdout
    as_json = qcbench("doctor", study.folder, "--json")
    summary = json.loads(as_json.stdout)
    assert (summary["stage"], summary["problem"]) == ("doctor", as_json.returncode)
    assert {"filesystem", "voila", "offline", "memory"} <= {finding["name"] for finding in summary["findings"]}


def test_the_doctor_exits_with_1_when_labels_would_be_lost():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        Study.create(f"{folder}/study", raters=["alice"])
        result = qcbench("doctor", f"{folder}/study")
    assert result.returncode == 1
    assert "PROBLEM  filesystem" in result.stdout
    assert "next: Move the study folder to a disk" in result.stdout


def test_the_doctor_needs_no_study():
    result = qcbench("doctor", "--json")
    assert result.returncode == 0
    assert "blindness" not in result.stdout


def test_every_verb_has_help():
    listed = qcbench("--help").stdout
    for verb in (
        "demo",
        "init",
        "attributes",
        "ingest",
        "preprocess",
        "label",
        "doctor",
        "import-labels",
        "agreement",
        "consensus",
    ):
        assert verb in listed
        assert qcbench(verb, "--help").returncode == 0
