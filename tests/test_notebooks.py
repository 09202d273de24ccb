"""The notebooks run from top to bottom, and hold neither outputs nor pixels nor definitions."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from qcbench import store
from qcbench.study import Study

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


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
