"""A protocol tried on sample pictures before anybody labels: a study that is thrown away afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from qcbench import images, store
from qcbench.errors import UsageError
from qcbench.study import Study

#: Whose labels they are: the page shows it beside the picture.
RATER = "preview-nothing-is-kept"
#: Simulated pictures that the package has; their names say what they show.
_SHIPPED = Path(__file__).parents[1] / "protocols" / "t1w-warehouse"


@contextmanager
def study(protocol: str, pictures: Path | None = None) -> Iterator[Study]:
    """Yield a study with the protocol and sample pictures, the shipped ones or the PNG and JPEG files of a folder.

    It is deleted at the end, with whatever was labelled. Raises ProtocolError with the line for a protocol that is
    wrong, UsageError for a folder without pictures.
    """
    folder = pictures or _SHIPPED
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    if not found:
        raise UsageError(f"{folder} holds no picture; give a folder of PNG or JPEG files, or leave out --pictures")
    with TemporaryDirectory(prefix="qcbench-preview-") as temporary:
        made = Study.create(Path(temporary) / "preview", raters=[RATER], protocol=protocol)
        catalogue, drawn = [], []
        for number, path in enumerate(found, 1):
            name = f"sub-{number:03d}_T1w"
            picture = made.derivatives / f"{name}.png"
            sha256 = images.save_png(picture, images.read_grey(path))
            catalogue.append(
                {"image_id": name, "participant_id": name[:7], "source_path": path.name, "simulated": pictures is None}
            )
            drawn.append(
                {
                    "image_id": name,
                    "screenshot_path": made.relative(picture),
                    "screenshot_sha256": sha256,
                    "preprocessing_preset": "preview",
                }
            )
        store.write(made, "images", catalogue)
        store.write(made, "preprocessed", drawn)
        yield made
