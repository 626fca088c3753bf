"""The way of every upload, whatever protocol it came by: checked, admitted, read, worked on, recorded."""

from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from fastapi import Request

from service.anonymizer import Admit
from service.api.auth import Caller, grant
from service.api.disconnect import while_connected
from service.api.multipart import IMAGE
from service.api.options import Operation, Options, parse_options
from service.api.services import Services
from service.api.uploads import Upload, check_headers, read_upload
from service.imaging.source import Source
from service.records.draft import Draft
from service.records.receipt import InputFacts

T = TypeVar("T")
Asked = TypeVar("Asked")

Acceptable = Callable[[Options, bytes | None], None]
"""Refuses options whose answer the client would not take; called again with the picture once it is there."""

Work = Callable[[bytes, Asked, Draft], Coroutine[Any, Any, T]]


async def process(
    request: Request,
    services: Services,
    caller: Caller,
    operation: Operation,
    acceptable: Acceptable,
    work: Work[Options, T],
) -> T:
    """The result of `work` on the uploaded picture, with the options of Veil's own protocol.

    `work` begins with a worker held and records its own end. Raises VeilError.
    """
    query = request.query_params.multi_items()

    def understand(upload: Upload | None, draft: Draft) -> Options:
        if upload is None:
            options = parse_options(query, services.rules, operation=operation, terms=caller.terms)
        else:
            options = parse_options(
                query,
                services.rules,
                form=upload.fields,
                operation=operation,
                problems=upload.problems,
                terms=caller.terms,
            )
            draft.source_ref = options.source_ref
        acceptable(options, None if upload is None else upload.data)
        return options

    async def admitted(data: bytes, options: Options, draft: Draft) -> T:
        async with AsyncExitStack() as held:
            async with services.anonymizer.recorded(draft):
                weight = await services.anonymizer.weigh(data, options.policy, draft)
                with draft.stage("queue"):
                    await held.enter_async_context(services.admission.worker(weight=weight))
            return await work(data, options, draft)

    return await take(request, services, caller, understand, admitted)


def admit(request: Request, services: Services, caller: Caller) -> Admit | None:
    """What takes a picture's megapixels from the quota of the caller's key, if it has one."""
    key = caller.key
    if key is None or key.terms.quota.megapixels is None:
        return None

    async def take_megapixels(source: Source) -> None:
        megapixels = source.width * source.height / 1e6
        grant(request, await services.quotas.take_megapixels(key, megapixels))

    return take_megapixels


async def take(
    request: Request,
    services: Services,
    caller: Caller,
    understand: Callable[[Upload | None, Draft], Asked],
    work: Work[Asked, T],
    *,
    part: str = IMAGE,
    patience: float = 0.0,
) -> T:
    """The result of `work` on the uploaded picture and what `understand` makes of the request.

    `understand` is called before the upload is read, so that it can be refused early, and with the upload. `part`
    names the picture in a form. A place in the queue is held from before the upload is read, and waited for up to
    `patience` seconds. What ends the request before `work` gets it is recorded here, the rest by `work`, so each
    request has one receipt. Raises VeilError.
    """
    draft = Draft(caller=caller.id)
    request.state.draft = draft
    async with AsyncExitStack() as held:
        async with services.anonymizer.recorded(draft):
            check_headers(request, services.uploads)
            understand(None, draft)
            with draft.stage("queue"):
                await held.enter_async_context(services.admission.place(patience))
            with draft.stage("upload"):
                upload = await read_upload(request, services.uploads, part)
            draft.input = InputFacts(bytes=len(upload.data))
            asked = understand(upload, draft)
        return await while_connected(request.receive, work(upload.data, asked, draft))
