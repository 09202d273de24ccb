"""The notebooks run from top to bottom, and hold neither outputs nor pixels nor definitions."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from qcbench import demo_dicom, store
from qcbench.prepare import marking
from qcbench.prepare.attributes import read_list
from qcbench.study import Study
from qcbench.widgets.job_monitor import JobMonitor
from tests.iqm.test_stage import catalogue, volumes
from tests.learn.conftest import make_study

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs_and_one_call_a_cell(path):
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert len(cell.source.splitlines()) <= 10
            assert "def " not in cell.source


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    """The tour, run on a warehouse of few participants; the notebook as it would be saved, and the study."""
    folder = tmp_path_factory.mktemp("tour")
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    os.environ.update(QCBENCH_STUDY=str(folder / "study"), QCBENCH_TOUR_PARTICIPANTS="5")
    try:
        NotebookClient(
            notebook, timeout=600, store_widget_state=True, resources={"metadata": {"path": str(folder)}}
        ).execute()
    finally:
        del os.environ["QCBENCH_STUDY"], os.environ["QCBENCH_TOUR_PARTICIPANTS"]
    return notebook, Study(folder / "study")


def test_the_tour_runs_every_stage(tour):
    _, study = tour
    for name in ("images", "preprocessed", "consensus", "splits", "predictions", "metrics"):
        assert store.rows(study, name), name
    assert (study.reports / "report.html").stat().st_size > 50_000


def test_the_saved_tour_holds_no_picture_of_a_scan(tour):
    notebook, study = tour
    saved = nbformat.writes(notebook)
    assert '"image/png":' not in saved
    assert "iVBORw0KGgo" not in saved  # how a PNG begins in base64
    assert len(saved) < 400_000
    assert any((study.derivatives).rglob("*.png"))


def test_preparing_goes_from_an_archive_over_the_radiologist_s_marks_to_pictures(tmp_path):
    """The cells in order; between two of them a radiologist marks the list, as the page would."""
    notebook = nbformat.read(NOTEBOOKS[1], as_version=4)
    names = {"QCBENCH_STUDY": "study", "QCBENCH_LIST": "list.csv", "QCBENCH_KEY": "key"}
    paths = {name: str(tmp_path / file) for name, file in names.items()}
    demo_dicom(tmp_path / "archive", patients=2, show_progress=False)
    os.environ.update(QCBENCH_DICOM=str(tmp_path / "archive"), **paths)
    try:
        client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
        with client.setup_kernel():
            for number, cell in enumerate(notebook.cells):
                if "qc.ingest" in cell.source:
                    mark_likely(tmp_path / "list.csv")
                client.execute_cell(cell, number)
    finally:
        for name in ("QCBENCH_DICOM", *names):
            os.environ.pop(name, None)
    study = Study(tmp_path / "study")
    rows = store.rows(study, "images")
    assert sorted(row["excluded_reason"] is None for row in rows) == [False, False, True, True]
    assert [row["error"] for row in store.rows(study, "preprocessed")] == [None, None]
    assert "0 findings" in nbformat.writes(notebook)
    assert "iVBORw0KGgo" not in nbformat.writes(notebook)


def mark_likely(path):
    """Keep what the dictionary takes for a T1w, and every study and body part."""
    rows = read_list(path)
    kept = [row for row in rows if row["attribute"] != "SeriesDescription" or "FLAIR" not in row["value"]]
    marking.mark(path, {(row["attribute"], row["value"]): marking.KEEP for row in kept})


@pytest.fixture(scope="module")
def modelled(tmp_path_factory):
    """The notebooks on training, evaluation and inference, run one after the other on a study of 16 images."""
    study = make_study(tmp_path_factory.mktemp("modelled") / "study", 4)
    run, settings = {}, {"QCBENCH_STUDY": str(study.folder), "QCBENCH_TASK": "sr", "QCBENCH_FOLDS": "2"}
    os.environ.update(settings)
    try:
        for name in ("04_train", "05_evaluate", "06_infer"):
            run[name] = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
            NotebookClient(run[name], timeout=600, resources={"metadata": {"path": str(study.folder)}}).execute()
    finally:
        for name in settings:
            del os.environ[name]
    return run, study


def last_output(notebook, source):
    """What the last cell that holds this source showed, as text."""
    cell = [cell for cell in notebook.cells if cell.cell_type == "code" and source in cell.source][-1]
    return cell.outputs[-1]["data"]["text/plain"]


def test_training_runs_beside_the_notebook_and_is_watched(modelled):
    run, study = modelled
    assert last_output(run["04_train"], "job.wait()") == "'done'"
    assert "JobMonitor" in last_output(run["04_train"], "qc.JobMonitor(study)")
    (config,) = study.runs.glob("sr-lean3d-*/config.json")
    assert len(list(config.parent.glob("fold-*/weights.safetensors"))) == 2
    (curves,) = [told["curves"] for told in watched(study) if told["verb"] == "train"]
    assert {curve["fold"] for curve in curves} == {path.parent.name for path in config.parent.glob("fold-*/fold.json")}


def watched(study):
    """What the monitor's page is told of each job."""
    [(state, _)] = JobMonitor(study).receive({"kind": "hello"})
    return state["jobs"]


def test_the_learning_curve_grows_to_all_labels(modelled):
    _, study = modelled
    rows = store.rows(study, "learning_curve")
    assert max(row["n_images"] for row in rows) == 12
    assert len({row["n_images"] for row in rows}) > 1


def test_evaluation_shows_network_ensemble_and_baseline_and_the_card(modelled):
    run, _ = modelled
    shown = last_output(run["05_evaluate"], "n_participants")
    assert all(name in shown for name in ("lean3d", "lean3d-ensemble", "forest_25"))
    (cell,) = [cell for cell in run["05_evaluate"].cells if "Markdown(cards" in cell.source]
    assert "What it was not tested on" in cell.outputs[-1]["data"]["text/markdown"]


def test_inference_has_a_word_on_every_image(modelled):
    run, study = modelled
    assert last_output(run["06_infer"], "job.wait()") == "'done'"
    rows = [row for row in store.rows(study, "predictions") if row["architecture"] == "lean3d"]
    assert {row["image_id"] for row in rows} == {row["image_id"] for row in store.rows(study, "images")}
    assert "16" in last_output(run["06_infer"], "ge(0.5)")


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    """The notebook on metrics, run on a study of one small series that it measures and eleven that were."""
    folder = tmp_path_factory.mktemp("explored")
    study = Study.create(folder / "study", raters=["alice"])
    (small,) = catalogue(study, ("sub-1_task-rest_bold", volumes()))
    others = [{**small, "image_id": f"sub-2_run-{number}_bold", "bids_path": None} for number in range(11)]
    rows = [
        {"image_id": row["image_id"], "modality": "bold", "iqm_profile": "qcbench", "tsnr": 50.0 + number % 5}
        for number, row in enumerate(others)
    ]
    rows[-1]["tsnr"] = 5.0
    store.write(study, "images", [{**row, "hospital": "North"} for row in (small, *others)])
    store.write(study, "iqms", rows)
    notebook = nbformat.read(FOLDER / "11_iqm.ipynb", as_version=4)
    settings = {"QCBENCH_STUDY": str(study.folder), "QCBENCH_METRIC": "tsnr"}
    os.environ.update(settings)
    try:
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    finally:
        for name in settings:
            del os.environ[name]
    return notebook, study


def test_the_metrics_notebook_measures_and_lists_what_stands_apart(explored):
    notebook, study = explored
    assert len(store.rows(study, "iqms")) == 12
    assert "North" in last_output(notebook, "qc.iqm_distributions(")
    shown = last_output(notebook, "outliers.head(20)")
    assert "sub-2_run-10_bold" in shown
    assert "worse" in shown
    assert "IqmExplorer" in last_output(notebook, "qc.IqmExplorer(")
    assert "iVBORw0KGgo" not in nbformat.writes(notebook)
