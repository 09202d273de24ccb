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
from qcbench.imaging import bias, crop, geometry, register, screenshot, template, whole_head
from qcbench.prepare import bids
from qcbench.prepare.presets import Preset


def align_and_draw(
    path: Path,
    derivatives: Path,
    preset: Preset,
    preset_name: str,
    convention: str,
    *,
    template_file: Path | None = None,
    template_name: str | None = None,
) -> dict:
    """Write the volume, the picture and the sidecar of one raw image; return their paths and figures.

    The volume is int16 with the intensities of `crop.to_int16`. Same file, same bytes. The template is that of
    `whole_head.choose`.
    """
    fixed = whole_head.choose(template_file, template_name, look_around=preset.prefers_whole_head)
    data, affine, shear_degrees, is_resampled = _loaded(path, preset)
    data, bias_strength = bias.correct(data, affine, preset.bias)
    alignment = register.register(data, affine, preset.register, fixed)
    cropped = crop.to_canonical(data, affine, alignment.template_to_scanner)
    quantised, scale = crop.to_int16(cropped)
    paths = output_paths(path, derivatives, space=fixed.space)
    images.save_volume(paths["volume"], quantised, np.array(geometry.CANONICAL_AFFINE))
    sha256 = images.save_png(paths["screenshot"], picture(quantised, convention, preset.display))
    figures = {
        **alignment.score.as_row(),
        "n_starts": alignment.n_starts,
        "is_header_turned": alignment.score.is_turned,
        # What may be wrong is kept beside the picture, as evidence for those who judge it.
        "alignment_doubts": "; ".join(alignment.doubts()) or None,
        "bias_strength": round(bias_strength, 4),
        "is_resampled_first": is_resampled,
        "shear_removed_degrees": round(shear_degrees, 3),
    }
    made_with = {
        "template": template_label(fixed, preset),
        "template_sha256": fixed.sha256,
        "convention": convention,
        "seed": preset.register.seed,
        "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
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


#: Headers hold single precision: what is 0.9 mm there reads as 0.89999998.
_SAME_MM = 1e-4


def corrected(path: Path, preset: Preset) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return what is aligned and resampled: voxels in RAS order without bias field, their affine with orthogonal axes.

    Then come the shear that was removed (degrees) and the strength of the bias field. Raises ImageError for a file
    that is no usable image.
    """
    data, affine, shear_degrees, _ = _loaded(path, preset)
    data, bias_strength = bias.correct(data, affine, preset.bias)
    return data, affine, shear_degrees, bias_strength


def _loaded(path: Path, preset: Preset) -> tuple[np.ndarray, np.ndarray, float, bool]:
    """Return the voxels, affine and shear of `corrected`, and whether the voxels were made 1 mm cubes."""
    # One thread: ITK adds in the order in which threads end, and the last digits would change.
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    volume = images.load_volume(path)
    data, affine = geometry.to_ras(volume.data, volume.affine)
    affine, shear_degrees = geometry.orthonormal(affine, data.shape)
    is_fine = preset.cubes_below_mm is not None and min(volume.spacing_mm) < preset.cubes_below_mm - _SAME_MM
    if is_fine:
        data, affine = crop.isotropic(data, affine)
    return data, affine, shear_degrees, is_fine


def picture(volume: np.ndarray, convention: str, display: str) -> np.ndarray:
    """Return the three slices (uint8) in the display of a preset."""
    if display == "percentile":
        return screenshot.screenshot(volume, convention)
    # Black is the lowest value, which resampled images have below zero.
    lowest = float(volume.min())
    panels = [panel - lowest for panel in screenshot.central_slices(volume, convention)]
    return screenshot.side_by_side(panels, float(volume.max()) - lowest or 1.0)


def template_label(fixed: template.Template, preset: Preset) -> str:
    """Return the template as rows name it, and that it is not the paper's where a preset of the paper is meant.

    >>> from qcbench.prepare.presets import by_name
    >>> template_label(template.load(), by_name("paper-2022"))
    'MNI152NLin2009aSym skull-stripped (nilearn), masked: not the template of the paper'
    """
    if preset.prefers_whole_head and fixed.is_brain_only:
        return f"{fixed.name}, masked: not the template of the paper"
    return fixed.name


def versions() -> dict[str, str]:
    """Return the versions of all that touches the voxels."""
    packages = ("antspyx", "nibabel", "nilearn", "numpy", "scipy", "pillow")
    return {"qcbench": qcbench.__version__, **{name: metadata.version(name) for name in packages}}


def read_sidecar(volume_path: Path) -> dict:
    """Return what `align_and_draw` wrote beside a volume. Raises ImageError when it is missing or damaged."""
    sidecar = volume_path.with_name(f"{bids.stem(volume_path)}.json")
    try:
        return json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ImageError("NO_SIDECAR", f"{sidecar} cannot be read; run qcbench preprocess again ({error})") from error


def output_paths(
    raw: str | Path, derivatives: Path, *, spacing: int = 1, space: str = template.SPACE
) -> dict[str, Path]:
    """Return where the derivatives of a raw BIDS image (or image_id) lie: `volume`, `sidecar` and `screenshot`."""
    resolution = "x".join([str(spacing)] * 3)
    name = bids.parse(bids.stem(raw)).without_derived().with_entities(space=space, res=resolution)
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
        "SpatialReference": figures["template"],
        "SkullStripped": False,
        "Resolution": "1 mm isotropic, 169 x 208 x 179 voxels, origin (-84, -119, -78)",
        "PreprocessingPreset": preset_name,
        "Options": asdict(preset),
        "ResampledTo1mmFirst": figures["is_resampled_first"],
        "IntensityScale": scale,
        "TemplateToScannerAffineRAS": np.round(matrix, 9).tolist(),
        "Alignment": {name: value for name, value in figures.items() if name != "versions"},
        "Screenshot": {
            "CutsMm": list(screenshot.CUTS_MM),
            "WhitePercentile": screenshot.WHITE_PERCENTILE if preset.display == "percentile" else None,
            "PixelsAVoxel": screenshot.PIXELS_A_VOXEL,
            "Convention": figures["convention"],
        },
        "Versions": versions(),
    }
