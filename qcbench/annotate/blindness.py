"""Whether the folders of a study keep raters from each other's labels, or only the code does.

They do when each rater has an account of their own that owns labels/rater=<id>, and the folder
is closed to everybody but its group, in which no other rater is.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from qcbench.findings import Finding, ok, problem, warning

_WISH = (
    "Give each rater an account of their own that owns labels/rater=<id>, with the coordinators as its group: "
    "chown RATER:COORDINATORS, chmod 2750."
)


class Door(NamedTuple):
    """One rater's label folder: who owns it, whom its mode lets in, and whether this account may read it."""

    rater: str
    owner: int
    group: int
    mode: int
    opens: bool


def doors(labels: Path) -> list[Door]:
    """Return the raters' label folders; none before the first label."""
    found = []
    for folder in sorted(labels.glob("rater=*")):
        status = folder.stat()
        opens = os.access(folder, os.R_OK | os.X_OK, effective_ids=True)
        mode = stat.S_IMODE(status.st_mode)
        found.append(Door(folder.name.removeprefix("rater="), status.st_uid, status.st_gid, mode, opens))
    return found


def is_member(uid: int, gid: int) -> bool:
    """Return whether an account is in a group, as this machine knows them."""
    try:
        account = pwd.getpwuid(uid)
        return gid in os.getgrouplist(account.pw_name, account.pw_gid)
    except (KeyError, OSError):
        return False


def judge(found: list[Door], *, uid: int, is_member: Callable[[int, int], bool] = is_member) -> Finding:
    """Return whether the folders enforce blindness; `uid` is the account that asks."""
    if len(found) < 2:
        who = f"only {found[0].rater} has" if found else "no rater has"
        return warning("blindness", f"{who} a label folder yet, so it cannot be seen who reads whose labels", _WISH)
    for door in found:
        same = [other.rater for other in found if other.owner == door.owner]
        if len(same) > 1:
            return warning(
                "blindness",
                f"holds by the code of the labeller only: the labels of {', '.join(same)} belong to one account "
                f"({_account(door.owner)}), and whoever works under it can open them with any other program",
                _WISH,
            )
    ajar = [words for door in found for words in _ways_in(door, found, uid, is_member)]
    if ajar:
        return problem("blindness", f"raters have accounts of their own, but {'; '.join(ajar)}", _WISH)
    shut_out = [door.rater for door in found if not door.mode & stat.S_ISGID]
    if shut_out:
        return warning(
            "blindness",
            f"enforced, but new labels of {', '.join(shut_out)} do not go to the folder's group, "
            "so coordinators may not be able to read them",
            "chmod g+s on the folder.",
        )
    groups = ", ".join(sorted({_group(door.group) for door in found}))
    return ok(
        "blindness", f"enforced: each of {len(found)} raters owns a folder that nobody opens but the group {groups}"
    )


def _ways_in(door: Door, found: list[Door], uid: int, is_member: Callable[[int, int], bool]) -> list[str]:
    """Return how another rater gets into a folder, a sentence for each way."""
    ways = []
    if door.mode & 0o007:
        ways.append(f"the folder of {door.rater} is open to everybody (mode {door.mode:04o})")
    others = [other for other in found if other.rater != door.rater]
    if door.mode & 0o070:
        ways += [
            f"{other.rater} is in the group {_group(door.group)}, which opens the folder of {door.rater}"
            for other in others
            if is_member(other.owner, door.group)
        ]
    # The mode does not tell everything: an access control list may let somebody in.
    if not ways and door.opens and door.owner != uid != 0 and any(other.owner == uid for other in others):
        ways.append(f"this account, which is a rater's, can read the folder of {door.rater}")
    return ways


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"number {uid}"


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return f"number {gid}"
