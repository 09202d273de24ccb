"""What the API takes: the form of a record and of a rating, made from the tables of keys, ranges and metadata.

One source gives both the check and the JSON Schema in the documentation. What breaks the form is refused; what is
merely implausible is the business of `checks`.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, NotRequired, Required

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from pydantic_core import SchemaValidator
from typing_extensions import TypedDict

from qcbench.errors import QcbenchError
from qcbench.iqm_keys import IqmKey, keys_of
from qcbench.records.metadata import NUMBERS, OTHER_NAMES, TEXTS
from qcbench.records.ranges import IMPOSSIBLE, LARGEST

#: MRIQC's scale and the words for its parts; a score below the number is in that class.
CLASSES = ("exclude", "poor", "acceptable", "excellent")
#: Words that are no class; taken, because real clients send them, and flagged with the class that is probably meant.
OTHER_WORDS = {"good": "acceptable", "bad": "exclude"}
ARTIFACTS = (
    "head-motion",
    "eye-spillover",
    "noneye-spillover",
    "coil-failure",
    "noise-global",
    "noise-local",
    "em-perturbation",
    "wrap-around",
    "ghost-aliasing",
    "ghost-other",
    "inu",
    "field-variation",
    "processing",
    "uncategorized",
)
#: What MRIQC's widget posts for the MD5 of an image that it does not know.
UNSPECIFIED = "unspecified"
_FORBID = ConfigDict(extra="forbid")
_IGNORE = ConfigDict(extra="ignore")


class RefusedError(QcbenchError):
    """A record or a rating cannot be taken; `issues` says why, field by field, nested as the payload is."""

    def __init__(self, issues: dict) -> None:
        super().__init__("; ".join(_sentences(issues)))
        self.issues = issues


def _sentences(issues: dict, above: str = "") -> list[str]:
    sentences = []
    for name, why in issues.items():
        sentences += _sentences(why, f"{above}{name}.") if isinstance(why, dict) else [f"{above}{name}: {why}"]
    return sentences


def _number(low: float | None = None, high: float | None = None, *, whole: bool = False) -> Any:
    bounds = {"ge": -LARGEST if low is None else low, "le": LARGEST if high is None else high}
    return Annotated[float, Field(strict=True, allow_inf_nan=False, **bounds, **({"multiple_of": 1} if whole else {}))]


def _text(longest: int, shortest: int = 0) -> Any:
    return Annotated[str, Field(strict=True, min_length=shortest, max_length=longest)]


_Hex32 = Annotated[str, Field(strict=True, pattern=r"^[0-9a-fA-F]{32}$")]
_Hex64 = Annotated[str, Field(strict=True, pattern=r"^[0-9a-fA-F]{64}$")]
_Truth = Annotated[bool, Field(strict=True)]
_Word = _text(2048) | _number() | _Truth
_Words = _Word | Annotated[list[_Word], Field(max_length=256)] | None


def _numbers(name: str) -> Any:
    one = _number(*IMPOSSIBLE.get(name, (None, None)))
    return one | Annotated[list[one], Field(max_length=256)] | None


# A record becomes a dictionary of what was given: an object with a hundred attributes takes half as long again.
@with_config(_IGNORE)
class Settings(TypedDict, total=False):
    """How MRIQC was run."""

    testing: _Truth | None
    fd_thres: _number(0.0, 1000.0) | None
    hmc_fsl: _Truth | None


@with_config(_IGNORE)
class Warned(TypedDict, total=False):
    """What MRIQC warned of."""

    small_air_mask: _Truth | None
    large_rot_frame: _Truth | None


@with_config(_IGNORE)
class Provenance(TypedDict, total=False):
    """Which file the metrics are of, and which program computed them."""

    md5sum: Required[_Hex32]
    software: Required[_text(64, 1)]
    version: Required[_text(128, 1)]
    settings: Settings | None
    warnings: Warned | None
    mriqc_pred: _number(-1e6, 1e6) | None
    email: _text(256) | None
    voxels_sha256: _Hex64 | None
    iqm_profile: _text(64) | None


@cache
def record_form(modality: str) -> type[dict]:
    """Return the form of a record of a modality."""
    required = {"modality": Required[Literal[modality]], "subject_id": Required[_text(256, 1)]}
    if modality == "bold":
        required["TaskName"] = Required[_text(2048)]
    meta = {name: _numbers(name) for name in NUMBERS} | dict.fromkeys((*TEXTS, *OTHER_NAMES), _Words) | required
    bids_meta = with_config(_IGNORE)(TypedDict(f"Metadata{modality}", meta, total=False))
    metrics = {key.name: _metric(key) for key in keys_of(modality)}
    whole = {"bids_meta": bids_meta, "provenance": Provenance, **metrics}
    return with_config(_IGNORE)(TypedDict(f"Record{modality}", whole))


def _metric(key: IqmKey) -> Any:
    number = _number(key.low, key.high, whole=key.dtype == "int64")
    described = Annotated[number | None, Field(description=f"{key.doc} {key.unit}".strip())]
    return NotRequired[described] if key.optional else described


_Score = Annotated[
    # A decimal text is what MRIQC's widget sends.
    _number(1.0, 4.0)
    | Annotated[str, Field(strict=True, pattern=r"^([1-3](\.[0-9]{1,6})?|4(\.0{1,6})?)$")]
    | Literal["exclude", "poor", "acceptable", "excellent", "good", "bad"],
    Field(description="1.0 to 4.0, as a number or a text, or the word for a class"),
]
_Percentage = _number(0.0, 100.0)
_Seconds = _number(0.0, 1e7)


class RatingV1(BaseModel):
    """A rating as MRIQC's report widget posts it, or as its download has it."""

    model_config = _FORBID
    rating: _Score
    md5sum: _Hex32 | Literal["unspecified", ""]
    name: _text(256) | None = None
    comment: _text(4096) | None = None
    comments: _text(4096) | None = None
    artifacts: Annotated[list[_text(64)], Field(max_length=32)] | None = None
    confidence: _Percentage | Annotated[str, Field(strict=True, pattern=r"^[0-9]{1,2}(\.[0-9]{1,6})?$")] | None = None
    time_sec: _Seconds | None = None
    rater_id: _text(64) | None = None
    dataset: _text(256) | None = None
    subject: _text(256) | None = None


class RatingV2(BaseModel):
    """One rating of one image. Without `md5sum` it stays unlinked, and `unlinked` has to say so."""

    model_config = _FORBID
    rating: _Score
    md5sum: _Hex32 | None = None
    unlinked: _Truth = False
    rater: Annotated[str, Field(strict=True, pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")] | None = None
    artifacts: Annotated[list[Literal[ARTIFACTS]], Field(max_length=14)] = []
    confidence: _Percentage | None = None
    seconds: _Seconds | None = None
    comment: _text(4096) | None = None
    image_name: _text(256) | None = None
    supersedes: Annotated[str, Field(strict=True, pattern=r"^[0-9a-f]{24}$")] | None = None
    key: Annotated[str, Field(strict=True, min_length=8, max_length=128)] | None = None


def validated(form: type, payload: object) -> Any:
    """Return a payload in its form. Raises RefusedError with what is wrong, field by field."""
    try:
        return _validator(form).validate_python(payload)
    except ValidationError as error:
        raise RefusedError(_issues(error)) from None


@cache
def _validator(form: type) -> SchemaValidator:
    return TypeAdapter(form).validator


def _issues(error: ValidationError) -> dict:
    issues: dict = {}
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        # Where alternatives were tried, the path ends in their names; two steps say which field it is.
        path = [str(step) for step in each["loc"][: 2 if each["loc"][:1] in (("bids_meta",), ("provenance",)) else 1]]
        place = issues
        for step in path[:-1]:
            place = place.setdefault(step, {})
        if isinstance(place, dict):
            place.setdefault(path[-1] if path else "payload", each["msg"])
    return issues


@cache
def json_schema(form: type) -> dict:
    """Return the JSON Schema of a form in one piece, as an API's description wants it."""
    whole = TypeAdapter(form).json_schema()
    parts = whole.pop("$defs", {})

    def inlined(node: object) -> object:
        if isinstance(node, dict):
            if "$ref" in node:
                return inlined(parts[node["$ref"].rsplit("/", 1)[1]])
            return {name: inlined(value) for name, value in node.items()}
        return [inlined(each) for each in node] if isinstance(node, list) else node

    return inlined(whole)
