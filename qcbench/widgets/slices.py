"""The three central slices of some images, side by side with a caption, in a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from qcbench import images, store
from qcbench.errors import QcbenchError, StudyError
from qcbench.study import Study
from qcbench.widgets.transport import Transport, static_text


class Slices(Transport):
    """Screenshots of a study, for a person who may know the images' ids.

    ``Slices(study, ["sub-01_T1w"])`` shows these; without ids, the first `most` of the study. The
    pictures travel as message buffers, so that a saved notebook holds none of them. Raises
    StudyError when an image has no screenshot.
    """

    _esm = static_text("transport.js", "slices.js")
    _css = static_text("slices.css")

    def __init__(
        self,
        study: Study | str | Path,
        image_ids: Iterable[str] | None = None,
        *,
        most: int = 6,
        theme: str = "dark",
    ) -> None:
        super().__init__(theme=theme, fills_page=False)
        self._study = Study.of(study)
        rows = {row["image_id"]: row for row in store.rows(self._study, "preprocessed") if row["screenshot_path"]}
        wanted = list(rows)[:most] if image_ids is None else list(image_ids)
        for image_id in wanted:
            if image_id not in rows:
                raise StudyError(
                    f"{image_id!r} has no screenshot in {self._study.folder}; run qcbench preprocess first"
                )
        self._rows = [rows[image_id] for image_id in wanted]

    def receive(self, message: object) -> Iterable[tuple[dict, bytes | None]]:
        """Answer the page's hello with every picture and its caption; nothing else is answered."""
        if not isinstance(message, dict) or message.get("kind") != "hello":
            return []
        return [self._picture(row) for row in self._rows]

    def _picture(self, row: dict) -> tuple[dict, bytes | None]:
        alignment = "" if row["alignment"] is None else f"alignment {row['alignment']:.2f}"
        caption = {"kind": "slices", "image_id": row["image_id"], "detail": row["error"] or alignment}
        try:
            return caption, images.read_png(self._study.absolute(row["screenshot_path"]))
        except QcbenchError as error:
            return {**caption, "detail": str(error)}, None
