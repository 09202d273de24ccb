import io

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcbench import schema
from qcbench.report import tables
from qcbench.report.inputs import read_tables, to_frame


@pytest.fixture(scope="module")
def data(filled_once):
    return read_tables(filled_once)


def steps_of(data, **options):
    steps = tables.workflow(
        data.images,
        data.preprocessed,
        data.labels,
        data.consensus,
        data.open_reviews,
        data.splits,
        raters=["alice", "bob"],
        **options,
    )
    return steps.set_index("Step")


def test_the_workflow_counts_each_step(data):
    assert steps_of(data)["Images"].to_dict() == {
        "in the catalogue": 12,
        "unreadable": 1,
        "excluded": 1,
        "preprocessing failed": 1,
        "waiting for preprocessing": 1,
        "preprocessed": 8,
        "waiting for labels": 1,
        "labelled by any rater": 8,
        "labelled by all consensus raters": 7,
        "waiting for a joint review": 1,
        "with a consensus": 6,
        "in cross-validation": 4,
        "in the test set": 2,
    }


def test_the_workflow_counts_participants_once(data):
    participants = steps_of(data)["Participants"]
    assert participants["in the catalogue"] == 11
    assert participants["with a consensus"] == 5


def test_images_that_were_not_drawn_do_not_wait_for_labels(data):
    steps = steps_of(data, drawn=["sub-05_T1w", "sub-06_T1w"])["Images"]
    assert (steps["not drawn for labelling"], steps["waiting for labels"]) == (1, 0)


@settings(max_examples=12, deadline=None)  # an example takes 0.1 s
@given(st.lists(st.tuples(*[st.booleans()] * 4), max_size=20))
def test_each_image_of_the_catalogue_is_counted_once(fates):
    catalogue = [
        {
            "image_id": f"i{n}",
            "participant_id": "p",
            "error": "x" if bad else None,
            "excluded_reason": "y" if out else None,
        }
        for n, (bad, out, _, _) in enumerate(fates)
    ]
    tried = [
        {"image_id": f"i{n}", "error": "x" if failed else None} for n, (_, _, done, failed) in enumerate(fates) if done
    ]
    empty = {name: to_frame([], schema.TABLES[name]) for name in ("labels", "consensus", "open_reviews", "splits")}
    steps = tables.workflow(
        to_frame(catalogue, schema.IMAGES), to_frame(tried, schema.PREPROCESSED), **empty, raters=["a"]
    ).set_index("Step")["Images"]
    ends = ["unreadable", "excluded", "preprocessing failed", "waiting for preprocessing", "preprocessed"]
    assert steps[ends].sum() == len(fates) == steps["in the catalogue"]


def test_table_1_has_a_row_per_scanner_and_a_total(data):
    table = tables.demographics(tables.usable(data.images))
    assert table["Manufacturer"].tolist() == ["GE", "Siemens", "not stated", "all"]
    assert table["Images"].tolist() == [3, 5, 2, 10]
    assert table["Participants"].tolist() == [3, 4, 2, 9]
    assert table["F/M"].tolist() == ["2/1", "1/3", "1/1", "4/5"]
    assert table["Age, years: mean ± sd [range]"].tolist() == [
        "50.0 ± 20.0 [30, 70]",
        "52.5 ± 9.6 [40, 60]",
        "80.0 [80, 80]",
        "55.0 ± 16.0 [30, 80]",
    ]
    assert table["Age not stated"].tolist() == [0, 1, 1, 2]
    assert table["Sex not stated"].tolist() == [0, 1, 0, 1]


def test_sex_is_read_from_words_too():
    rows = [{"image_id": str(n), "sex": sex} for n, sex in enumerate(["female", "Male", "f", "O", None])]
    table = tables.demographics(to_frame(rows, schema.IMAGES))
    assert table.iloc[-1][["F/M", "Sex not stated"]].tolist() == ["2/1", 2]


def test_reasons_are_counted_the_most_frequent_first():
    rows = [{"image_id": str(n), "excluded_reason": "few slices"} for n in range(2)]
    rows += [{"image_id": "x", "error": "EMPTY: no bytes"}, {"image_id": "y"}]
    assert tables.left_out(to_frame(rows, schema.IMAGES)).values.tolist() == [
        ["excluded: few slices", 2],
        ["unreadable: EMPTY: no bytes", 1],
    ]


def test_preprocessing_is_summed_up_per_preset(data):
    (row,) = tables.preprocessing_summary(data.preprocessed).to_dict("records")
    assert (row["Preset"], row["Done"], row["Failed"]) == ("fast", 8, 1)
    assert [row["Alignment: lowest"], row["median"], row["highest"]] == pytest.approx([0.25, 0.425, 0.6])
    assert tables.preprocessing_failures(data.preprocessed).values.tolist() == [["sub-03_T1w", "WorkerError: crashed"]]


def test_lowest_alignments_come_lowest_first(data):
    worst = tables.lowest_alignments(data.preprocessed, n=2)
    assert worst["image_id"].tolist() == ["sub-05_T1w", "sub-06_T1w"]


def test_labels_are_counted_per_rater(data):
    table = tables.labels_per_rater(data.labels).set_index("Noted")
    alice = table["alice"]
    assert alice["images labelled"] == 8
    assert alice["straight reject"] == 2
    assert alice[["with gadolinium", "without gadolinium"]].tolist() == [4, 2]
    assert alice[["motion 0", "motion 1", "motion 2"]].tolist() == [4, 1, 1]
    assert alice[["tier 1", "tier 2", "tier 3"]].tolist() == [2, 1, 3]
    assert table["bob"]["images labelled"] == 7


def test_a_simulated_rater_is_called_one():
    rows = [{"image_id": "a", "rater": "sim-1", "source": "simulated", "straight_reject": True, "n_revisions": 2}]
    table = tables.labels_per_rater(to_frame(rows, schema.LABELS)).set_index("Noted")
    assert table.columns.tolist() == ["sim-1 (simulated)"]
    assert table.loc["labels that were revised"].item() == 1


def test_only_written_comments_are_listed(data):
    assert tables.comments(data.labels).values.tolist() == [["sub-12_T1w", "alice", "tilted"]]


def test_agreement_gives_intervals_reasons_and_gaps(data):
    table = tables.agreement_table(data.agreement).set_index("Characteristic")
    assert table.index.tolist() == ["straight reject", "noise"]
    assert table.loc["straight reject", "kappa"] == "0.59 [0.10, 1.00]"
    assert table.loc["noise", "kappa linear"] == "undefined: one grade only"
    assert pd.isna(table.loc["noise", "kappa"])


def test_percent_agreement_has_one_decimal():
    row = {"characteristic": "tier", "statistic": "percent_agreement", "value": 90.14, "n": 3, "raters": "a,b"}
    table = tables.agreement_table(to_frame([row], schema.AGREEMENT))
    assert table["percent agreement"].tolist() == ["90.1"]


def test_the_class_is_the_tier_unless_rejected():
    rows = [{"image_id": "a", "straight_reject": True}, {"image_id": "b", "straight_reject": False, "tier": 2}]
    assert tables.class_of(to_frame(rows, schema.CONSENSUS)).tolist() == ["SR", "tier 2"]


def test_reasons_of_failed_preprocessing_are_counted_without_their_details():
    failed = pd.DataFrame({"error": ["TIMEOUT: 600 s", "TIMEOUT: 601 s", None, "CRASHED"]})
    assert tables.failure_reasons(failed).to_numpy().tolist() == [["TIMEOUT", 2], ["CRASHED", 1]]


def test_a_parquet_file_holds_the_numbers_and_mixed_columns_as_words():
    frame = pd.DataFrame({"n": pd.array([1, None], dtype="Int64"), "mixed": [3, "2 of 5"], "share": [0.1, 0.2]})
    again = pd.read_parquet(io.BytesIO(tables.to_parquet(frame)))
    assert again["mixed"].tolist() == ["3", "2 of 5"]
    assert again["share"].tolist() == [0.1, 0.2]
    assert again["n"].isna().tolist() == [False, True]
    assert tables.to_parquet(frame) == tables.to_parquet(frame.copy())
