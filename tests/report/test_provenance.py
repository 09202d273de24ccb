import hashlib

from qcbench.report import html
from qcbench.report.inputs import read_tables
from qcbench.report.provenance import contents, made_from, provenance_rows


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


def test_each_section_names_its_tables_and_the_beginning_of_their_hashes(filled_once):
    sha256 = hashlib.sha256(filled_once.table_path("consensus").read_bytes()).hexdigest()
    words = made_from("consensus", read_tables(filled_once))
    assert words.startswith(f"consensus ({sha256[:12]}), open_reviews (")


def test_every_table_and_figure_is_listed_with_its_section_and_sources(filled_once):
    data = read_tables(filled_once)
    made = [section(filled_once, data) for section in html.SECTIONS]
    listed = contents(made, data).set_index("File")
    assert listed.loc["tables/classes", "Section"] == "Consensus"
    assert listed.loc["figures/workflow", "Shows"].startswith("From the images found to training and test set")
    assert listed.loc["tables/agreement", "Made from (sha256)"].startswith("agreement (")
    assert listed.index.is_unique
