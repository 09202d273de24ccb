"""The joint review: the thin adapter between a page and `annotate.review_session`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import traitlets

from qcbench.annotate.review_session import ReviewSession
from qcbench.errors import QcbenchError
from qcbench.protocol_file import LANGUAGES
from qcbench.study import Study
from qcbench.widgets.identity import refuse_another
from qcbench.widgets.transport import Transport, static_text


class Review(Transport):
    """The page of one reviewer, for images on which raters disagree about straight reject.

    ``Review(study, reviewer="alice")``. It shows both raters' labels of these images and of no
    others. One reviewer proposes, the other signs or objects, from a page of their own; nothing
    is decided by one person, and the raters' own labels are never changed. Every step is on the
    disk before the page shows it as saved. What is missing is said on the page (`problem`).
    """

    _esm = static_text(
        "transport.js",
        "words_french.js",
        "words.js",
        "grading.js",
        "labeller_pictures.js",
        "labeller_dialogs.js",
        "labeller_view.js",
        "labeller_keys.js",
        "seeing_volume.js",
        "seeing.js",
        "review_view.js",
        "review.js",
    )
    _css = static_text("labeller.css", "review.css")

    language = traitlets.Enum(LANGUAGES, default_value=LANGUAGES[0], read_only=True).tag(sync=True)

    def __init__(self, study: Study | str | Path, *, reviewer: str, theme: str = "dark") -> None:
        super().__init__(theme=theme)
        self.problem: str | None = None
        self._session: ReviewSession | None = None
        try:
            opened = Study.of(study)
            self.set_trait("language", opened.protocol.language)  # what is wrong from here on is told in it
            refuse_another(reviewer)
            self._session = ReviewSession.open(opened, reviewer)
        except QcbenchError as error:
            self.problem = str(error)

    def receive(self, message: object) -> Iterable[tuple[dict, bytes | None]]:
        """Return the session's answers to one message of the page."""
        if self._session is None:
            return [({"kind": "problem", "why": self.problem}, None)]
        return self._session.receive(message)
