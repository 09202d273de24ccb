import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcbench.errors import UsageError
from qcbench.prepare import bids


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("sub-01_T1w", "sub-01_T1w"),
        ("sub-01_ses-M00_run-02_T1w", "sub-01_ses-M00_run-02_T1w"),
        ("ses-2_sub-01_acq-mprage_T1w", "sub-01_ses-2_acq-mprage_T1w"),
        ("sub-01", "sub-01_T1w"),
        ("sub-01_ses-1_T1w_brain", "sub-01_ses-1_T1w"),
        ("ds000011_sub-01_T1w", "sub-01_T1w"),
        ("patient 7", "sub-patient7_T1w"),
        ("IXI002-Guys-0828_T1w", "sub-IXI002Guys0828_T1w"),
        ("sub-01_inplaneT2", "sub-01_inplaneT2"),
        ("sub-01_task-rest_bold", "sub-01_task-rest_bold"),
    ],
)
def test_a_file_name_becomes_a_bids_name(file, expected):
    assert str(bids.parse(file)) == expected


@given(st.text(max_size=40))
def test_any_name_at_all_becomes_one_that_is_read_back_the_same(text):
    name = bids.parse(text)
    assert name.entities["sub"].isascii() and name.entities["sub"].isalnum()
    assert str(bids.parse(str(name))) == str(name)
    assert "/" not in name.folder.removeprefix("sub-" + name.entities["sub"]).removesuffix("/anat").strip("/")


def test_the_folder_is_that_of_the_session():
    assert bids.parse("sub-01_T1w").folder == "sub-01/anat"
    assert bids.parse("sub-01_ses-M00_T1w").folder == "sub-01/ses-M00/anat"


def test_a_free_name_is_kept():
    name = bids.parse("sub-01_T1w")
    assert bids.distinct(name, "a/sub-01_T1w.nii", set()) is name


def test_a_clash_keeps_the_participant_of_a_bids_name_and_parts_people_of_made_up_names():
    same_person = bids.distinct(bids.parse("sub-01_T1w"), "b/sub-01_T1w.nii.gz", {"sub-01_t1w"})
    other_person = bids.distinct(bids.parse("a b"), "a b.nii.gz", {"sub-ab_t1w"})
    assert same_person.entities["sub"] == "01"
    assert same_person.entities["acq"]
    assert other_person.entities["sub"].startswith("ab")
    assert other_person.entities["sub"] != "ab"


def test_a_clash_is_resolved_the_same_way_every_time():
    names = {str(bids.distinct(bids.parse("sub-01_T1w"), "b/sub-01_T1w.nii", {"sub-01_t1w"})) for _ in range(3)}
    assert len(names) == 1


def test_names_that_differ_by_case_only_clash():
    assert str(bids.distinct(bids.parse("sub-AB_T1w"), "x", {"sub-ab_t1w"})) != "sub-AB_T1w"


def test_a_sidecar_is_read_and_a_missing_one_is_empty(tmp_path):
    (tmp_path / "a.json").write_text('{"EchoTime": 0.003}')
    assert bids.read_sidecar(tmp_path / "a.nii.gz") == {"EchoTime": 0.003}
    assert bids.read_sidecar(tmp_path / "b.nii.gz") == {}


@pytest.mark.parametrize("content", ["{", "[1, 2]", "\udcff"])
def test_a_damaged_sidecar_is_named(tmp_path, content):
    (tmp_path / "a.json").write_text(content, errors="surrogateescape")
    with pytest.raises(UsageError, match=r"a\.json"):
        bids.read_sidecar(tmp_path / "a.nii")


def test_participants_survive_the_way_to_the_file_and_back(tmp_path):
    rows = [
        {"participant_id": "sub-02", "age_years": None, "sex": None},
        {"participant_id": "sub-01", "age_years": None, "sex": "F"},
        {"participant_id": "sub-01", "age_years": 45.0, "sex": "F"},
    ]
    bids.write_participants(tmp_path, rows)
    assert (tmp_path / "participants.tsv").read_text() == (
        "participant_id\tage\tsex\nsub-01\t45\tF\nsub-02\tn/a\tn/a\n"
    )
    assert bids.read_participants(tmp_path)["sub-01"]["age"] == "45"
    assert bids.read_participants(tmp_path / "nowhere") == {}


def test_a_dataset_describes_itself(tmp_path):
    bids.write_description(tmp_path, name="mine", derivative=True)
    content = json.loads((tmp_path / "dataset_description.json").read_text())
    assert content["DatasetType"] == "derivative"
    assert content["GeneratedBy"][0]["Name"] == "qcbench"
    assert {"Name", "BIDSVersion"} <= set(content)


def test_no_age_above_89_is_in_the_table_of_participants(tmp_path):
    bids.write_participants(tmp_path, [{"participant_id": "sub-1", "age_years": 93.5, "sex": "F"}])
    assert (tmp_path / "participants.tsv").read_text().splitlines()[1] == "sub-1\t89\tF"
