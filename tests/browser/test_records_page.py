"""Who looks after the records decides on proposed repairs, by keyboard and by mouse."""

import json
from pathlib import Path

import nbformat
import pytest
import sqlalchemy as sa
from nbclient import NotebookClient

from qcbench.records import checks, curate, intake, ratings, schema, tokens
from qcbench.records.database import open_database
from qcbench.records.identity import Pseudonyms
from qcbench.records.importing import import_records
from qcbench.widgets import serve
from qcbench.widgets.records_page import RecordsPage
from tests.browser.bare_page import bare, bench  # noqa: F401
from tests.records.samples import a_record, md5_of

pytestmark = pytest.mark.browser
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "07_records.ipynb"

ONE_TESLA = {"Manufacturer": "Siemens", "ManufacturersModelName": "Trio", "MagneticFieldStrength": 1.0}
SPELT = {"Manufacturer": "SIEMENS"}
MILLISECONDS = {"EchoTime": 2.9, "RepetitionTime": 2.3}


@pytest.fixture
def database(study, monkeypatch):
    """The records of a study: three of 1.0 T from two scanners, one vendor misspelt, one echo time in milliseconds."""
    monkeypatch.delenv("QCBENCH_DATABASE_URL", raising=False)
    monkeypatch.setenv("JUPYTERHUB_USER", "carla")
    opened = open_database(study)
    metas = [ONE_TESLA, ONE_TESLA, {**ONE_TESLA, "ManufacturersModelName": "<b>Allegra</b>"}, SPELT, MILLISECONDS]
    pseudonyms = Pseudonyms(bytes(range(32)))
    records = [
        checks.check(
            "T1w", a_record(bids_meta={**meta, "subject_id": f"s{n}"}, provenance={"md5sum": md5_of(n)}), pseudonyms
        )
        for n, meta in enumerate(metas)
    ]
    waits = {"rating": 3, "md5sum": md5_of(99), "image_name": "sub-secret_T1w"}
    with opened.writing() as connection:
        client = tokens.Client(tokens.client_id(connection, "mriqc"), "mriqc", "write")
        intake.add_records(connection, client, records)
        intake.add_ratings(connection, client, [ratings.check_v2(waits, rater="alice")])
    yield opened
    opened.close()


class Kernel:
    """Answers the page as the widget does in a kernel; what the page was sent is kept."""

    def __init__(self, study):
        self.widget = RecordsPage(study)
        self.told = []

    def receive(self, text):
        answers = [list(each) for each in self.widget.receive(json.loads(text))]
        self.told += [json.dumps(answer) for answer, _ in answers]
        return answers


@pytest.fixture
def page(bench, study, database):  # noqa: F811
    bench.widget = RecordsPage
    bench.begin(Kernel(study))
    bench.sees("h2", "Records of study")
    return bench


def decisions(database):
    columns = [schema.DECISION.c[name] for name in ("field", "verdict", "decided_by", "why")]
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(sa.select(*columns).order_by(schema.DECISION.c.sequence))]


def test_a_group_is_accepted_reopened_and_refused_by_keyboard(page, database):
    page.sees('.qc-row[aria-selected="true"]', "MagneticFieldStrength 1.0 → 1.5")
    page.sees(".qc-row", "Siemens Trio 2, Siemens <b>Allegra</b> 1")
    page.press("a")
    page.sees(".qc-told", "3 proposals accepted. O reopens.")
    page.sees(".qc-saved", "carla · all saved")
    assert decisions(database) == [("MagneticFieldStrength", "accepted", "carla", "")] * 3
    page.press("a")
    page.sees(".qc-told", "Nothing waits here: O reopens what was decided.")
    page.press("o")
    page.page.keyboard.type("a real 1 T scanner")  # its letters are keys of the list too
    page.press("Enter")
    page.sees(".qc-told", "3 proposals reopened.")
    page.press("r")
    page.press("Enter")
    page.sees(".qc-told", "Say why, in a word.")
    page.page.keyboard.type("asked the site")
    page.press("Enter")
    page.sees(".qc-row", "refused by carla on")
    assert decisions(database)[3:] == [
        *[("MagneticFieldStrength", "reopened", "carla", "a real 1 T scanner")] * 3,
        *[("MagneticFieldStrength", "refused", "carla", "asked the site")] * 3,
    ]
    page.sees(".qc-audit", "audit log whole, 5 entries")
    page.picture("records-decided-1280")


def test_one_record_and_one_scanner_are_decided_by_mouse(page, database):
    page.page.locator(".qc-row", has_text="MagneticFieldStrength").dblclick()
    page.page.locator(".qc-row", has_text="all of Siemens <b>Allegra</b>: 1 proposal").click()
    page.page.get_by_role("button", name="accept").click()
    page.sees(".qc-told", "1 proposal accepted")
    page.page.locator('.qc-row[aria-level="2"]', has_text="waits").first.click()
    page.picture("records-opened-1280")
    page.page.get_by_role("button", name="refuse").click()
    page.page.get_by_label("Why", exact=False).fill("looked at the header")
    page.page.get_by_role("button", name="decide").click()
    page.sees('.qc-row[aria-level="1"]', "1 wait")
    with database.reading() as connection:
        (group,) = [each for each in curate.proposals(connection).groups if each.code == "field-truncated"]
    assert (group.waiting, group.accepted, group.refused) == (1, 1, 1)


def test_what_another_curator_decided_meanwhile_is_told_and_not_overturned(page, database):
    with database.writing() as connection:
        group = next(each.group for each in curate.proposals(connection).groups if each.code == "field-truncated")
        curate.decide(connection, "refused", group, by="ben", why="measured it")
    page.press("a")
    page.sees(".qc-told", "refused by ben on")
    page.sees(".qc-row", "3 refused")
    assert {verdict for _, verdict, _, _ in decisions(database)} == {"refused"}


def test_what_came_after_the_list_was_shown_waits(page, database):
    late = checks.check(
        "T1w", a_record(bids_meta=ONE_TESLA, provenance={"md5sum": md5_of(50)}), Pseudonyms(bytes(range(32)))
    )
    with database.writing() as connection:
        client = tokens.Client(tokens.client_id(connection, "mriqc"), "mriqc", "write")
        intake.add_records(connection, client, [late])
    page.press("a")
    page.sees(".qc-told", "3 proposals accepted. O reopens. 1 came after the list was shown, and wait")
    page.sees(".qc-row", "1 wait")


def test_the_page_has_counts_flags_and_the_image_that_a_rating_waits_for_and_no_subject(page):
    page.sees("table:has(caption:text('Records'))", "T1w")
    flags = page.page.locator("table", has_text="What is flagged")
    assert flags.locator("tbody tr").first.inner_text().split("\t")[:3] == [
        "field-truncated",
        "MagneticFieldStrength",
        "3",
    ]
    page.sees("table", md5_of(99))
    page.sees("p", "0 ratings linked to an image, 1 waiting for one, 0 that name none.")
    page.sees(".qc-audit", "audit log whole, 2 entries")
    page.page.set_viewport_size({"width": 1280, "height": 1400})
    page.picture("records-1280")
    told = "".join(page.kernel.told)
    assert "sub-secret" not in told and "subject" not in told
    # JupyterLab would take keys from a control without this, and delete cells.
    assert page.page.locator(".qc-records :is(input, button):not([data-lm-suppress-shortcuts])").count() == 0


def test_an_altered_database_is_alarming(page, database):
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE t1w SET cjv = 0.1 WHERE record_id = (SELECT min(record_id) FROM t1w)"))
    page.page.locator(".qc-audit").click()
    page.sees(".qc-audit.qc-trouble", "AUDIT LOG BROKEN: 1 fault")
    page.sees(".qc-faults", "what the table t1w says of record")
    page.picture("records-broken-1280")


def test_a_database_that_is_away_is_told_and_nothing_is_called_saved(page, database, monkeypatch):
    def away():
        raise sa.exc.OperationalError("", {}, Exception())

    monkeypatch.setattr(page.kernel.widget._database, "writing", away)
    page.press("a")
    page.sees(".qc-told", "the records database cannot be reached")
    page.sees(".qc-saved", "NOT SAVED")
    monkeypatch.undo()
    page.sees(".qc-told", "3 proposals accepted", timeout_s=20)
    assert len(decisions(database)) == 3


def test_a_study_without_records_says_what_to_do_and_one_that_is_none_too(bench, study, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.delenv("QCBENCH_DATABASE_URL", raising=False)
    bench.widget = RecordsPage
    bench.begin(Kernel(study), theme="light")
    bench.sees(".qc-nothing", "qcbench records import STUDY")
    bench.begin(Kernel(tmp_path / "nowhere"))
    bench.sees(".qc-problem-words", "qcbench init")


def test_under_voila_a_decision_is_made_and_nothing_goes_out(study, database, desk):
    with serve.running(study, notebook="07_records.ipynb") as (address, _):
        desk.open(address)
        desk.sees(".qc-row", "MagneticFieldStrength 1.0 → 1.5", timeout_s=60)
        desk.press("a")
        desk.sees(".qc-told", "3 proposals accepted")
        desk.sees(".qc-audit", "audit log whole, 3 entries")
        desk.picture("records-voila-1280")
    assert len(decisions(database)) == 3
    assert desk.went_out == []


def test_the_notebook_is_the_one_that_is_served_and_runs(study, database, monkeypatch, tmp_path):
    assert NOTEBOOK.read_text() == serve.notebook_text("07_records.ipynb")
    monkeypatch.setenv("QCBENCH_STUDY", str(study.folder))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, timeout=120, store_widget_state=True, resources={"metadata": {"path": tmp_path}})
    client.execute()
    assert "RecordsPage" in notebook.cells[-1].outputs[-1]["data"]["text/plain"]
    # What the page shows travels in messages: a saved notebook holds none of it.
    assert "MagneticFieldStrength" not in nbformat.writes(notebook)


def test_three_thousand_real_records_show_the_faults_that_are_known_of_them(bench, study, real_data, monkeypatch):  # noqa: F811
    monkeypatch.delenv("QCBENCH_DATABASE_URL", raising=False)
    opened = open_database(study)
    import_records(opened, Pseudonyms(bytes(range(32))), real_data / "mriqc" / "webapi_sample")
    opened.close()
    bench.widget = RecordsPage
    bench.page.set_viewport_size({"width": 1280, "height": 1400})
    bench.begin(Kernel(study))
    bench.sees("h3", "Proposed repairs: 652 wait")
    field = bench.page.locator(".qc-row", has_text="MagneticFieldStrength 1.0 → 1.5")
    assert field.locator(".qc-states").inner_text() == "79 wait"
    assert "from bold 66, T1w 13 · General Electric Signa HDe 52, Siemens 27" in field.inner_text()
    rows = bench.page.locator("table", has_text="What is flagged").locator("tbody tr").all_inner_texts()
    cells = {tuple(row.split("\t")[:2]): row.split("\t")[2:6] for row in rows}
    assert [cells["field-truncated", "MagneticFieldStrength"][place] for place in (0, 2)] == ["13", "66"]
    # 35 rows of the table are 18 records: the others were sent twice.
    assert cells["header-tr-unit", "spacing_tr"][2] == "18"
    assert cells["header-tr", "spacing_tr"][2] == "14"
    bench.sees(".qc-audit", "audit log whole")
    bench.picture("records-real-1280")
