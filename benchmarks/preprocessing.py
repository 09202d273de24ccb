"""CPU seconds and memory to preprocess a head, beside the plain recipe a user of antspyx would write.

The plain recipe is N4 with its defaults and antsRegistrationSyNQuick[a] at 1 mm. The heads are the real ones in
$QCBENCH_REAL_DATA, or a synthetic one where there is none. `measure` takes the first with the preset fast;

    QCBENCH_REAL_DATA=DIR python -m benchmarks.preprocessing OUT

takes every head with fast, with the plain recipe and with paper-2022, and adds how far (mm, mean in the brain) the
affines of fast and paper-2022 lie apart, and their pictures side by side. That is an hour of computing: what is in
OUT is not made twice.
"""

import json
import multiprocessing
import os
import resource
import sys
import tempfile
from pathlib import Path

from benchmarks.alignment_starts import heads
from qcbench.prepare import limits

RECIPES = ("fast", "plain", "paper-2022")


def _real_or_synthetic(folder):
    if os.environ.get("QCBENCH_REAL_DATA") and heads():
        return heads()[0]
    from qcbench import images
    from qcbench.imaging.heads import synthetic_head

    head = synthetic_head(seed=0)
    images.save_volume(folder / "sub-1_T1w.nii.gz", head.data, head.affine)
    return folder / "sub-1_T1w.nii.gz"


def _with_preset(head, folder, preset):
    from qcbench.imaging import isolate
    from qcbench.prepare import one_image, presets

    bounds = limits.of(preset)
    chosen = presets.by_name(preset)
    work = (one_image.align_and_draw, head, folder, chosen, preset, "radiological")
    made = isolate.call(*work, timeout_s=bounds.timeout_s, memory_gb=bounds.most_gb)
    sidecar = one_image.read_sidecar(made["volume_path"])
    # The native part ran in a fork of a server, which the operating system does not count as our child.
    return {
        "cpu_seconds": made["cpu_seconds"],
        "peak_gb": made["peak_memory_gb"],
        "alignment": made["alignment"],
        "n_starts": made["n_starts"],
        "affine": sidecar["TemplateToScannerAffineRAS"],
        "picture": str(made["screenshot_path"]),
    }


def _plain(head, folder):
    import ants
    import nibabel
    from nilearn.datasets import load_mni152_template

    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    template = Path(folder) / "template.nii.gz"
    nibabel.save(load_mni152_template(resolution=1), template)
    fixed, moving = ants.image_read(str(template)), ants.image_read(str(head))
    flat = ants.n4_bias_field_correction(moving)
    found = ants.registration(fixed, flat, type_of_transform="antsRegistrationSyNQuick[a]", outprefix=f"{folder}/to")
    ants.image_write(found["warpedmovout"], f"{folder}/aligned.nii.gz")
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu_seconds": usage.ru_utime + usage.ru_stime, "peak_gb": usage.ru_maxrss / 2**20}


def _in_process(recipe, head, folder, queue):
    queue.put(_plain(head, folder) if recipe == "plain" else _with_preset(head, folder, recipe))


def cost(recipe, head, folder):
    """Return CPU seconds, memory and what else is known of one head, made in a process of its own, imports included."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_in_process, args=(recipe, head, folder, queue))
    process.start()
    made = queue.get(timeout=7200)
    process.join()
    return made


def measure():
    """Yield the rows of the common table."""
    with tempfile.TemporaryDirectory() as folder:
        head = _real_or_synthetic(Path(folder))
        ours, plain = (cost(recipe, head, Path(folder)) for recipe in ("fast", "plain"))
    for figure, name in (("CPU seconds, imports included", "cpu_seconds"), ("peak GB of one process", "peak_gb")):
        peer = "N4 and SyNQuick[a] at 1 mm, as antspyx offers them"
        yield "preprocess one head, preset fast", figure, ours[name], plain[name], peer


def compare(folder):
    """Make what is missing for every head and recipe in a folder; print one row a head."""
    for head in heads():
        known = {}
        for recipe in RECIPES:
            kept = folder / recipe / f"{head.name}.json"
            if not kept.exists():
                kept.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory() as scratch:
                    made = cost(recipe, head, Path(scratch) if recipe == "plain" else folder / recipe)
                kept.write_text(json.dumps(made))
            known[recipe] = json.loads(kept.read_text())
        print(_line(head, known), flush=True)
        _side_by_side(
            folder / f"{head.name.split('.')[0]}.png", known["fast"]["picture"], known["paper-2022"]["picture"]
        )


def _line(head, known):
    import numpy as np

    from qcbench.imaging import register

    costs = "  ".join(
        f"{name} {made['cpu_seconds']:.1f} CPU-s {made['peak_gb']:.2f} GB" for name, made in known.items()
    )
    apart_mm = register.displacement_mm(*(np.array(known[name]["affine"]) for name in ("fast", "paper-2022")))
    ratio = known["plain"]["cpu_seconds"] / known["fast"]["cpu_seconds"]
    return f"{head.name}  {costs}  plain/fast {ratio:.1f}  fast and paper-2022 {apart_mm:.2f} mm apart"


def _side_by_side(path, first, second):
    from PIL import Image

    pictures = [Image.open(name) for name in (first, second)]
    both = Image.new("L", (pictures[0].width, 2 * pictures[0].height))
    for row, picture in enumerate(pictures):
        both.paste(picture, (0, row * picture.height))
    both.save(path)


if __name__ == "__main__":
    compare(Path(sys.argv[1]))
