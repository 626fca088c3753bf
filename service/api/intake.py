"""The way of every upload, whatever protocol it came by: checked, admitted, read, worked on, recorded."""

from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from fastapi import Request

from service.api.auth import Caller
from service.api.disconnect import while_connected
from service.api.options import Operation, Options, parse_options
from service.api.services import Services
from service.api.uploads import check_headers, read_upload
from service.records.draft import Draft
from service.records.receipt import InputFacts

T = TypeVar("T")

Acceptable = Callable[[Options, bytes | None], None]
"""Refuses options whose answer the client would not take; called again with the picture once it is there."""

Work = Callable[[bytes, Options, Draft], Coroutine[Any, Any, T]]


async def process(
    request: Request, services: Services, caller: Caller, operation: Operation, acceptable: Acceptable, work: Work[T]
) -> T:
    """The result of `work` on the uploaded picture.

    What ends the request before `work` gets it is recorded here; `work` records its own end, so each request has one
    receipt. A place in the queue is held from before the upload is read, a worker only for `work`. Raises VeilError.
    """
    draft = Draft(caller=caller.id)
    request.state.draft = draft
    query = request.query_params.multi_items()
    async with AsyncExitStack() as held:
        async with services.anonymizer.recorded(draft):
            check_headers(request, services.uploads)
            acceptable(parse_options(query, services.rules, operation=operation), None)
            await held.enter_async_context(services.admission.place())
            with draft.stage("upload"):
                upload = await read_upload(request, services.uploads)
            draft.input = InputFacts(bytes=len(upload.data))
            options = parse_options(
                query, services.rules, form=upload.fields, operation=operation, problems=upload.problems
            )
            draft.source_ref = options.source_ref
            acceptable(options, upload.data)
        return await while_connected(request.receive, _admitted(services, upload.data, options, draft, work))


async def _admitted(services: Services, data: bytes, options: Options, draft: Draft, work: Work[T]) -> T:
    """`work` with a worker held; the wait for one is recorded like everything before."""
    async with AsyncExitStack() as held:
        async with services.anonymizer.recorded(draft):
            with draft.stage("queue"):
                await held.enter_async_context(services.admission.worker())
        return await work(data, options, draft)
