"""Pictures a second on one core, from volumes as the cache holds them, beside nilearn's plot_anat on the same ones.

Both make PNG bytes of three slices. plot_anat is what the paper's pictures were drawn with.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

_N_VOLUMES, _N_PICTURES, _N_THEIRS = 4, 60, 4


def _cached(folder):
    """Return volumes in one memory-mapped file of uint8, as training reads them."""
    from qcbench.imaging import crop, heads
    from qcbench.imaging.geometry import CANONICAL_SHAPE

    path = Path(folder) / "volumes.dat"
    stored = np.memmap(path, np.uint8, "w+", shape=(_N_VOLUMES, *CANONICAL_SHAPE))
    for seed in range(_N_VOLUMES):
        head = heads.synthetic_head(seed=seed, spacing_mm=(2.0, 2.0, 2.0))
        whole = crop.min_max(crop.to_canonical(head.data, head.affine, head.template_to_scanner))
        stored[seed] = np.rint(255 * whole)
    stored.flush()
    return np.memmap(path, np.uint8, "r", shape=stored.shape)


def _picture(volume, folder):
    from qcbench.imaging import screenshot

    return screenshot.screenshot(volume)


def _ours(volume, folder):
    from qcbench import images

    return images.png_bytes(_picture(volume, folder))


def _theirs(volume, folder):
    import matplotlib
    import nibabel

    matplotlib.use("Agg")
    from nilearn.plotting import plot_anat

    from qcbench.imaging.geometry import CANONICAL_AFFINE

    path = Path(folder) / "theirs.png"  # plot_anat's display only writes files
    shown = plot_anat(
        nibabel.Nifti1Image(np.asarray(volume), CANONICAL_AFFINE),
        cut_coords=(-5, 0, 0),
        dim=-1,
        draw_cross=False,
        annotate=False,
    )
    shown.savefig(path)
    shown.close()
    return path.read_bytes()


def _per_second(draw, volumes, folder, n):
    draw(volumes[0], folder)  # imports and the first look at the file are no part of it
    began = time.process_time()
    for number in range(n):
        draw(volumes[number % len(volumes)], folder)
    return n / (time.process_time() - began)


def measure():
    with tempfile.TemporaryDirectory() as folder:
        volumes = _cached(folder)
        drawn = _per_second(_picture, volumes, folder, _N_PICTURES)
        ours = _per_second(_ours, volumes, folder, _N_PICTURES)
        theirs = _per_second(_theirs, volumes, folder, _N_THEIRS)
    peer = "nilearn's plot_anat, which draws into a PNG file"
    yield "screenshots from cached volumes, drawn", "pictures a second of one core", drawn, theirs, peer
    yield "screenshots from cached volumes, as PNG", "pictures a second of one core", ours, theirs, peer
