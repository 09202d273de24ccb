"""Who sits at a page: decided when it is made, and never by the page itself."""

from __future__ import annotations

import os

from qcbench.errors import StudyError

#: Where a JupyterHub and an authenticating proxy in front of voila leave the name of who logged in.
LOGGED_IN = ("JUPYTERHUB_USER", "HTTP_X_FORWARDED_USER")


def refuse_another(person: str) -> None:
    """Raise StudyError when a page was opened by somebody who logged in under another name."""
    for source in LOGGED_IN:
        name = os.environ.get(source)
        if name and name != person:
            raise StudyError(
                f"this page is for {person!r}, but {name!r} logged in ({source}). "
                "Everybody works under their own name: log in as that rater, or ask the coordinator."
            )
