"""A decision on a proposed repair: what can be decided, and the name that seals it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import orjson

from qcbench.records import schema

ACCEPTED, REFUSED, REOPENED = VERDICTS = ("accepted", "refused", "reopened")
_SEALED = tuple(str(column.name) for column in schema.DECISION.c if column.name not in ("sequence", "decision_id"))


def decision_id(decision: Mapping) -> str:
    """Return the id of a decision, 24 hexadecimal digits: the hash of all else that its row says."""
    told = {name: decision[name] for name in _SEALED}
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()[:24]
