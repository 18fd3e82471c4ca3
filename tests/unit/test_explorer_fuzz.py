"""Whatever is sent to the explorer, it answers as it says it does, never by a failure of its own.

schemathesis makes calls from the server's own description: right ones, and wrong ones.
"""

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi import checks

EXAMPLES = 8
"""Calls per operation, right and wrong ones each: about 20 s in all."""

OPERATIONS = 24
"""So many the server describes: fewer means that something is not tried."""


@pytest.fixture(scope="module")
def process(explored, tmp_path_factory):
    store = explored.make(tmp_path_factory.mktemp("fuzz") / "s.siderea")
    with explored.Process(store.path) as process:
        yield process


CHECKS = (
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
)


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_no_call_fails(process, mode):
    api = schemathesis.openapi.from_url(f"{process.address}/openapi.json")
    tried = []
    with requests.Session() as session:
        for found in api.get_all_operations():
            operation = found.ok()
            calls = _calls(operation, mode, session)
            if calls:
                tried.append((operation.label, calls))
    assert process.popen.poll() is None, "the server died"
    assert len(tried) >= (OPERATIONS if mode.value == "positive" else OPERATIONS - 10), tried
    assert min(calls for _, calls in tried) >= 1
    assert requests.get(f"{process.address}/api/version", timeout=5).status_code == 200


def _calls(operation, mode, session):
    """Make calls of one operation; return how many."""
    made = []

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def run(case):
        case.call_and_validate(checks=CHECKS, session=session, timeout=20)
        made.append(case)

    try:
        run()
    except Exception as error:
        if "Unsatisfiable" in type(error).__name__:  # nothing to get wrong: no parameter
            return 0
        raise
    return len(made)
