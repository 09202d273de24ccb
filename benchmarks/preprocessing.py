"""CPU seconds and memory to preprocess one head, beside the plain recipe a user of antspyx would write.

The plain recipe is N4 with its defaults and antsRegistrationSyNQuick[a] at 1 mm. The head is the
first real one in $QCBENCH_REAL_DATA, or a synthetic one where there is none.
"""

import multiprocessing
import os
import resource
import tempfile
from pathlib import Path

from qcbench import pipeline, store
from qcbench.study import Study


def _head(folder):
    real = sorted(Path(os.environ.get("QCBENCH_REAL_DATA", "nowhere")).glob("t1w/*_T1w.nii.gz"))
    if real:
        return real[0]
    from qcbench import images
    from qcbench.imaging.heads import synthetic_head

    head = synthetic_head(seed=0)
    images.save_volume(folder / "sub-1_T1w.nii.gz", head.data, head.affine)
    return folder / "sub-1_T1w.nii.gz"


def _ours(head, folder):
    study = Study.create(Path(folder) / "study", raters=["alice"])
    pipeline.ingest(study, head, show_progress=False)
    pipeline.preprocess(study, workers=1, show_progress=False)
    (row,) = store.rows(study, "preprocessed")
    if row["error"]:
        raise RuntimeError(row["error"])
    # The native part ran in a fork of a server, which the operating system does not count as our child.
    return row["cpu_seconds"], row["peak_memory_gb"]


def _plain(head, folder):
    import ants
    import nibabel
    from nilearn.datasets import load_mni152_template

    template = Path(folder) / "template.nii.gz"
    nibabel.save(load_mni152_template(resolution=1), template)
    fixed, moving = ants.image_read(str(template)), ants.image_read(str(head))
    flat = ants.n4_bias_field_correction(moving)
    found = ants.registration(fixed, flat, type_of_transform="antsRegistrationSyNQuick[a]", outprefix=f"{folder}/to")
    ants.image_write(found["warpedmovout"], f"{folder}/aligned.nii.gz")


def _cost(function, queue):
    with tempfile.TemporaryDirectory() as folder:
        elsewhere_s, elsewhere_gb = function(_head(Path(folder)), folder) or (0, 0)
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu_s = sum(u.ru_utime + u.ru_stime for u in usage) + elsewhere_s
    queue.put((cpu_s, max(*(u.ru_maxrss / 2**20 for u in usage), elsewhere_gb)))


def _measured(function):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_cost, args=(function, queue))
    process.start()
    cost = queue.get(timeout=1800)
    process.join()
    return cost


def measure():
    ours, plain = _measured(_ours), _measured(_plain)
    for figure, mine, theirs in zip(
        ("CPU seconds, imports included", "peak GB of one process"), ours, plain, strict=True
    ):
        yield (
            "preprocess one head, preset fast",
            figure,
            mine,
            theirs,
            "N4 and SyNQuick[a] at 1 mm, as antspyx offers them",
        )
