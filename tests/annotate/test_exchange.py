import pytest

from qcbench import store
from qcbench.annotate.exchange import import_labels
from qcbench.errors import UsageError

HEADER = "rater,image_id,straight_reject,gadolinium,motion,contrast,noise,comment\n"


@pytest.fixture
def catalogue(study):
    store.write(
        study,
        "images",
        [
            {"image_id": f"sub-0{n}_T1w", "participant_id": f"sub-0{n}", "source_path": "x", "simulated": False}
            for n in (1, 2, 3)
        ],
    )
    return study


def write_csv(tmp_path, text):
    file = tmp_path / "labels.csv"
    file.write_text(HEADER + text)
    return file


def test_labels_are_read_and_grades_may_be_written_as_floats(catalogue, tmp_path):
    file = write_csv(tmp_path, "alice,sub-01_T1w,false,True,1.0,0,2,blurred\nalice,sub-02_T1w,yes,,,,,\n")
    assert import_labels(catalogue, file).done == 2
    first, second = store.labels(catalogue)
    assert (first["gadolinium"], first["motion"], first["noise"], first["tier"]) == (True, 1, 2, 3)
    assert (first["comment"], first["source"]) == ("blurred", "imported")
    assert (second["straight_reject"], second["motion"], second["tier"]) == (True, None, None)


def test_importing_again_adds_nothing(catalogue, tmp_path):
    file = write_csv(tmp_path, "alice,sub-01_T1w,false,false,0,0,0,\n")
    import_labels(catalogue, file)
    again = import_labels(catalogue, file)
    assert (again.done, again.unchanged) == (0, 1)
    assert len(store.label_events(catalogue, "alice")) == 1


def test_a_later_label_of_the_same_image_supersedes_the_earlier_one(catalogue, tmp_path):
    import_labels(catalogue, write_csv(tmp_path, "alice,sub-01_T1w,false,false,2,0,0,\n"))
    import_labels(catalogue, write_csv(tmp_path, "alice,sub-01_T1w,false,false,1,0,0,\n"))
    (label,) = store.labels(catalogue)
    assert (label["motion"], label["n_revisions"]) == (1, 1)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("alice,sub-01_T1w,false,false,3,0,0,", "motion must be one of 0, 1, 2"),
        ("alice,sub-01_T1w,false,false,,0,0,", "motion is not set"),
        ("alice,sub-01_T1w,false,false,0.5,0,0,", "whole grade"),
        ("alice,sub-01_T1w,maybe,false,0,0,0,", "straight_reject must be true or false"),
        ("mallory,sub-01_T1w,true,,,,,", "'mallory' is no rater"),
        ("alice,sub-99_T1w,true,,,,,", "not in the study's catalogue"),
    ],
)
def test_a_wrong_line_is_listed_and_the_others_are_kept(catalogue, tmp_path, line, complaint):
    summary = import_labels(catalogue, write_csv(tmp_path, f"{line}\nbob,sub-03_T1w,true,,,,,\n"))
    assert complaint in summary.failed["line 2"]
    assert summary.done == 1
    assert summary.exit_status == 1


def test_a_file_with_other_columns_is_refused(catalogue, tmp_path):
    file = tmp_path / "other.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="lacks the column 'rater'"):
        import_labels(catalogue, file)


def test_a_hidden_repeat_does_not_stand_in_the_way_of_a_later_label(catalogue, tmp_path):
    header = HEADER.replace("comment", "purpose")
    file = tmp_path / "labels.csv"
    file.write_text(
        header
        + "alice,sub-01_T1w,false,false,0,0,0,label\n"
        + "alice,sub-01_T1w,false,false,1,0,0,label\n"
        + "alice,sub-01_T1w,false,false,0,0,0,repeat\n"
        + "alice,sub-01_T1w,false,false,2,0,0,label\n"
    )
    assert import_labels(catalogue, file).done == 4
    (label,) = store.labels(catalogue)
    assert (label["motion"], label["n_revisions"]) == (2, 2)


def test_a_column_that_a_spreadsheet_added_makes_no_new_labels(catalogue, tmp_path):
    import_labels(catalogue, write_csv(tmp_path, "alice,sub-01_T1w,true,,,,,\n"))
    wider = tmp_path / "wider.csv"
    wider.write_text(HEADER.strip() + ",Unnamed\nalice,sub-01_T1w,true,,,,,,7\n")
    again = import_labels(catalogue, wider)
    assert (again.done, again.unchanged) == (0, 1)


def test_a_line_older_than_the_label_that_counts_does_not_replace_it(catalogue, tmp_path):
    header = HEADER.replace("comment", "saved_at")
    for motion, day in ((2, "2026-02-02"), (0, "2020-01-01")):
        (tmp_path / f"{motion}.csv").write_text(header + f"alice,sub-01_T1w,false,false,{motion},0,0,{day}\n")
    import_labels(catalogue, tmp_path / "2.csv")
    summary = import_labels(catalogue, tmp_path / "0.csv")
    assert "older than the label" in summary.failed["line 2"]
    assert store.labels(catalogue)[0]["motion"] == 2
