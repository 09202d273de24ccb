"""Every metric beside MRIQC 24.0.2's own code, on the same arrays and masks: the table of largest differences.

    python -m benchmarks.iqm_against_mriqc [ENVIRONMENT] [--table FILE.md]

ENVIRONMENT is a throw-away virtual environment with MRIQC in it, made there when missing (500 MB, minutes); it is
never a part of qcbench's own. Inputs are the real heads of $QCBENCH_REAL_DATA with simple masks, since any masks will
do for a comparison of formulas, and random arrays. The same file is the peer: run by the environment's Python, with
`--peer FOLDER`, it imports nothing of qcbench.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import types
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.iqm_cases import TISSUES, anatomical_cases, functional_cases, read

ENVIRONMENT = Path(tempfile.gettempdir()) / "mriqc-env"
#: MRIQC's own requirements ask for another numpy and a hundred packages that its formulas do not use.
_PEER = ("mriqc==24.0.2", "--no-deps"), ("numpy", "scipy", "statsmodels", "scikit-learn", "nibabel", "nipype", "nitime")
#: AFNI's own: not in Python, so not compared here.
LEFT_TO_AFNI = ("fwhm_x", "fwhm_y", "fwhm_z", "fwhm_avg", "aor", "aqi", "gcor")
TOLERANCE = {"qi_2": 1e-3}
#: The functions of MRIQC whose time counts, in the modules that call them: no reading, no starting.
IN_ANATOMICAL = {
    "mriqc.interfaces.anatomical": (
        "summary_stats",
        "snr",
        "snr_dietrich",
        "cnr",
        "cjv",
        "fber",
        "efc",
        "wm2max",
        "art_qi1",
        "volume_fraction",
        "rpve",
        "fuzzy_jaccard",
    ),
    "mriqc.qc.anatomical": ("art_qi2",),
}
IN_FUNCTIONAL = {
    "mriqc.interfaces.functional": ("summary_stats", "snr", "fber", "efc", "gsr"),
    "nipype.algorithms.confounds": ("compute_dvars",),
}


def ours(case: Path, arrays: dict[str, np.ndarray] | None = None) -> dict[str, float | None]:
    """Return our metrics of a case with the profile mriqc-24; its arrays are read unless given."""
    from qcbench.iqm import anatomical, functional
    from qcbench.iqm.profiles import MRIQC_24

    arrays = read(case) if arrays is None else arrays
    if (case / "modality").read_text() == "bold":
        signal = arrays["data"].mean(axis=(0, 1, 2), dtype=np.float64)
        run = functional.Run(
            spacing_mm=(3.0, 3.0, 3.0),
            repetition_time_s=2.0,
            global_signal=signal,
            data=arrays["data"],
            parameters=arrays["parameters"],
            brain=arrays["brain"],
        )
        return functional.metrics(run, MRIQC_24).values
    return anatomical.metrics(anatomy(arrays), MRIQC_24).values


def anatomy(arrays: dict[str, np.ndarray]):
    """Return the arrays of an anatomical case as the formulas take them."""
    from qcbench.iqm.anatomical import Anatomy

    plain = {name: array for name, array in arrays.items() if not name.startswith(("map_", "template_"))}
    return Anatomy(
        spacing_mm=(1.0, 1.0, 1.0),
        crown=arrays["head"],
        maps={name: arrays[f"map_{name}"] for name in TISSUES},
        template_maps={name: arrays[f"template_{name}"] for name in TISSUES},
        **plain,
    )


def peer(folder: Path) -> None:
    """Write peer.json into each case: what MRIQC finds in the same arrays."""
    stub_mriqc()
    for case in sorted(folder.iterdir()):
        arrays = read(case)
        with tempfile.TemporaryDirectory() as scratch:
            os.chdir(scratch)
            is_bold = (case / "modality").read_text() == "bold"
            with timed(IN_FUNCTIONAL if is_bold else IN_ANATOMICAL) as seconds:
                found = _peer_functional(arrays, Path(scratch)) if is_bold else _peer_anatomical(arrays, Path(scratch))
        (case / "peer.json").write_text(json.dumps({"values": found, "cpu_seconds": seconds}))
        print(f"  MRIQC on {case.name}: {sum(seconds.values()):.1f} s", flush=True)


@contextmanager
def timed(functions: dict[str, tuple[str, ...]]):
    """Yield the CPU seconds that each function of a module takes, by its name, as they are called by that module."""
    seconds: dict[str, float] = {}
    with ExitStack() as stack:
        for module, names in functions.items():
            for name in names:
                function = getattr(importlib.import_module(module), name)
                stack.enter_context(mock.patch(f"{module}.{name}", _stopwatch(function, name, seconds)))
        yield seconds


def _stopwatch(function, name: str, seconds: dict[str, float]):
    def run(*arguments, **options):
        started = time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            seconds[name] = seconds.get(name, 0) + time.process_time() - started

    return run


def stub_mriqc() -> None:
    """Let MRIQC's formulas be imported without its hundred requirements: its own start-up is replaced by nothing."""
    import logging

    root = Path(importlib.util.find_spec("mriqc").origin).parent
    for name in ("mriqc", "mriqc.interfaces", "mriqc.utils"):
        package = types.ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
    config = types.ModuleType("mriqc.config")
    config.loggers = types.SimpleNamespace(interface=logging.getLogger("mriqc"))
    sys.modules["mriqc"].config = sys.modules["mriqc.config"] = config
    plots = types.ModuleType("nireports.reportlets.nuisance")
    plots.plot_qi2 = None
    for name in ("nireports", "nireports.reportlets"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["nireports.reportlets.nuisance"] = plots


def _nifti(scratch: Path, **arrays: np.ndarray) -> dict[str, str]:
    import nibabel as nib

    for name, array in arrays.items():
        stored = array.astype(np.uint8) if array.dtype == bool else array
        image = nib.Nifti1Image(stored, np.eye(4), dtype=stored.dtype)
        if stored.ndim == 4:
            image.header.set_zooms((3.0, 3.0, 3.0, 2.0))
        nib.save(image, scratch / f"{name}.nii")
    return {name: str(scratch / f"{name}.nii") for name in arrays}


def _peer_anatomical(arrays: dict[str, np.ndarray], scratch: Path) -> dict[str, float]:
    from mriqc.interfaces.anatomical import StructuralQC
    from mriqc.qc import anatomical

    air = arrays["hat"] & ~arrays["artefact"]
    segmented = sum(arrays[f"map_{name}"] for name in TISSUES) > 0
    files = _nifti(scratch, **arrays, air=air, segmented=segmented)
    found = StructuralQC(
        in_file=files["raw"],
        in_noinu=files["harmonised"],
        in_segm=files["segmented"],
        in_bias=files["bias"],
        head_msk=files["head"],
        air_msk=files["air"],
        rot_msk=files["frame"],
        artifact_msk=files["artefact"],
        in_pvms=[files[f"map_{name}"] for name in TISSUES],
        mni_tpms=[files[f"template_{name}"] for name in TISSUES],
        in_fwhm=[0.0, 0.0, 0.0],
    ).run()
    qi_2, _ = anatomical.art_qi2(arrays["raw"], arrays["hat"], save_plot=False)
    return {**found.outputs.out_qc, "qi_2": qi_2}


def _peer_functional(arrays: dict[str, np.ndarray], scratch: Path) -> dict[str, float]:
    from mriqc.interfaces.functional import FunctionalQC
    from nipype.algorithms.confounds import TSNR, ComputeDVARS, FramewiseDisplacement, NonSteadyStateDetector

    mean = np.mean(arrays["data"], axis=3, dtype=np.float64).astype(np.float32)
    files = _nifti(scratch, data=arrays["data"], brain=arrays["brain"], mean=mean)
    np.savetxt("motion.txt", arrays["parameters"])
    dvars = ComputeDVARS(in_file=files["data"], in_mask=files["brain"], save_all=True, save_plot=False).run()
    # nipype's name for translations first and rotations in radians.
    moved = FramewiseDisplacement(in_file="motion.txt", parameter_source="SPM").run()
    found = FunctionalQC(
        in_epi=files["mean"],
        in_hmc=files["data"],
        in_tsnr=TSNR(in_file=files["data"]).run().outputs.tsnr_file,
        in_mask=files["brain"],
        in_fd=moved.outputs.out_file,
        in_dvars=dvars.outputs.out_all,
        in_fwhm=[0.0, 0.0, 0.0],
    ).run()
    steady = NonSteadyStateDetector(in_file=files["data"]).run()
    return {**found.outputs.out_qc, "dummy_trs": steady.outputs.n_volumes_to_discard}


def make_environment(folder: Path) -> Path:
    """Return the Python of the environment, which is made when missing."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        for packages in _PEER:
            subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def run_peer(python: Path, *arguments: str) -> None:
    """Run a module of the benchmarks in MRIQC's environment, from the root of the project."""
    root = Path(__file__).parents[1]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    subprocess.run([python, "-W", "ignore", "-m", *arguments], check=True, cwd=root, env=os.environ | threads)


def differences(cases: list[Path]) -> dict[str, dict]:
    """Return for each key the number of cases, the largest relative difference, and where only one has a number."""
    table: dict[str, dict] = {}
    for case in cases:
        mine, theirs = ours(case), json.loads((case / "peer.json").read_text())["values"]
        for key in (key for key in mine if key not in LEFT_TO_AFNI):
            row = table.setdefault(key, {"n": 0, "largest": 0.0, "case": "", "alone": []})
            if mine[key] is None:
                row["alone"].append(f"{case.name}: MRIQC writes {theirs[key]:g}")
                continue
            row["n"] += 1
            difference = abs(mine[key] - theirs[key]) / max(abs(theirs[key]), 1e-12) if mine[key] != theirs[key] else 0
            if difference > row["largest"]:
                row.update(largest=difference, case=case.name)
    return table


def as_markdown(table: dict[str, dict]) -> str:
    """Return the table as text."""
    lines = ["| key | inputs | largest relative difference | where | null in ours |", "|---|---|---|---|---|"]
    for key, row in sorted(table.items()):
        flag = "" if row["largest"] <= TOLERANCE.get(key, 1e-6) else " (!)"
        alone = "; ".join(row["alone"])
        lines.append(f"| {key} | {row['n']} | {row['largest']:.1e}{flag} | {row['case']} | {alone} |")
    return "\n".join(lines) + "\n"


def main(environment: Path, table: Path | None) -> None:
    """Print the table, and write it where asked."""
    python = make_environment(environment)
    with tempfile.TemporaryDirectory() as scratch:
        for modality, write in (("T1w", anatomical_cases), ("bold", functional_cases)):
            folder = Path(scratch) / modality
            write(folder)
            run_peer(python, "benchmarks.iqm_against_mriqc", "--peer", str(folder))
            text = f"### {modality}\n\n" + as_markdown(differences(sorted(folder.iterdir())))
            print(text, flush=True)
            if table:
                with table.open("a", encoding="utf-8") as file:
                    file.write(text + "\n")


if __name__ == "__main__":
    given = sys.argv[1:]
    if given[:1] == ["--peer"]:
        peer(Path(given[1]))
    else:
        table_path = Path(given[given.index("--table") + 1]) if "--table" in given else None
        where = given[0] if given and not given[0].startswith("--") else ENVIRONMENT
        main(Path(where), table_path)
