"""The labeller: the thin adapter between a page and `annotate.session`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import traitlets

from qcbench.annotate.session import Session
from qcbench.errors import QcbenchError
from qcbench.protocol_file import LANGUAGES
from qcbench.study import Study
from qcbench.widgets.identity import refuse_another
from qcbench.widgets.transport import Transport, static_text

#: Joined in this order: a class is extended after it is there.
_MODULES = (
    "transport.js",
    "words_french.js",
    "words.js",
    "stopwatch.js",
    "walk.js",
    "grading.js",
    "outbox.js",
    "presence.js",
    "safekeeping.js",
    "labeller_pictures.js",
    "labeller_dialogs.js",
    "labeller_kinds.js",
    "labeller_exemplars.js",
    "labeller_view.js",
    "seeing_volume.js",
    "seeing.js",
    "labeller_status.js",
    "labeller_keys.js",
    "labeller_walking.js",
    "labeller_noting.js",
    "labeller.js",
)


class Labeller(Transport):
    """The labelling page of one rater, in a notebook or under voila.

    ``Labeller(study, rater="alice")``. Who labels is decided here, never by the page: neither the
    address nor a message is asked, and where a JupyterHub or a proxy knows who is there, it must
    agree. When the study, the rater or the screenshots are missing, the page says so (`problem`)
    in place of a traceback, and nothing can be labelled. Every label is on the disk before the
    page shows it as saved.
    """

    _esm = static_text(*_MODULES)
    _css = static_text("labeller.css")

    language = traitlets.Enum(LANGUAGES, default_value=LANGUAGES[0], read_only=True).tag(sync=True)

    def __init__(self, study: Study | str | Path, *, rater: str, theme: str = "dark") -> None:
        super().__init__(theme=theme)
        self.problem: str | None = None
        self._session: Session | None = None
        try:
            opened = Study.of(study)
            self.set_trait("language", opened.protocol.language)  # what is wrong from here on is told in it
            refuse_another(rater)
            self._session = Session.open(opened, rater)
        except QcbenchError as error:
            self.problem = str(error)

    def receive(self, message: object) -> Iterable[tuple[dict, bytes | None]]:
        """Return the session's answers to one message of the page."""
        if self._session is None:
            return [({"kind": "problem", "why": self.problem}, None)]
        return self._session.receive(message)
