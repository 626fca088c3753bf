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
from service.cubes import Faces
from service.imaging.cubemap import FACES
from service.records.draft import Draft
from service.records.receipt import InputFacts

T = TypeVar("T")
Asked = TypeVar("Asked")

Acceptable = Callable[[Options, Upload | None], None]
"""Refuses options whose answer the client would not take; called again with the upload once it is there."""

Work = Callable[[bytes, Asked, Draft], Coroutine[Any, Any, T]]
CubeWork = Callable[[Faces, Options, Draft], Coroutine[Any, Any, T]]


async def process(
    request: Request,
    services: Services,
    caller: Caller,
    operation: Operation,
    acceptable: Acceptable,
    work: Work[Options, T],
    cube: CubeWork[T] | None = None,
) -> T:
    """The result of `work` on the uploaded picture, with the options of Veil's own protocol.

    `cube` does it on six cube faces, where they may be uploaded in place of a picture. Both begin with a worker held
    and record their own end. Raises VeilError.
    """
    query = request.query_params.multi_items()

    def understand(upload: Upload | None, draft: Draft) -> tuple[Options, Faces]:
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
        acceptable(options, upload)
        return options, {} if upload is None else upload.faces

    async def admitted(data: bytes, asked: tuple[Options, Faces], draft: Draft) -> T:
        options, faces = asked
        anonymizer = services.anonymizer
        async with AsyncExitStack() as held:
            async with anonymizer.recorded(draft):
                weighing = anonymizer.weigh_cube(faces, options.policy, draft) if faces else None
                weight = await (weighing or anonymizer.weigh(data, options.policy, draft))
                with draft.stage("queue"):
                    await held.enter_async_context(services.admission.worker(weight=weight))
            return await (cube(faces, options, draft) if cube and faces else work(data, options, draft))

    return await take(request, services, caller, understand, admitted, together=FACES if cube else ())


def admit(request: Request, services: Services, caller: Caller) -> Admit | None:
    """What takes a picture's megapixels from the quota of the caller's key, if it has one."""
    key = caller.key
    if key is None or key.terms.quota.megapixels is None:
        return None

    async def take_megapixels(pixels: int) -> None:
        grant(request, await services.quotas.take_megapixels(key, pixels / 1e6))

    return take_megapixels


async def take(
    request: Request,
    services: Services,
    caller: Caller,
    understand: Callable[[Upload | None, Draft], Asked],
    work: Work[Asked, T],
    *,
    part: str = IMAGE,
    together: tuple[str, ...] = (),
    patience: float = 0.0,
) -> T:
    """The result of `work` on the uploaded picture and what `understand` makes of the request.

    `understand` is called before the upload is read, so that it can be refused early, and with the upload. `part`
    names the picture in a form, `together` those that may be there in its place. A place in the queue is held from
    before the upload is read, and waited for up to `patience` seconds. What ends the request before `work` gets it is
    recorded here, the rest by `work`, so each request has one receipt. Raises VeilError.
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
                upload = await read_upload(request, services.uploads, part, together)
            draft.input = InputFacts(bytes=upload.size)
            asked = understand(upload, draft)
        return await while_connected(request.receive, work(upload.data, asked, draft))
