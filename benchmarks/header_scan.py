"""Files a second of the header scan with two processes, beside one process of pydicom over the same files."""

import tempfile
import time
from pathlib import Path

import numpy as np

from qcbench.images import Volume
from qcbench.prepare.dicom_series import write_series
from qcbench.prepare.invented import SCANNERS, describe, draw_patient
from qcbench.prepare.scan import scan

N_SERIES, N_SLICES = 32, 100
#: Further names of each file, so that starting the processes does not count for most of it.
N_LINKS = 2


def _write_tree(folder):
    rng = np.random.default_rng(0)
    volume = Volume(data=rng.integers(0, 1500, (64, 64, N_SLICES)).astype(np.float32), affine=np.eye(4))
    for number in range(N_SERIES):
        scanner = SCANNERS[number % len(SCANNERS)]
        words = describe(scanner=scanner, gadolinium=number % 2 == 0, language="fr", noted=True, rng=rng)
        write_series(
            folder / f"{number:03d}",
            volume,
            scanner=scanner,
            description=words,
            patient=draw_patient(number),
            seed=number,
        )
    for path in sorted(folder.rglob("*.dcm")):
        for copy in range(N_LINKS):
            path.with_name(f"{path.stem}-{copy}.dcm").hardlink_to(path)


def _files_a_second(read, repeats=2):
    """Return the best of some runs: the first also pays for the disk."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        n_files = read()
        seconds.append(time.perf_counter() - began)
    return n_files / min(seconds)


def measure():
    """Yield rows of the table of benchmarks."""
    import pydicom

    with tempfile.TemporaryDirectory() as folder:
        tree, cache = Path(folder) / "tree", Path(folder) / "scan.jsonl"
        _write_tree(tree)
        files = sorted(tree.rglob("*.dcm"))

        def ours():
            cache.unlink(missing_ok=True)
            found = scan(tree, cache=cache, workers=2, show_progress=False)
            assert len(found.series) == N_SERIES
            return found.n_read

        def again():
            return scan(tree, cache=cache, workers=2, show_progress=False).n_files

        def theirs():
            return len({pydicom.dcmread(path).SOPInstanceUID for path in files})

        plain = _files_a_second(theirs)
        what = f"read {len(files)} DICOM headers"
        yield f"{what}, 2 processes", "files a second", _files_a_second(ours), plain, "pydicom.dcmread, 1 process"
        yield f"{what} a second time", "files a second", _files_a_second(again), plain, "pydicom.dcmread, 1 process"
