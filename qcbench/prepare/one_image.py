"""One raw T1w image: the aligned volume, the picture that raters judge, and the sidecar that says how they were made.

Bias field, one affine to the template, one linear interpolation onto the canonical grid, three slices: the steps of
Bottani et al. 2022, with the costs of the preset. All of it is meant for a process of its own.
"""

from __future__ import annotations

import json
import os
import resource
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import numpy as np

import qcbench
from qcbench import durable, images
from qcbench.errors import ImageError
from qcbench.imaging import bias, crop, geometry, register, screenshot, template
from qcbench.prepare import bids
from qcbench.prepare.presets import Preset


def align_and_draw(path: Path, derivatives: Path, preset: Preset, preset_name: str, convention: str) -> dict:
    """Write the volume, the picture and the sidecar of one raw image; return their paths and figures.

    The volume is int16 with the intensities of `crop.to_int16`. Same file, same bytes.
    """
    data, affine, shear_degrees, bias_strength = corrected(path, preset)
    alignment = register.register(data, affine, preset.register)
    cropped = crop.to_canonical(data, affine, alignment.template_to_scanner)
    quantised, scale = crop.to_int16(cropped)
    paths = output_paths(path, derivatives)
    images.save_volume(paths["volume"], quantised, np.array(geometry.CANONICAL_AFFINE))
    sha256 = images.save_png(paths["screenshot"], screenshot.screenshot(quantised, convention))
    figures = {
        **alignment.score.as_row(),
        "n_starts": alignment.n_starts,
        "bias_strength": round(bias_strength, 4),
        "shear_removed_degrees": round(shear_degrees, 3),
    }
    made_with = {
        "template": template.NAME,
        "template_sha256": template.load().sha256,
        "convention": convention,
    }
    sidecar = _sidecar(path, preset, preset_name, figures | made_with, alignment.template_to_scanner, scale)
    durable.write_text(paths["sidecar"], bids.to_json(sidecar))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        **figures,
        **made_with,
        "volume_path": paths["volume"],
        "screenshot_path": paths["screenshot"],
        "screenshot_sha256": sha256,
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_memory_gb": round(usage.ru_maxrss / 2**20, 2),
    }


def corrected(path: Path, preset: Preset) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return what is aligned and resampled: voxels in RAS order without bias field, their affine with orthogonal axes.

    Then come the shear that was removed (degrees) and the strength of the bias field.
    """
    # One thread: ITK adds in the order in which threads end, and the last digits would change.
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    volume = images.load_volume(path)
    data, affine = geometry.to_ras(volume.data, volume.affine)
    affine, shear_degrees = geometry.orthonormal(affine, data.shape)
    data, bias_strength = bias.correct(data, affine, preset.bias)
    return data, affine, shear_degrees, bias_strength


def read_sidecar(volume_path: Path) -> dict:
    """Return what `align_and_draw` wrote beside a volume. Raises ImageError when it is missing or damaged."""
    sidecar = volume_path.with_name(f"{bids.stem(volume_path)}.json")
    try:
        return json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ImageError("NO_SIDECAR", f"{sidecar} cannot be read; run qcbench preprocess again ({error})") from error


def output_paths(raw: str | Path, derivatives: Path, *, spacing: int = 1) -> dict[str, Path]:
    """Return where the derivatives of a raw BIDS image (or image_id) lie: `volume`, `sidecar` and `screenshot`."""
    resolution = "x".join([str(spacing)] * 3)
    name = bids.parse(bids.stem(raw)).with_entities(space=template.SPACE, res=resolution)
    folder = derivatives / name.folder
    return {
        "volume": folder / f"{name}.nii.gz",
        "sidecar": folder / f"{name}.json",
        "screenshot": folder / f"{name.with_entities(desc='slices')}.png",
    }


def _sidecar(path: Path, preset: Preset, preset_name: str, figures: dict, matrix: np.ndarray, scale: float) -> dict:
    return {
        "Description": "T1w after N4, one affine to the template and one linear interpolation",
        "Sources": [f"bids/{bids.parse(bids.stem(path)).folder}/{path.name}"],
        "SpatialReference": template.NAME,
        "SkullStripped": False,
        "Resolution": "1 mm isotropic, 169 x 208 x 179 voxels, origin (-84, -119, -78)",
        "PreprocessingPreset": preset_name,
        "Options": asdict(preset),
        "ResampledTo1mmFirst": False,
        "IntensityScale": scale,
        "TemplateToScannerAffineRAS": np.round(matrix, 9).tolist(),
        "Alignment": figures,
        "Screenshot": {
            "CutsMm": list(screenshot.CUTS_MM),
            "WhitePercentile": screenshot.WHITE_PERCENTILE,
            "PixelsAVoxel": screenshot.PIXELS_A_VOXEL,
            "Convention": figures["convention"],
        },
        "Versions": {
            "qcbench": qcbench.__version__,
            **{name: metadata.version(name) for name in ("antspyx", "nibabel", "nilearn", "numpy", "scipy", "pillow")},
        },
    }
