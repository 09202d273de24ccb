"""What flags propose becomes a decision: proposals in groups that can be judged at once, accepted or refused by name.

A decision is a row of its own, told of in the audit log; the payload, the typed table and the flag stay as they are.
Accepting and refusing take what waits and nothing else, so of two curators at once the second overturns nothing
unseen: what was decided is reopened first, which is a decision too. `curated` shows the values with what holds.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field

import orjson
import sqlalchemy as sa

from qcbench.errors import UsageError
from qcbench.records import audit, schema
from qcbench.records.checks import FLAGS, as_text
from qcbench.records.database import now
from qcbench.records.decisions import ACCEPTED, REOPENED, VERDICTS, decision_id
from qcbench.records.identity import without_email
from qcbench.summary import Summary

#: Where a proposal can stand; reopened, it waits again.
WAITING = "waiting"
_LONGEST_NAME, _LONGEST_WHY = 64, 500
_NO_SCANNER = "scanner not said"
#: A change of unit is one proposal, whatever the values that it changes.
_BY_FACTOR = ("unit", "header-tr-unit")
_OPAQUE = re.compile(r"[0-9a-f]{64}")


@dataclass(kw_only=True)
class Group:
    """Proposals of one kind: the same repair of the same value, or the same change of unit.

    `found` and `proposed` are what most of them read; `waiting`, `accepted` and `refused` count them, `modalities`
    and `scanners` say where they come from. `newest` is the number of the last flag among them. `decided` is the last
    decision as a sentence.
    """

    group: str
    code: str
    field: str
    found: str | None
    proposed: str
    values: int = 0
    waiting: int = 0
    accepted: int = 0
    refused: int = 0
    modalities: dict[str, int] = field(default_factory=dict)
    scanners: dict[str, int] = field(default_factory=dict)
    newest: int = 0
    decided: str | None = None

    @property
    def words(self) -> str:
        """What is proposed, as a phrase."""
        others = self.values - 1
        more = f" and {others} other value{'s' if others > 1 else ''} alike" if others else ""
        return f"{self.field} {self.found}, proposed {self.proposed}{more}"


@dataclass(kw_only=True)
class Proposals:
    """All groups of proposals, those with most that wait first."""

    groups: list[Group]

    @property
    def exit_status(self) -> int:
        """0: that something waits is no failure."""
        return 0

    def to_json(self) -> dict:
        """Return the groups as plain JSON values."""
        return {"groups": [{**asdict(each), "words": each.words} for each in self.groups]}

    def __str__(self) -> str:
        n_waiting = sum(each.waiting for each in self.groups)
        lines = [f"proposed repairs: {n_waiting} wait, in {sum(each.waiting > 0 for each in self.groups)} groups"]
        for each in self.groups:
            counts = f"{each.waiting} wait, {each.accepted} accepted, {each.refused} refused"
            lines += [f"  {each.group}: {counts}", f"    {each.words} ({FLAGS.get(each.code, each.code)})"]
            lines += [f"    {_counted(each.modalities)}{'; ' if each.scanners else ''}{_counted(each.scanners)}"]
            lines += [f"    {each.decided}"] if each.decided else []
        return "\n".join(lines)


def account() -> str:
    """Return the Unix account that this runs under: who decides where nobody logged in."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"account {os.geteuid()}"


def proposals(connection: sa.Connection) -> Proposals:
    """Return every group of proposed repairs with how many wait."""
    base = _proposed()
    last = sa.func.max(base.c.last).label("last")
    of = [base.c[name] for name in ("code", "field", "found", "proposed", "modality", "maker", "model", "serial")]
    query = sa.select(*of, schema.DECISION.c.verdict, sa.func.count().label("n"), last, sa.func.max(base.c.flag))
    query = query.select_from(_with_verdict(base)).group_by(*of, schema.DECISION.c.verdict)
    groups: dict[str, Group] = {}
    readings: dict[str, Counter] = {}
    lasts: dict[str, int] = {}
    for row in connection.execute(query):
        key = group_of(row.code, row.field, row.found, row.proposed)
        each = groups.setdefault(
            key, Group(group=key, code=row.code, field=row.field, found=row.found, proposed=row.proposed)
        )
        state = _state(row.verdict)
        setattr(each, state, getattr(each, state) + row.n)
        each.modalities[row.modality] = each.modalities.get(row.modality, 0) + row.n
        if row.modality != "rating":
            scanner = scanner_of(row.maker, row.model, row.serial)
            each.scanners[scanner] = each.scanners.get(scanner, 0) + row.n
        each.newest = max(each.newest, row[-1])
        readings.setdefault(key, Counter())[row.found, row.proposed] += row.n
        lasts[key] = max(lasts.get(key, 0), row.last or 0)
    said = _sentences(connection, [number for number in lasts.values() if number])
    for key, each in groups.items():
        (each.found, each.proposed), _ = readings[key].most_common(1)[0]
        each.values, each.decided = len(readings[key]), said.get(lasts[key])
        each.modalities, each.scanners = _falling(each.modalities), _falling(each.scanners)
    return Proposals(groups=sorted(groups.values(), key=lambda each: (-each.waiting, each.group)))


def members(connection: sa.Connection, group: str, *, limit: int = 200) -> list[dict]:
    """Return the proposals of a group one by one, those that wait first; at most `limit` of them."""
    found = sorted(_members(connection, group), key=lambda each: (each["state"] != WAITING, each["flag"]))
    return found[:limit]


def decide(
    connection: sa.Connection,
    verdict: str,
    group: str,
    *,
    by: str,
    why: str = "",
    item: str | None = None,
    scanner: str | None = None,
    until: int | None = None,
) -> Summary:
    """Decide on what waits in a group, or reopen what was decided; return how many were.

    With `item` (a record's or rating's id) or `scanner` only those; with `until` none whose flag came after that
    number. The connection must be one that writes. Raises UsageError for a verdict, group or name that is none, and
    where somebody decided otherwise on all of them; where on some, they stay as they are and a note says so.
    """
    began = time.perf_counter()
    by, why = _checked(verdict, by, why)
    asked = [each for each in _members(connection, group) if item is None or each["item_id"] == item]
    asked = [each for each in asked if scanner is None or each["scanner"] == scanner]
    if not asked:
        narrowed = f" of {item or scanner}" if item or scanner else ""
        raise UsageError(
            f"there is no proposal {group}{narrowed}. `qcbench records curate STUDY --list` shows those that there are"
        )
    seen = [each for each in asked if until is None or each["flag"] <= until]
    meant = WAITING if verdict == REOPENED else verdict
    ready = [each for each in seen if each["state"] != meant and WAITING in (each["state"], meant)]
    others = [each for each in seen if each["state"] not in (meant, WAITING) and meant != WAITING]
    if others and len(others) == len(seen):
        raise UsageError(f"{_otherwise(others)}. Reopen it first, if that is to change")
    rows = [_row(each, verdict, by=by, why=why) for each in ready]
    if rows:
        connection.execute(schema.DECISION.insert(), rows)
        detail = {"group": group, "why": why, "decisions": [row["decision_id"] for row in rows]}
        audit.append(connection, client=by, action=f"repairs {verdict}", detail=detail)
    notes = [f"{_otherwise(others)}: left as it is; reopen first, if that is to change"] if others else []
    if later := len(asked) - len(seen):
        notes.append(f"{later} came after the list was shown, and wait")
    return Summary(
        stage="records curate",
        done=len(rows),
        unchanged=len(seen) - len(rows) - len(others),
        facts={"verdict": verdict, "group": group, "by": by},
        notes=notes,
        seconds=time.perf_counter() - began,
    )


def group_of(code: str, field: str, found: str | None, proposed: str) -> str:
    """Return the name of the group that a proposal belongs to; it is the same in every database.

    >>> group_of("unit", "EchoTime", "2.9", "0.0029") == group_of("unit", "EchoTime", "4.6", "0.0046")
    True
    >>> group_of("vendor-spelling", "Manufacturer", "SIEMENS", "Siemens")
    'vendor-spelling-cd7971b8'
    """
    repair = [found, proposed]
    if code in _BY_FACTOR:
        repair = [f"{float(proposed) / float(found):.3g}"]
    return f"{code}-{hashlib.sha256(orjson.dumps([field, *repair])).hexdigest()[:8]}"


def scanner_of(maker: str | None, model: str | None, serial: str | None) -> str:
    """Return how a scanner is called here; the serial number is a keyed hash already, of which a piece will do.

    >>> scanner_of("Siemens", "Trio", "3f9a1c77"), scanner_of(None, None, None)
    ('Siemens Trio #3f9a1c', 'scanner not said')
    """
    number = serial and f"#{serial[:6] if _OPAQUE.fullmatch(serial) or len(serial) > 6 else serial}"
    return " ".join(filter(None, (maker, model, number))) or _NO_SCANNER


def _row(proposal: dict, verdict: str, *, by: str, why: str) -> dict:
    row = {name: proposal[name] for name in ("flag", "item_id", "code", "field", "found", "proposed")}
    row |= {"verdict": verdict, "decided_by": by, "why": why, "decided_at": now()}
    return row | {"decision_id": decision_id(row)}


def _members(connection: sa.Connection, group: str) -> Iterator[dict]:
    base, decision = _proposed(), schema.DECISION
    query = sa.select(base, decision.c.verdict, decision.c.decided_by, decision.c.why, decision.c.decided_at)
    query = query.select_from(_with_verdict(base)).where(base.c.code == group.rpartition("-")[0])
    for row in connection.execute(query.order_by(base.c.flag)).mappings():
        each = {str(name): value for name, value in row.items()}
        if group_of(*(each[name] for name in ("code", "field", "found", "proposed"))) == group:
            yield each | {
                "decided": _sentence(each) if each["verdict"] else None,
                "state": _state(each["verdict"]),
                "scanner": scanner_of(*(each[name] for name in ("maker", "model", "serial"))),
            }


def _proposed() -> sa.Subquery:
    """Return the flags that propose something, with the scanner and the number of the last decision on each."""
    flag, decision = schema.FLAG, schema.DECISION
    last = sa.select(sa.func.max(decision.c.sequence)).where(decision.c.flag == flag.c.sequence).scalar_subquery()
    shared = [flag.c.sequence.label("flag"), *(flag.c[name] for name in ("item_id", "code", "field", "found"))]
    shared += [flag.c.proposed, last.label("last")]
    parts = []
    for modality, table in schema.TYPED.items():
        scanner = (table.c.Manufacturer, table.c.ManufacturersModelName, table.c.DeviceSerialNumber)
        named = zip(scanner, ("maker", "model", "serial"), strict=True)
        columns = [*shared, sa.literal(modality).label("modality"), *(column.label(name) for column, name in named)]
        parts.append(sa.select(*columns).join_from(flag, table, table.c.record_id == flag.c.item_id))
    nothing = [sa.cast(sa.null(), sa.Text).label(name) for name in ("maker", "model", "serial")]
    rated = sa.select(*shared, sa.literal("rating").label("modality"), *nothing)
    parts.append(rated.where(flag.c.kind == "rating"))
    return sa.union_all(*(part.where(flag.c.proposed.is_not(None)) for part in parts)).subquery()


def _with_verdict(base: sa.Subquery) -> sa.Join:
    return base.outerjoin(schema.DECISION, schema.DECISION.c.sequence == base.c.last)


def _state(verdict: str | None) -> str:
    return WAITING if verdict in (None, REOPENED) else verdict


def _checked(verdict: str, by: str, why: str) -> tuple[str, str]:
    if verdict not in VERDICTS:
        raise UsageError(f"the verdict must be one of {', '.join(VERDICTS)}, got {str(verdict)[:40]!r}")
    by, why = as_text(by.strip()), without_email(as_text(why.strip()))
    if not by or len(by) > _LONGEST_NAME or without_email(by) != by:
        raise UsageError(f"say who decides, in at most {_LONGEST_NAME} characters; an e-mail address is not kept")
    if len(why) > _LONGEST_WHY or (not why and verdict != ACCEPTED):
        raise UsageError(f"say why it is {verdict}, in at most {_LONGEST_WHY} characters (--why WORDS)")
    return by, why


def _otherwise(decided: list[dict]) -> str:
    last = max(decided, key=lambda each: each["decided_at"])
    n = "one" if len(decided) == 1 else len(decided)
    return f"{n} of them {'is' if len(decided) == 1 else 'are'} {last['state']} already: {_sentence(last)}"


def _sentences(connection: sa.Connection, numbers: Iterable[int]) -> dict[int, str]:
    table = schema.DECISION
    found = connection.execute(sa.select(table).where(table.c.sequence.in_(list(numbers)))).mappings()
    return {row["sequence"]: _sentence(row) for row in found}


def _sentence(decision: dict) -> str:
    because = f" ({decision['why']})" if decision["why"] else ""
    return f"{decision['verdict']} by {decision['decided_by']} on {decision['decided_at'][:10]}{because}"


def _falling(counts: dict[str, int]) -> dict[str, int]:
    return dict(Counter(counts).most_common())


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.items())
