"""An early answer that arrives: what the client is still sending is read and dropped for a moment before closing.

A server that answers while the upload is still coming in and closes at once makes the client's system discard the
answer (the reset overtakes it, RFC 9112, section 9.6). Without this a 413, 429 or 401 looks like a broken connection.
"""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGER_SECONDS = 2.0
LINGER_BYTES = 512 * 1024 * 1024


class LingeringClose:
    """Closes the connection after an answer that came before the end of the upload, but not before it is read."""

    def __init__(self, app: ASGIApp, seconds: float = LINGER_SECONDS, most: int = LINGER_BYTES) -> None:
        self._app = app
        self._seconds = seconds
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not has_body(scope):
            await self._app(scope, receive, send)
            return
        read = early = False

        async def receive_and_note() -> Message:
            nonlocal read
            message = await receive()
            read = read or message["type"] == "http.disconnect" or not message.get("more_body", False)
            return message

        async def send_and_linger(message: Message) -> None:
            nonlocal early
            if message["type"] == "http.response.start" and not read:
                early = True
                MutableHeaders(scope=message)["Connection"] = "close"
            if message["type"] == "http.response.body" and early and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await self._drop(receive_and_note)
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        await self._app(scope, receive_and_note, send_and_linger)

    async def _drop(self, receive: Receive) -> None:
        """Reads until the upload or the connection ends, the time is over or it is too much."""
        left = self._most
        try:
            async with asyncio.timeout(self._seconds):
                more = True
                while more and left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    more = message["type"] == "http.request" and message.get("more_body", False)
        except TimeoutError:
            return


def has_body(scope: Scope) -> bool:
    """Whether the request announces a body (RFC 9112, section 6.3)."""
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
