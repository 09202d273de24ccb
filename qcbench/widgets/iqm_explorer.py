"""How the metrics of a study lie by hospital and scanner, which images stand apart, and what these look like."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from qcbench import images, iqm_keys, store
from qcbench.errors import ImageError, QcbenchError, UsageError
from qcbench.iqm import apart, definitions, distributions, norms, profiles
from qcbench.study import Study
from qcbench.widgets.transport import Transport, static_text

_LOG = logging.getLogger(__name__)

#: What the page offers to group by, in its words.
_GROUPING_WORDS = {
    "hospital": "hospital",
    "manufacturer": "manufacturer",
    "model_name": "scanner model",
    "field_strength_t": "field strength",
    None: "nothing",
}
_BETTER_WORDS = {"low": "lower is better", "high": "higher is better", "": "no direction is better"}
_FIRST_METRIC = {"bold": "tsnr"}
_MOST_LISTED, _MOST_REASONS, _LARGEST_CARD = 400, 8, 30_000_000
Answer = tuple[dict, bytes | None]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the page shows: a metric of one collection, in groups. `number` tells its answer from others."""

    number: int
    collection: int
    by: str | None
    metric: str

    @classmethod
    def of(cls, message: dict) -> Request:
        """Return what a message asks for; raises UsageError when it is not to be trusted."""
        by, metric = message.get("by"), message.get("metric")
        if not (isinstance(by, str | None) and by in _GROUPING_WORDS):
            raise UsageError(
                f"images are grouped by one of {', '.join(filter(None, _GROUPING_WORDS))}, or none; got {_brief(by)}"
            )
        if not isinstance(metric, str):
            raise UsageError(f"metric must be the name of one, got {_brief(metric)}")
        number, collection = (_whole(message.get(name), name) for name in ("number", "collection"))
        return cls(number=number, collection=collection, by=by, metric=metric)


class IqmExplorer(Transport):
    """The metrics of a study in strips, a dot an image: ``IqmExplorer(study)``, after ``qcbench iqm``.

    Grouped by hospital, manufacturer, model or field strength, with median and quartiles, the middle half of public
    records where there are any, and the images that stand apart, worst first. A click or an arrow key shows an image:
    its slices, its masks, its value among the others, its card. The tables are read once: make a new one after a
    stage has run. For a person who may know the images' ids; pictures travel as message buffers, so that a saved
    notebook holds none. What is missing is said on the page (`problem`).
    """

    _esm = static_text("transport.js", "iqm_axis.js", "iqm_strips.js", "iqm_explorer.js")
    _css = static_text("iqm_explorer.css")

    def __init__(
        self,
        study: Study | str | Path,
        *,
        metric: str | None = None,
        by: str | None = "hospital",
        modality: str | None = None,
        profile: str | None = None,
        theme: str = "dark",
    ) -> None:
        super().__init__(theme=theme, fills_page=False)
        self.problem: str | None = None
        try:
            self._study = Study.of(study)
            first = distributions.read(self._study, modality, profile)
            self._collections = distributions.collections(self._study)
            chosen = self._collections.index((first.modality, first.profile))
            metric = first.key(metric or _FIRST_METRIC.get(first.modality, "cjv")).name
            self._first = Request.of({"number": 0, "collection": chosen, "by": by, "metric": metric})
        except QcbenchError as error:
            self.problem = str(error)
        self._opened = lru_cache(maxsize=None)(self._open)

    def receive(self, message: object) -> Iterable[Answer]:
        """Return what one message of the page asks for, or a sentence that says why it cannot be had."""
        kind = message.get("kind") if isinstance(message, dict) else None
        if kind == "ping":
            return [({"kind": "pong"}, None)]
        if self.problem:
            return [({"kind": "problem", "why": self.problem}, None)]
        answers = {"hello": self._greeting, "show": self._shown, "image": self._image, "card": self._card}
        try:
            if not isinstance(kind, str) or kind not in answers:
                raise UsageError(f"a message is one of {', '.join(answers)}, got {_brief(kind)}")
            return list(answers[kind](message))
        except QcbenchError as error:
            return [({"kind": "refused", "why": str(error)}, None)]

    def _open(self, number: int) -> _Collection:
        if number >= len(self._collections):
            raise UsageError(f"collection must be below {len(self._collections)}, got {number}")
        return _Collection(self._study, *self._collections[number])

    def _greeting(self, message: dict) -> Iterator[Answer]:
        state = {
            "kind": "state",
            "collections": [f"{modality}, profile {profile}" for modality, profile in self._collections],
            "groupings": [[name, words] for name, words in _GROUPING_WORDS.items()],
            "z_limit": distributions.Z_LIMIT,
        }
        yield state, None
        yield from self._answer(self._first)

    def _shown(self, message: dict) -> Iterator[Answer]:
        yield from self._answer(Request.of(message))

    def _answer(self, asked: Request) -> Iterator[Answer]:
        told, dots = self._opened(asked.collection).strips(asked.metric, asked.by)
        echoed = {"number": asked.number, "collection": asked.collection, "by": asked.by, "metric": asked.metric}
        yield {"kind": "strips", **echoed, **told}, dots

    def _image(self, message: dict) -> Iterator[Answer]:
        """Yield the facts of one image, then its pictures."""
        asked = Request.of(message)
        collection = self._opened(asked.collection)
        place = collection.place(message.get("place"))
        yield {"kind": "image", "number": asked.number, **collection.facts(place, asked.metric, asked.by)}, None
        for name in ("screenshot", "masks"):
            told = {"kind": "picture", "number": asked.number, "name": name}
            try:
                yield {**told, "why": ""}, images.read_png(collection.picture_path(place, name))
            except ImageError as error:
                yield {**told, "why": f"none, {error.message}"}, None
            except QcbenchError as error:
                yield {**told, "why": f"none, {error}"}, None

    def _card(self, message: dict) -> Iterator[Answer]:
        asked = Request.of(message)
        collection = self._opened(asked.collection)
        path = collection.outputs(collection.place(message.get("place")))["card"]
        try:
            if path.stat().st_size > _LARGEST_CARD:
                raise UsageError(f"{path.name} is larger than a card is; open {path} in a browser")
            yield {"kind": "card", "number": asked.number}, path.read_bytes()
        except OSError as error:
            raise UsageError(
                f"the card {path.name} cannot be read ({error.strerror}); qcbench iqm makes it anew"
            ) from error


class _Collection:
    """The images of one modality and profile, numbered by their place in the table."""

    def __init__(self, study: Study, modality: str, profile: str) -> None:
        self._study = study
        self._found = distributions.read(study, modality, profile)
        self._definitions = {entry["name"]: entry for entry in definitions.dictionary(modality)}
        self._scores = lru_cache(maxsize=4)(lambda metric, by: distributions.scores(self._found, metric, by))
        self._n_worse = lru_cache(maxsize=None)(self._count_worse)

    @cached_property
    def _screenshots(self) -> dict[str, str]:
        rows = store.read(self._study, "preprocessed").select(["image_id", "screenshot_path"]).to_pylist()
        return {row["image_id"]: row["screenshot_path"] for row in rows if row["screenshot_path"]}

    def place(self, value: object) -> int:
        """Return the place of an image that a message names; raises UsageError when there is none."""
        place = _whole(value, "place")
        if place >= len(self._found.frame):
            raise UsageError(f"place must be below {len(self._found.frame)}, got {place}")
        return place

    def strips(self, metric: str, by: str | None) -> tuple[dict, bytes]:
        """Return what is drawn of a metric, and its dots: float32, all values, then groups, then sides by number."""
        found, scores = self._found, self._scores(metric, by)
        table = distributions.by_group(found, metric, by)
        group_numbers = {name: number for number, name in enumerate(table["group"])}
        side_numbers = {name: number for number, name in enumerate(("", *distributions.SIDES))}
        dots = [scores["value"], scores["group"].map(group_numbers), scores["side"].map(side_numbers)]
        reasons = distributions.null_reasons(found, metric)
        listed = distributions.outliers(found, [metric], by)
        places = {image_id: place for place, image_id in enumerate(found.frame["image_id"])}
        shown = listed.head(_MOST_LISTED)
        told = {
            "definition": self._definition(metric),
            "metrics": [[key.name, self._n_worse(by)[key.name]] for key in iqm_keys.keys_of(found.modality)],
            "groups": [_plain(row) for row in table.to_dict("records")],
            "usual": list(found.usual(metric) or []),
            "origin": norms.origin(found.modality),
            "n_images": len(found.frame),
            "n_simulated": int(table["n_simulated"].sum()),
            "nulls": reasons.head(_MOST_REASONS).to_numpy().tolist(),
            "n_null": int(reasons["n_images"].sum()),
            "n_listed": len(listed),
            "outliers": [
                {"place": places[row.image_id], "value": _number(row.value), "image_id": row.image_id}
                | {"side": row.side, "group": row.group, "why": row.why}
                for row in shown.itertuples(index=False)
            ],
        }
        return told, np.concatenate([np.asarray(each, np.float32) for each in dots]).tobytes()

    def _definition(self, metric: str) -> dict:
        entry = self._definitions[metric]
        told = {name: entry[name] for name in ("doc", "unit", "definition", "reference")}
        ours = entry["in_qcbench"] if self._found.profile == profiles.QCBENCH.name else ""
        return {**told, "ours": ours, "better": entry["better"], "direction": _BETTER_WORDS[entry["better"]]}

    def _count_worse(self, by: str | None) -> dict[str, int]:
        names = [key.name for key in iqm_keys.keys_of(self._found.modality)]
        return {name: int((self._scores(name, by)["side"] == "worse").sum()) for name in names}

    def facts(self, place: int, metric: str, by: str | None) -> dict:
        """Return what is said of one image: its value or why there is none, how far it is, where it comes from."""
        row, score = self._found.frame.iloc[place], self._scores(metric, by).iloc[place]
        key, value = self._found.key(metric), float(score["value"])
        is_known = bool(np.isfinite(value))
        known = {
            name: None if pd.isna(row[name]) else str(row[name]) for name in ("hospital", "manufacturer", "model_name")
        }
        field = None if pd.isna(row["field_strength_t"]) else f"{row['field_strength_t']:.2g} T"
        return {
            "place": place,
            "image_id": row["image_id"],
            "metric": metric,
            "value": f"{_number(value)} {key.unit}".strip() if is_known else "null",
            "side": score["side"],
            "why": distributions.distance_words(score) if is_known else distributions.null_reason(row, metric),
            "usual": distributions.usual_words(value, key.better, self._found.usual(metric)),
            "from": ", ".join(filter(None, [*known.values(), field])) or "hospital and scanner not stated",
            "is_simulated": bool(row["simulated"]) if not pd.isna(row["simulated"]) else False,
            "has_card": self.outputs(place)["card"].is_file(),
        }

    def outputs(self, place: int) -> dict[str, Path]:
        """Return where the files of an image lie."""
        image_id = self._found.frame["image_id"].iloc[place]
        return apart.output_paths(image_id, self._found.modality, self._study.derivatives / "iqm" / self._found.profile)

    def picture_path(self, place: int, name: str) -> Path:
        """Return the file of the screenshot or the masks; raises UsageError when no screenshot was made."""
        if name == "masks":
            return self.outputs(place)["masks"]
        relative = self._screenshots.get(self._found.frame["image_id"].iloc[place])
        if relative is None:
            raise UsageError("no screenshot yet: qcbench preprocess draws it")
        return self._study.absolute(relative)


def _number(value: float) -> str:
    """Return a value as a person reads it.

    >>> _number(30490.3), _number(0.68931), _number(3.2e-7)
    ('30,490', '0.6893', '3.2e-07')
    """
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def _plain(row: dict) -> dict:
    """Return a row of a table as JSON takes it: nan is null."""
    return {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in row.items()}


def _whole(value: object, name: str) -> int:
    if type(value) is not int or not 0 <= value < 2**53:
        raise UsageError(f"{name} must be a whole number from 0, got {_brief(value)}")
    return value


def _brief(value: object) -> str:
    """Return a value as it reads in a sentence: what came from outside may be as long as it likes."""
    return repr(value)[:80]
