"""Every operation of the OpenAPI document with generated requests, right ones and wrong ones (Schemathesis).

`python -m benchmarks.openapi [--examples 200]`; `tests/hostile` does the same with few. Each answer must be one that
the document describes (status, headers, media type, schema), none a server error; what breaks the document's own rules
must be refused, and so must every request without its key.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import APIOperation

from tests.service_process import ServiceProcess

CONFORMANCE = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
)
REFUSAL = ("negative_data_rejection", "missing_required_header")
REFUSALS = ("400", "401", "403", "404", "405", "406", "413", "415", "422", "429")
SECONDS = 30.0


@dataclass
class Target:
    """A running service and a key that may do everything."""

    service: ServiceProcess
    key: str

    @cached_property
    def operations(self) -> dict[str, APIOperation]:
        """By label, e.g. "POST /v1/anonymize"."""
        schema = schemathesis.openapi.from_url(f"{self.service.url}/openapi.json")
        schema.config.generation.update(with_security_parameters=False)
        schema.config.checks.negative_data_rejection.expected_statuses = list(REFUSALS)
        return {found.ok().label: found.ok() for found in schema.get_all_operations()}


@contextmanager
def target(folder: Path, database: str | None = None) -> Iterator[Target]:
    """A service that needs keys, with small pictures only."""
    environ = {"VEIL_ACCESS__KEYS": "true", "VEIL_LIMITS__MAX_PIXELS": "1000000", "VEIL_DEFAULTS__EFFORT": "fast"}
    environ |= {} if database is None else {"VEIL_DATABASE__URL": database}
    service = ServiceProcess(folder, environ)
    made = service.run("keys", "create", "--name", "examiner", "--role", "admin")
    with service:
        yield Target(service, made.stdout.strip())


def examine(target: Target, operation: APIOperation, examples: int) -> Counter[int]:
    """Answers by status. Raises schemathesis' Failure (in a group) for one that is not as it must be."""
    statuses: Counter[int] = Counter()
    load_all_checks()
    _send(target, operation, examples, GenerationMode.POSITIVE, CONFORMANCE, statuses)
    _send(target, operation, examples, GenerationMode.NEGATIVE, (*CONFORMANCE, *REFUSAL), statuses)
    return statuses


def _send(
    target: Target,
    operation: APIOperation,
    examples: int,
    mode: GenerationMode,
    names: tuple[str, ...],
    statuses: Counter[int],
) -> None:
    checks = CHECKS.get_by_names(list(names))
    headers = {"api-key": target.key}

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: schemathesis.Case) -> None:
        answer = case.call(base_url=target.service.url, headers=headers, timeout=SECONDS)
        statuses[answer.status_code] += 1
        if answer.status_code == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
            return  # of the connection, before it is known which operation is meant
        case.validate_response(answer, checks=checks, headers=headers)

    # Nothing can be wrong with a request that has no parts.
    with suppress(Unsatisfiable) if mode is GenerationMode.NEGATIVE else nullcontext():
        send()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.openapi", description=__doc__)
    parser.add_argument("--examples", type=int, default=200)
    given = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder, target(Path(folder)) as examined:
        for label, operation in examined.operations.items():
            try:
                print(f"{label:40s} {dict(sorted(examine(examined, operation, given.examples).items()))}", flush=True)
            except (Exception, FailureGroup) as error:
                failed += 1
                print(f"{label:40s} WRONG: {error}", flush=True)
                for each in getattr(error, "exceptions", ()):
                    print(f"    {each}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
