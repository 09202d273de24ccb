"""The study folder: where each table and image lies, and what study.toml says.

Nothing is read here but study.toml, and nothing is written but study.toml: `store` reads and
writes tables, `images` voxels and pictures.
"""

from __future__ import annotations

import json
import re
import secrets
import tomllib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from qcbench import durable, protocol, schema
from qcbench.errors import StudyError

_RATER = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_OPEN_REVIEWS = "open_reviews"
_REPEAT_SHARE = 0.05


class Study:
    """One study: a folder with a study.toml. ``Study(folder)`` opens, `Study.create` makes.

    Raises StudyError when the folder is no study or study.toml is wrong; the message says what
    to do. All paths in tables are relative to `folder`, so that a study can be moved.

    `repeat_share` of the images are shown twice to a rater; `order_file` is the CSV file that
    gives the order of labelling, or None; `salt` goes into what stands for an image in a browser;
    `convention` is how slices are drawn; `open_volume` whether raters may scroll through the volume;
    `slurm` are the options of sbatch for work that is spread over a cluster; `template_file` is the template of the
    study, or None, and `template_name` what it is called when it is not the known one.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()
        path = self.folder / "study.toml"
        if not path.is_file():
            raise StudyError(
                f"{folder} is no study: it has no study.toml. Make one with: qcbench init {folder} --raters alice,bob"
            )
        try:
            document = tomllib.loads(path.read_text())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise StudyError(f"{path}: not a TOML file: {error}") from error
        self.raters = _raters(document.get("raters"), path, "raters")
        self.consensus_raters = _raters(document.get("consensus_raters", list(self.raters)), path, "consensus_raters")
        self._protocol_source = document.get("protocol", "t1w-warehouse")
        if not isinstance(self._protocol_source, str):
            raise StudyError(f"{path}: protocol must be a name or a file, got {self._protocol_source!r}")
        self.repeat_share = document.get("repeat_share", _REPEAT_SHARE)
        if type(self.repeat_share) not in (int, float) or not 0 <= self.repeat_share <= 0.5:
            raise StudyError(f"{path}: repeat_share must be a number from 0 to 0.5, got {self.repeat_share!r}")
        self.order_file = document.get("order")
        if self.order_file is not None and not isinstance(self.order_file, str):
            raise StudyError(f"{path}: order must be a CSV file in the study folder, got {self.order_file!r}")
        self.salt = str(document.get("salt", ""))
        self.convention = document.get("convention", schema.CONVENTIONS[0])
        if self.convention not in schema.CONVENTIONS:
            raise StudyError(f"{path}: convention must be one of {schema.CONVENTIONS}, got {self.convention!r}")
        self.open_volume = document.get("open_volume", False)
        if not isinstance(self.open_volume, bool):
            raise StudyError(f"{path}: open_volume must be true or false, got {self.open_volume!r}")
        self.template_file, self.template_name = _template(document, path)
        self.slurm = document.get("slurm", "")
        if not isinstance(self.slurm, str):
            raise StudyError(f"{path}: slurm must be options of sbatch as one text, got {self.slurm!r}")

    @classmethod
    def create(
        cls,
        folder: str | Path,
        *,
        raters: Sequence[str],
        protocol: str = "t1w-warehouse",
        consensus_raters: Sequence[str] | None = None,
    ) -> Study:
        """Make a study folder and return it.

        `protocol` is the name of a shipped one or the path of a TOML file, which is copied into
        the study. `consensus_raters` are those whose labels make the consensus (default: all
        raters). Raises StudyError when the folder already holds a study.
        """
        folder = Path(folder).absolute()
        path = folder / "study.toml"
        if path.exists():
            raise StudyError(f"{folder} is a study already; nothing was changed. Choose another folder.")
        _raters(list(raters), path, "raters")
        _raters(list(consensus_raters if consensus_raters is not None else raters), path, "consensus_raters")
        source = _own_protocol(folder, protocol)
        lines = [
            "# What qcbench knows of this study. Everything else in the folder is a table or an image.",
            f"raters = {json.dumps(list(raters))}",
            f"protocol = {json.dumps(source)}",
            "# The share of images that raters see a second time, unannounced, for intra-rater agreement.",
            f"repeat_share = {_REPEAT_SHARE}",
            "# Where the patient's right lies in coronal and axial slices: on the left (radiological), or on the right",
            "# (neurological). Set it before qcbench preprocess draws them.",
            f"convention = {json.dumps(schema.CONVENTIONS[0])}",
            "# Whether raters may scroll through the whole volume (it is noted with the label when they do).",
            "open_volume = false",
            "# The template that images are aligned to; without it nilearn's brain. Clinica's file is known, another",
            "# one needs a name of letters and digits.",
            '# template = "/data/mni_icbm152_t1_tal_nlin_sym_09c.nii"',
            '# template_name = "OurHeads"',
            "# Keeps the ids of images out of raters' browsers. Do not change it while raters work.",
            f"salt = {json.dumps(secrets.token_hex(16))}",
        ]
        if consensus_raters is not None:
            lines += [
                "# Only these raters' labels make the consensus.",
                f"consensus_raters = {json.dumps(list(consensus_raters))}",
            ]
        durable.write_text(path, "\n".join(lines) + "\n")
        return cls(folder)

    @classmethod
    def of(cls, study: Study | str | Path) -> Study:
        """Return the study itself, or open the one in that folder."""
        return study if isinstance(study, cls) else cls(study)

    def __repr__(self) -> str:
        return f"Study({str(self.folder)!r})"

    @cached_property
    def protocol(self) -> protocol.Protocol:
        """The labelling protocol of the study, with the study's own exemplars in the place of the protocol's."""
        is_own = self._protocol_source.endswith(".toml")
        loaded = protocol.load(self.folder / self._protocol_source if is_own else self._protocol_source)
        return loaded.with_exemplars(self.exemplars)

    @property
    def exemplars(self) -> Path:
        """The hospital's own exemplars, e.g. motion-2.png for grade 2 of motion."""
        return self.folder / "exemplars"

    @property
    def all_raters(self) -> tuple[str, ...]:
        """Everybody who may have labels here: the raters, and those of the consensus."""
        return tuple(dict.fromkeys((*self.raters, *self.consensus_raters)))

    @property
    def bids(self) -> Path:
        """The raw BIDS dataset."""
        return self.folder / "bids"

    @property
    def derivatives(self) -> Path:
        """The BIDS derivatives: preprocessed volumes, screenshots, sidecars."""
        return self.folder / "derivatives" / "qcbench"

    @property
    def cache(self) -> Path:
        """Memory-mapped volumes for training; can be deleted at any time."""
        return self.folder / "cache"

    @property
    def runs(self) -> Path:
        """One folder a training run."""
        return self.folder / "runs"

    @property
    def reports(self) -> Path:
        """HTML reports and their tables and figures."""
        return self.folder / "reports"

    def table_path(self, name: str) -> Path:
        """Where the table of that name lies."""
        if name == _OPEN_REVIEWS:
            return self.folder / "reviews" / "open.parquet"
        return self.folder / f"{name}.parquet"

    def label_folder(self, rater: str) -> Path:
        """Where one rater's label events lie, one folder a session. Refuses a stranger."""
        self.require_rater(rater)
        return self.folder / "labels" / f"rater={rater}"

    def review_folder(self, reviewer: str) -> Path:
        """Where one reviewer's joint-review events lie."""
        self.require_rater(reviewer)
        return self.folder / "reviews" / f"reviewer={reviewer}"

    def require_rater(self, rater: str) -> str:
        """Return the rater if the study knows them; raise StudyError otherwise."""
        if rater not in self.all_raters:
            raise StudyError(f"{rater!r} is no rater of {self.folder}; study.toml names {', '.join(self.all_raters)}")
        return rater

    def relative(self, path: Path) -> str:
        """Return a path as tables hold it: relative to the study, with forward slashes."""
        return Path(path).relative_to(self.folder).as_posix()

    def absolute(self, relative: str) -> Path:
        """Return the file that a table's path means; one outside the study is refused."""
        path = (self.folder / relative).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise StudyError(f"{relative!r} points outside the study {self.folder}")
        return path


def _raters(value: object, path: Path, entry: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise StudyError(f'{path}: {entry} must be a list of names, e.g. {entry} = ["alice", "bob"]')
    for name in value:
        if not isinstance(name, str) or not _RATER.fullmatch(name):
            raise StudyError(
                f"{path}: {entry}: a name is lower-case letters, digits, hyphens and underscores (at most 32), "
                f"got {name!r}"
            )
        if value.count(name) > 1:
            raise StudyError(f"{path}: {entry} names {name!r} twice")
    return tuple(value)


def _own_protocol(folder: Path, source: str) -> str:
    """Check the protocol; copy a file and its exemplars into the study, so that the study can be moved."""
    checked = protocol.load(source)
    if not str(source).endswith(".toml"):
        return source
    # Pictures keep their place beside the file, whose bytes are part of the protocol's hash; in a
    # folder of their own, because their names could be those of the study's files.
    for picture in checked.exemplars:
        durable.write_bytes(folder / "protocol" / picture, (Path(source).parent / picture).read_bytes())
    durable.write_bytes(folder / "protocol" / "protocol.toml", Path(source).read_bytes())
    return "protocol/protocol.toml"


def _template(document: dict, path: Path) -> tuple[Path | None, str | None]:
    """Return the file and the name of the study's own template; a relative path starts in the study folder."""
    file, name = document.get("template"), document.get("template_name")
    for entry, value in (("template", file), ("template_name", name)):
        if value is not None and not isinstance(value, str):
            raise StudyError(f"{path}: {entry} must be text, got {value!r}")
    return (path.parent / file if file else None), name
