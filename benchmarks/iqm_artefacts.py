"""How each metric answers to artefacts of growing strength on one head: what it is worth, against what theory expects.

    python -m benchmarks.iqm_artefacts [IMAGE] [--metrics cjv,cnr,...] [--strengths 0.2,0.4,...]

The artefacts are simulated (`qcbench.imaging.simulate`), so the result is about simulated degradation. Without an image
a synthetic head of 2 mm is taken. A row is an artefact and a metric: its value on the untouched head, at each strength,
the sign that theory expects, and whether the rank correlation with strength has it. 0 in place of a sign: no answer
expected. One image takes about a minute; the untouched head and five strengths of five artefacts, half an hour.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import stats

from qcbench import images
from qcbench.errors import QcbenchError
from qcbench.imaging import isolate, landmarks
from qcbench.imaging.heads import Head, synthetic_head
from qcbench.imaging.simulate import with_strengths
from qcbench.iqm import measure

STRENGTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
#: A ghost of 0.4 is a second head over the first, and brightness that uneven hides half of it: no template fits them.
WEAK = (0.06, 0.12, 0.18, 0.24, 0.3)
STRENGTHS_OF = {"ghosting": WEAK, "uneven_brightness": WEAK}
#: Artefact -> metric -> the sign of its change. Signs that follow from a formula alone are given, others are left out.
EXPECTED: dict[str, dict[str, int]] = {
    # Rician noise widens every tissue and the air.
    "noise": {"snr_total": -1, "cnr": -1, "cjv": +1, "snrd_total": -1, "fwhm_avg": -1, "efc": +1},
    # Ghosts of the moving head put signal into the air, and edges into the tissues.
    "abrupt": {"snr_total": -1, "cjv": +1, "cnr": -1, "efc": +1, "fber": -1},
    "ghosting": {"fber": -1, "snrd_total": -1, "cjv": +1, "efc": +1},
    # Blur mixes tissues: they are less apart, and neighbours are more alike.
    "low_resolution": {"fwhm_avg": +1, "cjv": +1},
    # The field that N4 finds is wider.
    "uneven_brightness": {"inu_range": +1},
}
#: Three are in the expected order by chance once in six.
_LEAST_VALUES = 4
METRICS = ("cjv", "cnr", "snr_total", "snrd_total", "fber", "efc", "fwhm_avg", "qi_1", "qi_2", "inu_range", "wm2max")


def measure_all(
    head: Head, strengths: tuple[float, ...] | None = None, artefacts: tuple[str, ...] = tuple(EXPECTED)
) -> Iterator[tuple[str, float, dict]]:
    """Yield artefact, strength and the row of `iqms`; first the untouched head, under the name "none"."""
    with tempfile.TemporaryDirectory() as scratch:
        yield "none", 0.0, _row(head, Path(scratch))
        for artefact in artefacts:
            for strength in strengths or STRENGTHS_OF.get(artefact, STRENGTHS):
                degraded = with_strengths(head, {artefact: strength}, seed=0).head
                yield artefact, strength, _row(degraded, Path(scratch))


def verdict(values: list[float | None], strengths: list[float], expected: int | None) -> str:
    """Return yes, no or - (nothing expected, or too few numbers) for values at strengths, the untouched one first.

    >>> verdict([9.0, 7.0, 5.0, 4.0], [0.0, 0.2, 0.4, 0.6], -1), verdict([9.0, None], [0.0, 0.2], -1)
    ('yes', '-')
    """
    known = [(strength, value) for strength, value in zip(strengths, values, strict=True) if value is not None]
    if not expected or len(known) < _LEAST_VALUES:
        return "-"
    rho = stats.spearmanr(*zip(*known, strict=True)).statistic
    # Of six values chance gives more than this once in twenty; of four it takes a perfect order.
    return "yes" if rho * expected > 0.82 else "no"


def _row(head: Head, folder: Path) -> dict:
    path = folder / "sub-1_T1w.nii"
    images.save_volume(path, head.data.astype(np.float32), head.affine)
    try:
        return isolate.call(measure.measure, path, "T1w", "qcbench", timeout_s=1200, memory_gb=12)
    except QcbenchError as error:
        print(f"not measured: {error}", flush=True)
        return {}


def _head(path: str | None) -> Head:
    if path is None:
        return synthetic_head(seed=1, spacing_mm=(2.0, 2.0, 2.0))
    return landmarks.locate(images.load_volume(path))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("image", nargs="?")
    parser.add_argument("--metrics", default=",".join(METRICS))
    parser.add_argument("--strengths", help="five or so, e.g. 0.1,0.2,0.3; default those of each artefact")
    parser.add_argument("--artefacts", default=",".join(EXPECTED))
    options = parser.parse_args()
    metrics = options.metrics.split(",")
    asked = tuple(float(text) for text in options.strengths.split(",")) if options.strengths else None
    print(f"{'artefact':18} {'metric':11} {'expected':8} {'as expected':11} values", flush=True)
    untouched, measured = {}, []
    for artefact, strength, row in measure_all(_head(options.image), asked, tuple(options.artefacts.split(","))):
        if artefact == "none":
            untouched = row
            continue
        measured.append((strength, row))
        if len(measured) == len(asked or STRENGTHS_OF.get(artefact, STRENGTHS)):
            print(f"{artefact} at 0, {', '.join(f'{strength:g}' for strength, _ in measured)}", flush=True)
            for metric in metrics:
                print(_line(artefact, metric, [(0.0, untouched), *measured]), flush=True)
            measured = []


def _line(artefact: str, metric: str, measured: list[tuple[float, dict]]) -> str:
    values = [row.get(metric) for _, row in measured]
    expected = EXPECTED.get(artefact, {}).get(metric)
    sign = {1: "+", -1: "-"}.get(expected, "0")
    shown = "  ".join("null" if value is None else f"{value:.4g}" for value in values)
    answer = verdict(values, [strength for strength, _ in measured], expected)
    return f"{artefact:18} {metric:11} {sign:8} {answer:11} {shown}"


if __name__ == "__main__":
    main()
