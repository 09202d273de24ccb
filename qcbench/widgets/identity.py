"""Who sits at a page: decided when it is made, and never by the page itself."""

from __future__ import annotations

import os
import pwd

from qcbench.errors import StudyError

#: Where a JupyterHub and an authenticating proxy in front of voila leave the name of who logged in.
LOGGED_IN = ("JUPYTERHUB_USER", "HTTP_X_FORWARDED_USER")

#: Set where each rater works under a Unix account of their own name, as the configuration for JupyterHub does.
OWN_ACCOUNTS = "QCBENCH_OWN_ACCOUNTS"


def refuse_another(person: str) -> None:
    """Raise StudyError when a page was opened by somebody who logged in under another name."""
    for source in LOGGED_IN:
        name = os.environ.get(source)
        if name and name != person:
            raise StudyError(
                f"this page is for {person!r}, but {name!r} logged in ({source}). "
                "Everybody works under their own name: log in as that rater, or ask the coordinator."
            )
    # A variable of the environment can be set by whoever runs the kernel, its account cannot.
    if os.environ.get(OWN_ACCOUNTS) and _account() != person:
        raise StudyError(
            f"this page is for {person!r}, but it runs under the Unix account {_account()!r}. "
            "Hub and account must name the same rater: log in as that rater, or ask the administrator."
        )


def _account() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"number {os.geteuid()}"
