"""derivatives/qcbench is a BIDS dataset of its own: the official validator finds no error in it."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest

from qcbench import images, store
from qcbench.imaging import heads, register
from qcbench.iqm import stage
from qcbench.prepare import bids, one_image, pool, presets, t1linear, warehouse
from qcbench.study import Study
from tests.prepare.scans import AFFINE, block


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study with one aligned head, a simulated copy of it, pictures of a T2w and a bold image, and metrics."""
    folder = tmp_path_factory.mktemp("derivatives")
    head = heads.synthetic_head(seed=1, spacing_mm=(3.0, 3.0, 3.0))
    images.save_volume(folder / "source" / "sub-01_ses-M00_T1w.nii.gz", head.data.astype(np.int16), head.affine)
    study = Study.create(folder / "study", raters=["alice"])
    warehouse.ingest(study, folder / "source", show_progress=False)
    (scan,) = store.rows(study, "images")
    store.write(study, "preprocessed", [aligned(study, scan, head.template_to_scanner)])
    pool.make_pool(study, source="all", n=1, seed=3, show_progress=False)
    series = np.stack([block(seed) for seed in range(6)], axis=3)
    drawn = {"sub-02_T2w": ("anat", block(1)), "sub-02_task-rest_bold": ("func", series)}
    rows = [catalogued(study, image_id, *what) for image_id, what in drawn.items()]
    store.upsert(study, "images", rows)
    t1linear.preprocess(study, show_progress=False)
    store.write(study, "images", [row for row in rows if row["modality"] == "bold"])  # the quickest to measure
    assert stage.iqm(study, show_progress=False).done == 1
    return study


def aligned(study, scan, template_to_scanner):
    """Preprocess a scan in this process, with the alignment that its maker knows."""
    score = register.Score(**dict.fromkeys((field.name for field in fields(register.Score)), 0.9))
    found = register.Alignment(template_to_scanner=template_to_scanner, score=score, n_starts=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(register, "register", lambda *arguments: found)
        made = one_image.align_and_draw(
            study.absolute(scan["bids_path"]), study.derivatives, presets.by_name("fast"), "fast", study.convention
        )
    paths = {name: study.relative(made.pop(name)) for name in ("volume_path", "screenshot_path")}
    settled = {"preprocessing_preset": "fast", "source_voxels_sha256": scan["voxels_sha256"], "error": None}
    return {"image_id": scan["image_id"], **made, **paths, **settled}


def catalogued(study, image_id, datatype, voxels):
    path = study.bids / "sub-02" / datatype / f"{image_id}.nii.gz"
    images.save_volume(path, voxels, AFFINE)
    return {
        "image_id": image_id,
        "participant_id": "sub-02",
        "source_path": image_id,
        "bids_path": study.relative(path),
        "modality": image_id.rpartition("_")[2],
        "voxels_sha256": image_id,
        "simulated": True,
    }


def test_the_official_validator_finds_no_error(study):
    pytest.importorskip("bids_validator_deno", reason="needs the validator: pip install bids-validator-deno")
    program = shutil.which("bids-validator-deno", path=os.path.dirname(sys.executable))
    command = [program, study.derivatives, "--format", "json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(run.stdout)
    errors = [
        (issue["code"], issue.get("subCode"), issue.get("location"), issue.get("issueMessage"))
        for issue in found["issues"]["issues"]
        if issue["severity"] == "error"
    ]
    assert errors == []
    # Something was looked at: the volumes of the scan and its copy, their sidecars, the description.
    assert found["summary"]["totalFiles"] >= 5
    assert "anat" in found["summary"]["dataTypes"]


def test_the_description_names_what_made_it_and_of_what(study):
    description = json.loads((study.derivatives / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "qcbench"
    assert description["SourceDatasets"] == [{"URL": "../../bids"}]
    assert (study.derivatives / description["DatasetLinks"]["raw"]).resolve() == study.bids.resolve()


def test_what_is_ignored_has_a_reason(study):
    lines = (study.derivatives / ".bidsignore").read_text().splitlines()
    patterns = [line for line in lines if not line.startswith("#")]
    assert len(lines) == 2 * len(patterns)
    assert all(line.startswith("# ") for line in lines[::2])


def test_sources_of_pictures_are_found_by_their_links(study):
    for sidecar in study.derivatives.rglob("*desc-slices*.json"):
        for source in json.loads(sidecar.read_text())["Sources"]:
            assert (study.bids / source.removeprefix("bids:raw:")).is_file()


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("sub-1_ses-2_task-rest_bold", "sub-1/ses-2/func"),
        ("sub-1_T2w", "sub-1/anat"),
        ("sub-1_dir-AP_epi", "sub-1/fmap"),
        ("sub-1_dwi", "sub-1/dwi"),
    ],
)
def test_an_image_lies_in_the_folder_of_its_kind(name, folder):
    assert bids.parse(name).folder == folder
