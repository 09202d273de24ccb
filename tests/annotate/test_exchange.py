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


def test_a_tsv_with_other_names_and_no_rater_is_read_with_a_column_map(catalogue, tmp_path):
    file = tmp_path / "labels.tsv"
    file.write_text(
        "scan\trejected\tgadolinium\tmotion\tcontrast\tnoise\nsub-01_T1w\tno\tn/a\t0\t1\t0\nsub-02_T1w\tyes\tn/a\tn/a\tn/a\tn/a\n"
    )
    columns = {"image_id": "scan", "straight_reject": "rejected"}
    summary = import_labels(catalogue, file, rater="bob", columns=columns)
    assert summary.done == 1
    assert "gadolinium is not set" in summary.failed["line 2"]
    [label] = store.labels(catalogue)
    assert (label["rater"], label["image_id"], label["straight_reject"]) == ("bob", "sub-02_T1w", True)
    with pytest.raises(UsageError, match="lacks the column 'scan_id'"):
        import_labels(catalogue, file, rater="bob", columns={**columns, "image_id": "scan_id"})


def test_letters_of_the_quality_control_interface_are_read_and_its_false_rows_are_not(catalogue, tmp_path):
    file = tmp_path / "qc.txt"
    file.write_text(
        "0 | img_id | code | label\n"
        "0 | sub-01_T1w.png | kzz | Tier 3\n"
        "1 | sub-02_T1w.png | r | Straigh Reject\n"
        "1 | sub-02_T1w.png |  | Tier 1 - \n"
        "2 | sub-03_T1w.png | q | Tier 1 - \n"
        "3 | sub-01_T1w.png | kz | Tier 2\n"
    )
    with pytest.raises(UsageError, match="names no rater"):
        import_labels(catalogue, file)
    summary = import_labels(catalogue, file, rater="alice")
    assert (summary.done, sorted(summary.failed)) == (3, ["line 4", "line 5"])
    labels = {label["image_id"]: label for label in store.labels(catalogue)}
    assert (labels["sub-01_T1w"]["contrast"], labels["sub-01_T1w"]["gadolinium"]) == (1, True)
    assert labels["sub-01_T1w"]["n_revisions"] == 1
    assert labels["sub-02_T1w"]["straight_reject"] is True
    assert "sub-03_T1w" not in labels


def test_images_without_any_letter_are_counted_because_a_stray_space_looks_the_same(catalogue, tmp_path):
    file = tmp_path / "qc.txt"
    file.write_text("0 | img_id | code | label\n0 | sub-01_T1w.png |  | Tier 1 - \n")
    summary = import_labels(catalogue, file, rater="alice")
    assert summary.done == 1
    assert "1 images have no letter" in summary.notes[0]


@pytest.mark.parametrize("sign", ["\u2028", "\x0b", "\x85"])
def test_a_comment_with_a_sign_that_ends_a_line_elsewhere_takes_nothing_from_its_label(catalogue, tmp_path, sign):
    file = tmp_path / "labels.csv"
    columns = "rater,image_id,straight_reject,comment,saved_at\n"
    file.write_text(f"{columns}alice,sub-01_T1w,true,two{sign}words,2026-01-05T10:00:00+00:00\n", encoding="utf-8")
    assert (import_labels(catalogue, file).done, import_labels(catalogue, file).failed) == (1, {})
    (label,) = store.labels(catalogue)
    assert (label["comment"], label["saved_at"].isoformat()) == (f"two{sign}words", "2026-01-05T10:00:00+00:00")


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1"])
def test_a_time_that_is_none_is_listed_and_not_stored(catalogue, tmp_path, seconds):
    file = tmp_path / "labels.csv"
    file.write_text(f"rater,image_id,straight_reject,seconds\nalice,sub-01_T1w,true,{seconds}\n")
    summary = import_labels(catalogue, file)
    assert (summary.done, list(summary.failed)) == (0, ["line 2"])
    assert f"seconds must be a number from 0 on, got '{seconds}'" in summary.failed["line 2"]
