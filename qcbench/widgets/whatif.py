"""What an artefact would do to a scan: sliders, the slices beside the original, and the grades it amounts to.

The kernel makes one copy at a time, the newest that was asked for, in a thread of its own, so that
a slider that is moved quickly queues nothing. A model may say what it thinks of each copy.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qcbench import images, store
from qcbench.errors import QcbenchError, StudyError, UsageError
from qcbench.imaging import crop, screenshot, simulate
from qcbench.imaging.simulate import grades
from qcbench.prepare import pool
from qcbench.protocol import Protocol, Value
from qcbench.study import Study
from qcbench.widgets.newest import Newest
from qcbench.widgets.transport import Transport, static_text

_LOG = logging.getLogger(__name__)

#: The rows of the page from the top down, as in the protocol.
_FAMILIES = ("gadolinium", "motion", "contrast", "noise")
_ARTEFACT_WORDS = {
    "gadolinium": "injection",
    "abrupt": "abrupt moves",
    "slow": "slow drift",
    "mixing": "grey and white alike",
    "low_resolution": "coarse voxels",
    "spikes": "spikes in k-space",
}
#: Seeds go up to here; numbers of requests as far as a browser counts exactly.
_LAST_SEED, _LAST_NUMBER = 2**31 - 1, 2**53 - 1
_MOST_PROBABILITIES = 20

Model = Callable[[np.ndarray], Mapping[str, float]]
Answer = tuple[dict, bytes | None]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One setting of the controls; `number` tells its answer from that of another setting."""

    number: int
    seed: int
    strengths: dict[str, float]

    @classmethod
    def of(cls, message: Mapping[str, object]) -> Request:
        """Return what a message of the page asks for; raises UsageError when it is not to be trusted."""
        number, seed, strengths = (message.get(name) for name in ("number", "seed", "strengths"))
        for name, value, last in (("number", number, _LAST_NUMBER), ("seed", seed, _LAST_SEED)):
            if type(value) is not int or not 0 <= value <= last:
                raise UsageError(f"{name} must be a whole number from 0 to {last}, got {_brief(value)}")
        if not isinstance(strengths, dict):
            raise UsageError(f"strengths must be numbers by artefact, got {_brief(strengths)}")
        family_of = {name: family for family in _FAMILIES for name in simulate.ARTEFACTS[family]}
        for name, strength in strengths.items():
            if name not in family_of:
                raise UsageError(f"an artefact is one of {', '.join(family_of)}; got {_brief(name)}")
            # Written so that a strength that is not a number is refused too.
            if type(strength) not in (int, float) or not 0 <= strength <= 1:
                raise UsageError(f"the strength of {name} must be from 0 to 1, got {_brief(strength)}")
        families = [family_of[name] for name in strengths]
        if len(set(families)) < len(families):
            raise UsageError(f"one artefact each of {', '.join(_FAMILIES)} is shown; got {', '.join(strengths)}")
        return cls(number=number, seed=seed, strengths={name: float(each) for name, each in strengths.items()})


class WhatIf(Transport):
    """A scan of the study with artefacts as strong as the sliders say, beside the original.

    ``WhatIf(study, "sub-01_T1w")``. Each copy has its measured severity, the grade it amounts to
    and the tier. `model`, if given, takes the preprocessed voxels (float32, 169 x 208 x 179, their
    99.8th percentile 1000) and returns probabilities by name; they are shown for the original and
    the copy. What is wrong is said on the page (`problem`) in place of a traceback. For a person
    who may know the images' ids: a problem names the image and the file.
    """

    _esm = static_text("transport.js", "whatif.js")
    _css = static_text("whatif.css")

    def __init__(
        self,
        study: Study | str | Path,
        image_id: str,
        *,
        model: Model | None = None,
        seed: int = 0,
        theme: str = "dark",
    ) -> None:
        super().__init__(theme=theme, fills_page=False)
        self.problem: str | None = None
        self._model = model
        self._scan: _Scan | None = None
        self._of_original: dict[str, float] | None = None
        self._answers: dict[str, Answer] = {}
        self._first = Request(number=0, seed=int(seed), strengths={})
        self._newest = Newest(self._work)
        try:
            self._study = Study.of(study)
            self._protocol = self._study.protocol
            self._rows = _rows(self._study, image_id)
        except QcbenchError as error:
            self.problem = str(error)

    def receive(self, message: object) -> Iterable[Answer]:
        """Return what can be answered at once; the pictures follow when they are made."""
        kind = message.get("kind") if isinstance(message, dict) else None
        if kind == "ping":
            return [({"kind": "pong"}, None)]
        if self.problem:
            return [({"kind": "problem", "why": self.problem}, None)]
        if kind == "hello":
            return self._greeting()
        try:
            if kind != "set":
                raise UsageError(f"a message is a hello, a ping or a set; got {_brief(kind)}")
            request = Request.of(message)
        except UsageError as error:
            return [({"kind": "refused", "why": str(error)}, None)]
        return self._asked(request)

    def _greeting(self) -> Iterator[Answer]:
        """Yield the controls, and what was made already when the page is loaded again."""
        controls = {
            "kind": "state",
            "families": [self._family(name) for name in _FAMILIES],
            "has_model": self._model is not None,
            "seed": self._first.seed,
        }
        yield controls, None
        yield from self._answers.values()
        if self._newest.job is None:
            self._newest.put(self._first)  # now that the page has the controls that its answer fills

    def _asked(self, request: Request) -> list[Answer]:
        """Have a copy made; one that was asked for twice, because an answer was lost, is made once."""
        if self._newest.job is None or request.number != self._newest.job.number:
            self._newest.put(request)
            return []
        return [answer for answer in self._answers.values() if answer[0].get("number") == request.number]

    def _family(self, name: str) -> dict:
        criterion = next((each for each in self._protocol.criteria if each.name == name), None)
        scale = grades.scales().get(name)
        return {
            "name": name,
            "label": criterion.label if criterion else name.capitalize(),
            "help": criterion.help if criterion else "",
            "artefacts": [
                {"name": artefact, "label": _ARTEFACT_WORDS.get(artefact, artefact.replace("_", " "))}
                for artefact in simulate.ARTEFACTS[name]
            ],
            "begins": [scale.visible, scale.severe] if scale else None,
        }

    def _work(self, request: Request) -> None:
        """Make one copy and tell the page, in the worker thread."""
        try:
            scan = self._scan or self._loaded()
            copy = simulate.with_strengths(scan.head, request.strengths, seed=request.seed, sight=scan.sight)
            self._tell(request, self._told(request, copy), scan.picture_of_copy(copy))
        except Exception as error:  # whatever goes wrong in a thread would be seen nowhere
            self._tell(request, {"kind": "failed", "why": _sentence("the copy cannot be made", error)})
            return
        if self._model is not None and self._newest.is_newest(request):
            self._tell(request, self._judged(scan, copy))

    def _loaded(self) -> _Scan:
        try:
            self._scan = _Scan(pool.source_head(self._study, *self._rows), self._study.convention)
        except Exception as error:
            self.problem = _sentence("the scan cannot be loaded", error)
            raise
        self._answers = {"original": ({"kind": "original"}, self._scan.picture)}
        self.send({"kind": "original"}, buffers=[self._scan.picture])
        return self._scan

    def _told(self, request: Request, copy: simulate.Copy) -> dict:
        """Return what is said of a copy beside its picture."""
        tier, rule = verdict(self._protocol, copy.grades)
        told = {"gadolinium": {"grade": None, "words": "added" if copy.gadolinium else "none added"}}
        for name, grade in copy.grades.items():
            words = " - ".join(filter(None, (str(grade), _wording(self._protocol, name, grade))))
            told[name] = {"grade": grade, "words": words, "severity": _finite(copy.severity[name])}
        return {
            "kind": "copy",
            "seed": request.seed,
            "strengths": request.strengths,
            "told": told,
            "tier": tier,
            "rule": rule,
        }

    def _judged(self, scan: _Scan, copy: simulate.Copy) -> dict:
        """Return the model's probabilities for the original and the copy, or why there are none."""
        try:
            if self._of_original is None:
                self._of_original = _probabilities(self._model, scan.canonical(scan.head.data))
            untouched = copy.head.data is scan.head.data
            of_copy = self._of_original if untouched else _probabilities(self._model, scan.canonical(copy.head.data))
        except Exception as error:  # a model is anybody's code
            return {"kind": "probabilities", "rows": [], "why": _sentence("the model failed", error)}
        rows = [{"name": name, "original": self._of_original.get(name), "copy": of_copy[name]} for name in of_copy]
        return {"kind": "probabilities", "rows": rows, "why": ""}

    def _tell(self, request: Request, content: dict, picture: bytes | None = None) -> None:
        """Send an answer, unless something newer was asked for meanwhile."""
        if not self._newest.is_newest(request):
            return
        if self.problem:
            content = {"kind": "problem", "why": self.problem}
        content = {**content, "number": request.number}
        # A new dictionary each time: the kernel's thread may be reading the old one.
        outdated = () if content["kind"] == "probabilities" else ("copy", "failed", "probabilities")
        kept = {kind: answer for kind, answer in self._answers.items() if kind not in outdated}
        self._answers = {**kept, content["kind"]: (content, picture)}
        self.send(content, buffers=None if picture is None else [picture])


def verdict(protocol: Protocol, graded: Mapping[str, int]) -> tuple[str, str]:
    """Return the tier with what makes it so, and the wording of the rule that fired where that says more.

    >>> from qcbench import protocol
    >>> verdict(protocol.load("t1w-warehouse"), {"motion": 2, "contrast": 1, "noise": 0})
    ('tier 3: motion 2', 'at least one grade 2')
    """
    rule = protocol.tier_rule(graded)
    if rule is None:
        return "no tier", f"{protocol.name} derives it from {', '.join(protocol.tier_criteria)}"
    worst = [f"{name} {graded[name]}" for name in protocol.tier_criteria if graded[name] >= rule.when_any_at_least > 0]
    if not worst:
        return f"tier {rule.tier}: {rule.wording}", ""
    return f"tier {rule.tier}: {', '.join(worst)}", rule.wording


class _Scan:
    """A located head, and the pictures of it and of its copies, in the brightness of the original's."""

    def __init__(self, head, convention: str) -> None:
        self.head = head
        self._convention = convention
        self.sight = simulate.Sight(head)
        canonical = crop.to_canonical(head.data, head.affine, head.template_to_scanner)
        # The slices are relative to white matter; what is drawn white is set by the whole volume.
        self._white = screenshot.white_of(canonical) / head.levels[2]
        self.picture = images.png_bytes(self._drawn(self.sight.untouched))

    def picture_of_copy(self, copy: simulate.Copy) -> bytes:
        """Return the copy's slices as PNG; the word SIMULATED is part of it, wherever it is taken."""
        # The sagittal slice, on the left, is the least high one: above it the word hides nothing.
        return images.png_bytes(self._drawn(self.sight.cut(copy.head.data)), mark="SIMULATED")

    def _drawn(self, planes: list[np.ndarray]) -> np.ndarray:
        return screenshot.side_by_side(
            [screenshot.upright(plane, axis, self._convention) for axis, plane in enumerate(planes)], self._white
        )

    def canonical(self, data: np.ndarray) -> np.ndarray:
        """Return voxels of the scanner as a model gets them."""
        volume = crop.to_canonical(data, self.head.affine, self.head.template_to_scanner)
        return crop.to_int16(volume)[0].astype(np.float32)


def _rows(study: Study, image_id: str) -> tuple[dict, dict]:
    """Return the image's rows of `images` and `preprocessed`."""
    found = []
    for table, made_by in (("images", "ingest"), ("preprocessed", "preprocess")):
        row = next((row for row in store.require(study, table, made_by) if row["image_id"] == image_id), None)
        if row is None:
            raise StudyError(
                f"{_brief(image_id)} is not among the {table} of {study.folder}; run qcbench {made_by}, "
                "or take an image_id of that table"
            )
        if row["error"]:
            raise StudyError(f"{image_id} cannot be used, {made_by} failed on it: {row['error']}")
        found.append(row)
    if not found[0]["bids_path"]:
        raise StudyError(f"{image_id} has no scan of its own in bids/; take the one it was derived from")
    return found[0], found[1]


def _probabilities(model: Model, volume: np.ndarray) -> dict[str, float]:
    """Return what the model says; raises UsageError when that is no probability by name."""
    said = model(volume)
    if not isinstance(said, Mapping) or not 1 <= len(said) <= _MOST_PROBABILITIES:
        raise UsageError(f"it must return 1 to {_MOST_PROBABILITIES} probabilities by name, got {_brief(said)}")
    checked = {str(name): float(value) for name, value in said.items()}
    for name, value in checked.items():
        if not 0 <= value <= 1:
            raise UsageError(f"the probability of {name} must be from 0 to 1, got {value}")
    return checked


def _wording(protocol: Protocol, name: str, value: Value) -> str:
    choices = [choice for criterion in protocol.criteria if criterion.name == name for choice in criterion.choices]
    return next((choice.label for choice in choices if choice.value == value), "")


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _sentence(what: str, error: Exception) -> str:
    _LOG.debug("%s", what, exc_info=error)
    kind = "" if isinstance(error, QcbenchError) else f"{type(error).__name__}: "
    return f"{what}: {kind}{_brief(str(error), quoted=False, most=400)}"


def _brief(value: object, *, quoted: bool = True, most: int = 80) -> str:
    """Return a value as it reads in a sentence: what came from outside may be as long as it likes."""
    text = repr(value) if quoted else str(value)
    return text if len(text) <= most else f"{text[:most]}..."
