"""Seconds to take DICOM series into a study, beside dcm2niix alone over the same series; one at a time."""

import csv
import subprocess
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np
from scipy import ndimage

from qcbench import store
from qcbench.images import Volume
from qcbench.prepare import attributes, intake, scan
from qcbench.prepare.dicom_series import write_series
from qcbench.prepare.invented import SCANNERS, Description, draw_patient
from qcbench.study import Study

#: The size of a usual 3D T1w series.
N_SERIES, SHAPE = 3, (176, 256, 256)
N_ROWS = 100_000
WORDS = Description(study="IRM cérébrale", series="T1 3D", protocol="p", body_part="BRAIN")


def _write_tree(folder):
    rng = np.random.default_rng(0)
    for number in range(N_SERIES):
        # Smooth, with noise around it, as a head is: what compresses like one.
        head = ndimage.gaussian_filter(rng.normal(0, 1, SHAPE), 8)
        data = np.where(head > 0, 600 + 9000 * head, 0) + rng.normal(20, 8, SHAPE)
        volume = Volume(data=data.clip(0, 4095).astype(np.float32), affine=np.eye(4))
        write_series(
            folder / f"{number}",
            volume,
            scanner=SCANNERS[number],
            description=WORDS,
            patient=draw_patient(number),
            seed=number,
            slice_axis=0,
        )


def _mark(path):
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["keep"] = "yes"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def _best(run, folder, repeats=3):
    """Return the seconds of the best of some runs, each into a folder of its own."""
    seconds = []
    for number in range(repeats):
        place = folder / f"{run.__name__}{number}"
        place.mkdir()
        began = time.perf_counter()
        run(place)
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def measure():
    """Yield rows of the table of benchmarks."""
    import dcm2niix

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tree, marked = folder / "tree", folder / "list.csv"
        _write_tree(tree)
        attributes.attributes(tree, marked, show_progress=False)
        _mark(marked)

        def ours(place):
            study = Study.create(place / "study", raters=["a"])
            done = intake.ingest(study, tree, keep=marked, key=place / "key", workers=1, show_progress=False)
            assert done.facts["images"] == N_SERIES

        def theirs(place):
            subprocess.run([dcm2niix.bin, "-z", "y", "-o", place, tree], check=True, stdout=subprocess.DEVNULL)

        what = f"take {N_SERIES} DICOM series of {SHAPE[0]} slices into a study"
        yield what, "seconds", _best(ours, folder), _best(theirs, folder), "dcm2niix -z y alone"
        yield from _catalogue(folder, tree)


def _catalogue(folder, tree):
    """Yield how long the rows of many series take that are not kept, beside writing them without a look."""
    header = dict.fromkeys(scan.KEY_COLUMNS, "x") | {"rows": 256, "columns": 256, "n_files": 160, "n_frames": 160}
    many = [{**header, "series_uid": f"1.2.{n}", "series_description": f"FLAIR {n % 3000}"} for n in range(N_ROWS)]
    found = scan.Scan(series=many, n_files=160 * N_ROWS)
    (folder / "marks.csv").write_text("attribute,value,keep\nSeriesDescription,T1,x\n")
    study, plain = (Study.create(folder / name, raters=["a"]) for name in ("catalogue", "plain"))
    with mock.patch.object(scan, "scan", lambda *_, **__: found):
        began = time.perf_counter()
        intake.ingest(study, tree, keep=folder / "marks.csv", key=folder / "key", show_progress=False)
        ours = time.perf_counter() - began
    rows = store.rows(study, "images")
    began = time.perf_counter()
    store.write(plain, "images", rows)
    theirs = time.perf_counter() - began
    yield f"catalogue {N_ROWS} series that are not kept", "seconds", ours, theirs, "writing the table alone"
