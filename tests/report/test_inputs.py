import hashlib

import pandas as pd

from qcbench import schema
from qcbench.report.inputs import read_tables, to_frame


def test_an_empty_study_has_every_table_empty(study):
    data = read_tables(study)
    assert data.images.empty
    assert data.labels.columns.tolist() == list(schema.LABELS.column_names)
    assert not data.is_simulated


def test_labels_are_those_of_every_rater_of_the_study(filled_once):
    assert read_tables(filled_once).labels.groupby("rater").size().to_dict() == {"alice": 8, "bob": 7}


def test_a_run_s_config_is_kept_and_a_damaged_one_does_not_stop_the_report(study):
    for name, text in (("whole", '{"seed": 3, "preset": "fast"}'), ("torn", '{"seed"')):
        folder = study.runs / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(text)
    configs = read_tables(study).run_configs
    assert configs["whole"] == '{"preset": "fast", "seed": 3}'
    assert configs["torn"].startswith("config.json cannot be read")


def test_rows_get_nullable_dtypes_even_when_there_are_none():
    frame = to_frame([], schema.CONSENSUS)
    assert frame.dtypes[["straight_reject", "motion", "image_id"]].astype(str).tolist() == [
        "boolean",
        "Int64",
        "string",
    ]
    assert isinstance(frame, pd.DataFrame)


def test_each_table_has_the_fingerprint_of_its_file(filled_once):
    found = read_tables(filled_once).fingerprints
    assert found["splits"] == hashlib.sha256(filled_once.table_path("splits").read_bytes()).hexdigest()
    assert "labels" in found
    assert "learning_curve" not in found  # was not made
