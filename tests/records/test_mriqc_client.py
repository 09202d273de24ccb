"""MRIQC's own client, unchanged, sends to our server; and so does the rating widget of its reports.

The client is mriqc 24.0.2 in an environment of its own, because what it depends on would displace half of ours; see
the target .venv/mriqc of the Makefile. Of MRIQC only its client is imported: the rest is stubs.
"""

import http.client
import json
import os
import subprocess
from pathlib import Path

import pytest
import sqlalchemy as sa

from qcbench.records import schema, tokens
from qcbench.records.database import open_database
from qcbench.study import Study
from tests.records.samples import fixtures
from tests.records.server import Server

_PYTHON = Path(os.environ.get("QCBENCH_MRIQC_PYTHON", ".venv-mriqc/bin/python"))
#: The widget's request, header by header and key by key: nireports 24.0.2, rating-widget/footer.tpl.
_WIDGET_HEADERS = {"Content-Type": "application/json;charset=UTF-8", "Origin": "null"}
_CLIENT = """
import importlib.util, json, logging, pathlib, sys, types
place = pathlib.Path(importlib.util.find_spec("mriqc").submodule_search_locations[0])
for name, folder in (("mriqc", place), ("mriqc.interfaces", place / "interfaces")):
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = [str(folder)]
config = sys.modules["mriqc.config"] = types.ModuleType("mriqc.config")
config.loggers = types.SimpleNamespace(interface=logging.getLogger("interface"))
sys.modules["mriqc"].config = config
from mriqc.interfaces.webapi import UploadIQMs
endpoint, token, *files = sys.argv[1:]
for file in files:
    ran = UploadIQMs(
        in_iqms=file, endpoint=endpoint, auth_token=token, email="jane@hospital.org", strict=True, modality="T1w"
    ).run()
    print(json.dumps({"file": file, "api_id": ran.outputs.api_id}), flush=True)
"""


@pytest.fixture(scope="module")
def mriqc_python():
    """The Python of an environment with MRIQC's client."""
    if not _PYTHON.is_file():
        pytest.skip("needs MRIQC's client: make .venv/mriqc, or set QCBENCH_MRIQC_PYTHON")
    return _PYTHON.absolute()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A running server, with a token that writes, and its database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("QCBENCH_DATABASE_URL", raising=False)
        study = Study.create(tmp_path_factory.mktemp("served") / "study", raters=["alice"])
        database = open_database(study)
        token = tokens.mint(database, client="mriqc", scope="write")
        with Server(study) as server:
            yield server, token, database
        database.close()


def rows(database, table):
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(sa.select(table)).mappings()]


def test_mriqcs_client_stores_its_records(served, mriqc_python, real_data, tmp_path):
    server, token, database = served
    records = fixtures(real_data, "mriqc24/*.json") | fixtures(real_data, "*/validData/sub-[5d]*[wd].json")
    paths = []
    for number, record in enumerate(records.values()):
        paths.append(tmp_path / f"{number}.json")
        paths[-1].write_text(json.dumps(record))
    command = [mriqc_python, "-c", _CLIENT, f"{server.address}/api/v1", token, *paths]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    sent = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert len(sent) == len(records) >= 16
    stored = {row["record_id"]: row for row in rows(database, schema.RAW_RECORD)}
    assert {each["api_id"] for each in sent} == set(stored)
    assert len(rows(database, schema.TYPED["T1w"])) == 6 and len(rows(database, schema.TYPED["bold"])) == 10
    assert not any("jane" in row["payload"] for row in stored.values())


def test_mriqcs_client_is_refused_with_another_token(served, mriqc_python, real_data, tmp_path):
    server, _, database = served
    before = len(rows(database, schema.RAW_RECORD))
    (tmp_path / "a.json").write_text(json.dumps(next(iter(fixtures(real_data, "mriqc24/*T1w.json").values()))))
    command = [mriqc_python, "-c", _CLIENT, f"{server.address}/api/v1", "secret_token", tmp_path / "a.json"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode != 0 and "Please provide proper credentials" in ran.stderr
    assert len(rows(database, schema.RAW_RECORD)) == before


def test_the_widget_of_mriqcs_report_posts_its_ratings(served):
    server, token, database = served
    body = '{"rating":"1.85","md5sum":"unspecified","name":"","comment":"[\\"head-motion\\",\\"inu\\"]"}'
    for _ in range(2):
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("POST", "/api/v1/rating", body, _WIDGET_HEADERS | {"Authorization": token})
        answer = connection.getresponse()
        assert answer.status == 201 and answer.headers["Access-Control-Allow-Origin"] == "*"
        connection.close()
    found = rows(database, schema.RATING)
    assert [(row["score"], row["class"], row["artifacts"], row["rater"], row["file_md5"]) for row in found] == [
        (1.85, "poor", '["head-motion","inu"]', "mriqc", None)
    ] * 2
