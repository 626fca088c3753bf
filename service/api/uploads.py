"""An upload from the connection into memory: bounded before it is read, bounded in time, never on disk."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from fastapi import Request
from starlette.requests import ClientDisconnect

from service.api.multipart import FORM_BYTES, IMAGE, ImageForm
from service.api.services import UploadLimits
from service.errors import OptionProblem, UnsupportedFormat, UploadIncomplete, UploadTooLarge
from service.imaging.formats import READ

MULTIPART = "multipart/form-data"
BYTES = "application/octet-stream"
"""What clients that do not know a file's kind call it; the kind is read off the bytes in any case."""

PACE_SECONDS = 10.0
"""Over which the least rate of an upload is measured."""


@dataclass(frozen=True, slots=True)
class Upload:
    """The picture, the form fields that came with it, and what is wrong with them so far.

    `faces`: six pictures in place of one, by the name of their part; `data` is empty then.
    """

    data: bytes
    faces: Mapping[str, bytes] = field(default_factory=dict)
    fields: tuple[tuple[str, str], ...] = ()
    problems: tuple[OptionProblem, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all pictures."""
        return len(self.data) + sum(map(len, self.faces.values()))


def check_headers(request: Request, limits: UploadLimits) -> None:
    """What can be refused before a byte is read. Raises UnsupportedFormat or UploadTooLarge."""
    media = media_type(request)
    if not media.startswith("image/") and media not in (MULTIPART, BYTES):
        raise UnsupportedFormat(f"Send the picture ({READ}) as image/… or {BYTES}, or in a form.")
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedFormat("A Content-Encoding is not supported; send the picture as it is.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > _most(request, limits):
        raise UploadTooLarge


async def read_upload(
    request: Request, limits: UploadLimits, part: str = IMAGE, together: tuple[str, ...] = ()
) -> Upload:
    """The whole upload; `part` names the picture in a form, `together` those that may come in its place, all of them.

    Raises UploadTooLarge as soon as it is, UploadIncomplete if the client leaves or takes longer than the timeout,
    MalformedRequest or InvalidRequest for a form that makes no sense. What is wrong with a single field, or a picture
    that is empty, is left to `problems`, to be reported together with the options.
    """
    try:
        async with (
            asyncio.timeout(limits.timeout),
            asyncio.timeout(PACE_SECONDS if limits.least_rate else None) as pace,
        ):
            if media_type(request) == MULTIPART:
                form = ImageForm(request.headers["content-type"], limits.max_bytes, part, together)
                return await _read_form(request, limits, form, pace)
            data = b"".join([chunk async for chunk in _bounded(request, limits, pace)])
    except (TimeoutError, ClientDisconnect):
        raise UploadIncomplete from None
    return Upload(data, problems=() if data else (_empty(part),))


async def _read_form(request: Request, limits: UploadLimits, form: ImageForm, pace: asyncio.Timeout) -> Upload:
    async for chunk in _bounded(request, limits, pace):
        form.write(chunk)
    data = form.close()
    if not form.problems:
        pictures = form.others or {form.name: data}
        form.problems += [_empty(name) for name, picture in pictures.items() if not picture]
    return Upload(data, dict(form.others), tuple(form.fields), tuple(form.problems))


def _empty(part: str) -> OptionProblem:
    return OptionProblem(f"/{part}", "the picture is empty")


async def _bounded(request: Request, limits: UploadLimits, pace: asyncio.Timeout) -> AsyncIterator[bytes]:
    """The body's chunks, as long as they stay within the limit: a chunked body declares no length.

    Puts `pace` off as long as they come fast enough: an upload holds a place, and a trickle would hold it for nothing.
    """
    received = paced = 0
    now = asyncio.get_running_loop().time
    async for chunk in request.stream():
        received += len(chunk)
        if received > _most(request, limits):
            raise UploadTooLarge
        if limits.least_rate and received - paced >= limits.least_rate * PACE_SECONDS:
            paced = received
            pace.reschedule(now() + PACE_SECONDS)
        yield chunk


def _most(request: Request, limits: UploadLimits) -> int:
    return limits.max_bytes + (FORM_BYTES if media_type(request) == MULTIPART else 0)


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
