"""The verbs of records as they are typed."""

import json

import pytest
from typer.testing import CliRunner

from qcbench.cli import app
from qcbench.errors import UsageError
from tests.records.samples import a_record


@pytest.fixture
def run(study, monkeypatch):
    """Run a verb on a study with one record; return its standard output and its exit status."""
    monkeypatch.delenv("QCBENCH_DATABASE_URL", raising=False)

    def typed(verb, *arguments):
        ran = CliRunner().invoke(app, ["records", verb, *map(str, arguments)], catch_exceptions=True)
        if isinstance(ran.exception, UsageError):
            raise ran.exception
        return ran.stdout, ran.exit_code

    (study.folder / "one.json").write_text(json.dumps(a_record(cjv=0.4)))
    assert typed("import", study.folder, study.folder / "one.json")[1] == 0
    return typed


def test_a_question_is_printed_as_a_table_or_as_json(run, study):
    assert run("query", study.folder, "SELECT cjv, software FROM t1w") == (
        "cjv  software\n---  --------\n0.4  mriqc\n(1 rows)\n",
        0,
    )
    printed, _ = run("query", study.folder, "SELECT cjv FROM t1w", "--json")
    assert json.loads(printed) == [{"cjv": 0.4}]


def test_snapshots_are_taken_compared_and_asked(run, study, tmp_path):
    assert run("snapshot", study.folder, tmp_path / "a")[1] == 0
    assert run("snapshot", study.folder, tmp_path / "b")[1] == 0
    printed, status = run("diff", tmp_path / "a", tmp_path / "b", "--json")
    assert (json.loads(printed)["tables"]["t1w"]["added"], status) == (0, 0)
    assert (
        run("query", study.folder, "SELECT count(*) AS n FROM t1w", "--snapshot", tmp_path / "a")[0][:6] == "n\n-\n1\n"
    )


def test_proposals_are_listed_decided_on_and_seen_in_a_snapshot(run, study, tmp_path):
    faulty = a_record(bids_meta={"MagneticFieldStrength": 1.0}, provenance={"md5sum": "1" * 32})
    (study.folder / "two.json").write_text(json.dumps(faulty))
    run("import", study.folder, study.folder / "two.json")
    (group,) = json.loads(run("curate", study.folder, "--list", "--json")[0])["groups"]
    assert (group["code"], group["waiting"]) == ("field-truncated", 1)
    assert f"{group['group']}: 1 wait, 0 accepted, 0 refused" in run("curate", study.folder)[0]
    with pytest.raises(UsageError, match="say why"):
        run("curate", study.folder, "--refuse", group["group"])
    printed, status = run("curate", study.folder, "--accept", group["group"], "--by", "carla", "--json")
    assert (json.loads(printed)["done"], json.loads(printed)["facts"]["by"], status) == (1, "carla", 0)
    question = 'SELECT "MagneticFieldStrength" AS t FROM t1w_curated WHERE repaired IS NOT NULL'
    assert run("snapshot", study.folder, tmp_path / "c", "--curated")[1] == 0
    assert json.loads(run("query", study.folder, question, "--snapshot", tmp_path / "c", "--json")[0]) == [{"t": 1.5}]
    with pytest.raises(UsageError, match="at a time"):
        run("curate", study.folder, "--accept", group["group"], "--list")
    assert run("curate", study.folder, "--reopen", group["group"], "--why", "too fast")[1] == 0
    assert json.loads(run("query", study.folder, question, "--json")[0]) == []


def test_a_token_file_holds_one_token(run, study, tmp_path):
    (tmp_path / "token").write_text("one\ntwo\n")
    with pytest.raises(UsageError, match="one token"):
        run("push", study.folder, "--to", "http://127.0.0.1:1", "--token-file", tmp_path / "token")
