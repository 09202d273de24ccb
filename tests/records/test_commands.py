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


def test_a_token_file_holds_one_token(run, study, tmp_path):
    (tmp_path / "token").write_text("one\ntwo\n")
    with pytest.raises(UsageError, match="one token"):
        run("push", study.folder, "--to", "http://127.0.0.1:1", "--token-file", tmp_path / "token")
