import csv
import json

import pytest

from qcbench import store
from qcbench.annotate import consensus, exchange
from qcbench.annotate.export import export_labels
from qcbench.errors import UsageError
from qcbench.study import Study

TEXT = (
    "rater,image_id,straight_reject,gadolinium,motion,contrast,noise,comment\n"
    'alice,sub-01_T1w,false,true,1,0,2,"=HYPERLINK(""http://x"")"\n'
    "bob,sub-01_T1w,false,true,0,0,1,\n"
    'alice,sub-02_T1w,true,,,,,"-1,5 mm\tthick\nslices é 🧠"\n'
)


@pytest.fixture
def labelled(study, tmp_path):
    ids = [f"sub-0{n}" for n in (1, 2)]
    rows = [{"image_id": f"{name}_T1w", "participant_id": name, "source_path": "x", "simulated": False} for name in ids]
    store.write(study, "images", rows)
    (tmp_path / "labels.csv").write_text(TEXT)
    assert exchange.import_labels(study, tmp_path / "labels.csv").done == 3
    consensus.consensus(study)
    return study


def test_csv_cannot_run_a_formula_and_comes_back_as_it_was(labelled, tmp_path):
    summary = export_labels(labelled, tmp_path / "out")
    assert summary.facts["files"] == "labels.csv, consensus.csv"
    with (tmp_path / "out" / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["comment"] == '\'=HYPERLINK("http://x")'
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    assert (rows[0]["straight_reject"], rows[0]["motion"], rows[0]["tier"]) == ("false", "1", "3")
    other = Study.create(tmp_path / "other", raters=["alice", "bob"])
    store.write(other, "images", store.rows(labelled, "images"))
    assert exchange.import_labels(other, tmp_path / "out" / "labels.csv").done == 3
    kept = ("rater", "image_id", "straight_reject", "motion", "noise", "comment", "saved_at")
    before, after = ([{name: row[name] for name in kept} for row in store.labels(each)] for each in (labelled, other))
    for row in before + after:
        row["saved_at"] = row["saved_at"].replace(microsecond=0)
    assert before == after


def test_bids_tables_have_the_participant_first_and_a_dictionary(labelled, tmp_path):
    export_labels(labelled, tmp_path, form="bids")
    head, *lines = (tmp_path / "qcbench_labels.tsv").read_text().splitlines()
    assert head.split("\t")[:4] == ["participant_id", "image_id", "rater", "straight_reject"]
    assert [len(line.split("\t")) for line in lines] == [len(head.split("\t"))] * 3
    assert lines[2].split("\t")[:5] == ["sub-02", "sub-02_T1w", "alice", "true", "n/a"]
    assert "-1,5 mm thick slices é 🧠" in lines[2]
    words = json.loads((tmp_path / "qcbench_labels.json").read_text())
    assert words["motion"]["Levels"]["0"] == "none"
    assert words["tier"]["Levels"]["3"] == "at least one grade 2"
    assert set(head.split("\t")) <= set(words)
    assert (
        (tmp_path / "qcbench_consensus.tsv").read_text().splitlines()[1].startswith("sub-01\tsub-01_T1w\tfalse\ttrue")
    )


def test_a_study_without_labels_says_so_and_writes_nothing(study, tmp_path):
    assert export_labels(study, tmp_path / "out").notes == ["Nobody has labelled anything yet."]
    assert not (tmp_path / "out").exists()


def test_an_unknown_form_is_refused_with_those_there_are(study, tmp_path):
    with pytest.raises(UsageError, match="a form is one of csv, bids, mriqc; got 'xlsx'"):
        export_labels(study, tmp_path, form="xlsx")
