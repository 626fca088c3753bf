"""Quotas in the answer: the RateLimit header fields (draft-ietf-httpapi-ratelimit-headers-11).

`RateLimit-Policy: "requests";q=60;w=60, "megapixels";q=600;qu="megapixels";w=60`: what a minute allows. The unit
megapixels is our own: of the draft's units none fits, and without one the number would mean requests.
`RateLimit: "requests";r=12;t=1, …`: what is left, and the seconds until there is more.
"""

import math
from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.records.quotas import REQUESTS, WINDOW, Level


class RateLimited:
    """Says in each answer to a key with quotas what is left of them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_levels(message: Message) -> None:
            if message["type"] == "http.response.start":
                levels = scope.get("state", {}).get("quotas")
                if levels:
                    MutableHeaders(scope=message).update(fields(levels))
            await send(message)

        await self._app(scope, receive, send_with_levels)


def fields(levels: Sequence[Level]) -> dict[str, str]:
    """The header fields for `levels`."""
    policies, limits = [], []
    for each in levels:
        unit = "" if each.policy == REQUESTS else f';qu="{each.policy}"'
        policies.append(f'"{each.policy}";q={each.quota}{unit};w={WINDOW:.0f}')
        limits.append(f'"{each.policy}";r={each.left};t={max(1, math.ceil(each.wait))}')
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(limits)}
