from qcbench.report.evidence import metrics, provenance_rows
from qcbench.report.inputs import read_tables


def test_provenance_names_protocol_presets_hashes_and_runs(filled_once):
    rows = {(what, value): n for what, value, n in provenance_rows(filled_once, read_tables(filled_once))}
    assert rows["labels", f"protocol t1w-warehouse, sha256 {'0' * 64}, qcbench 0.1.0"] == 15
    assert rows["preprocessing", f"preset fast, template MNI152, template sha256 {'f' * 64}"] == 9
    assert rows["metrics", "task sr, architecture conv5_fc3, preset fast, run sr-conv5_fc3"] == 10
    assert rows["predictions", "task sr, architecture conv5_fc3, run sr-conv5_fc3, preprocessing fast"] == 3
    assert any(filled_once.protocol.sha256 in value for _, value in rows)


def test_provenance_has_the_config_of_each_run(filled):
    folder = filled.runs / "sr-conv5_fc3"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"seed": 7}')
    assert ("config of run sr-conv5_fc3", '{"seed": 7}', None) in provenance_rows(filled, read_tables(filled))


def test_tasks_that_are_not_evaluated_are_named(filled_once):
    section = metrics(filled_once, read_tables(filled_once))
    assert "Not evaluated yet: gadolinium, tier3, tier2 (qcbench evaluate STUDY)." in section.paragraphs
