"""The engine of a run, opened from what the caller asked for."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from service.api.options import parse_options
from service.api.services import OptionRules
from service.app.failure import StartError
from service.app.serving import option_rules
from service.app.veil import open_veil
from service.bulk.engines import Engine, InProcess, OverHttp, PictureFailed
from service.client import AsyncClient
from service.errors import InvalidRequest, OptionProblem
from service.policy import OutputFormat, Policy
from service.settings import Settings

PATIENCE = 600.0
"""Seconds for which one picture is offered to busy servers: a night's run is in no hurry."""


@dataclass(frozen=True, slots=True)
class Opened:
    engine: Engine
    format: OutputFormat
    source_ref: str | None = None


@dataclass(frozen=True, slots=True)
class ServerGiven:
    """`verify`: as in httpx, True or an SSL context."""

    urls: tuple[str, ...]
    key: str | None
    verify: Any = True


@asynccontextmanager
async def open_engine(
    settings: Settings, options: Sequence[str], servers: ServerGiven | None, jobs: int
) -> AsyncIterator[Opened]:
    """This process, or `servers`. Raises StartError, and InvalidRequest if `options` (`name=value`) are wrong."""
    pairs = split(options)
    if servers is None:
        # Every job must find a worker: waiting for one would count against the pictures' own time.
        workers = settings.admission.model_copy(update={"workers": max(jobs, settings.admission.workers)})
        async with open_veil(settings.model_copy(update={"admission": workers})) as veil:
            policy, source_ref = policy_of(pairs, option_rules(veil))
            yield Opened(InProcess(veil, policy), policy.format, source_ref)
        return
    given = dict(pairs)
    try:
        to = OutputFormat(given.get("format", "same"))
    except ValueError:
        raise InvalidRequest([OptionProblem("/format", f"one of {', '.join(OutputFormat)}")]) from None
    async with AsyncClient(
        *servers.urls, key=servers.key, patience=PATIENCE, verify=servers.verify, connections=jobs
    ) as client:
        try:
            async with asyncio.timeout(30):
                engine = await OverHttp.connect(client, given)
        except PictureFailed as error:
            raise StartError(f"The servers cannot be used: {error.detail}") from error
        except TimeoutError:
            raise StartError("No server answers. Check the addresses given by --server.") from None
        yield Opened(engine, to)


def split(options: Sequence[str]) -> list[tuple[str, str]]:
    """`name=value` each. Raises InvalidRequest."""
    pairs = []
    for text in options:
        name, separator, value = text.partition("=")
        if not separator:
            raise InvalidRequest([OptionProblem(f"/{name}", "give an option as NAME=VALUE")])
        pairs.append((name, value))
    return pairs


def policy_of(pairs: Sequence[tuple[str, str]], rules: OptionRules) -> tuple[Policy, str | None]:
    """The policy that options in the API's words give. Raises InvalidRequest."""
    parsed = parse_options(list(pairs), rules)
    return parsed.policy, parsed.source_ref
