"""The API answers as its own description says, whatever a generator of requests comes up with (schemathesis)."""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from qcbench.records.api import make_app

LONG = bool(os.environ.get("QCBENCH_LONG_FAULTS"))
#: Of each operation, both of what its description allows and of what it forbids.
EXAMPLES = int(os.environ.get("QCBENCH_API_EXAMPLES", 1_000 if LONG else 100))
_MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
_ASKED_IN_WORDS = {"where", "sort", "filter", "aggregate"}
#: A body that is too large is refused before anybody looks whether it is right.
_REFUSED = ("400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429")
_CONFIG = SchemathesisConfig.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": list(_REFUSED)}}})
_DESCRIPTION = schemathesis.openapi.from_asgi("/openapi.json", make_app(None, None), config=_CONFIG)
OPERATIONS = {each.ok().label: each.ok() for each in _DESCRIPTION.get_all_operations()}


@pytest.fixture(params=["sqlite_for_all", "postgres_for_all"] if LONG else ["sqlite_for_all"])
def target(request):
    """The API over a database with a little in it."""
    return request.getfixturevalue(request.param).emptied()


@pytest.mark.parametrize("label", OPERATIONS)
@pytest.mark.parametrize("mode", _MODES, ids=lambda mode: mode.value)
def test_every_operation_answers_as_it_is_described(target, label, mode):
    @given(case=OPERATIONS[label].as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
    )
    def ask(case):
        # Whether a text is a question in one of the languages of `queries` no JSON Schema can say.
        excluded = [positive_data_acceptance] if _ASKED_IN_WORDS & set(case.query or ()) else []
        # An empty list leaves no trace in a query: what was wrong with it never reaches the server.
        excluded += [negative_data_rejection] if [] in (case.query or {}).values() else []
        case.call_and_validate(app=target.app, headers=target.headers("admin"), excluded_checks=excluded)

    ask()
