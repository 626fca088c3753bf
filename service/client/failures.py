"""How a request can fail.

VeilClientError
├ Problem       the service answered with a problem document (RFC 9457)
├ Unreachable   no answer, from no server, for as long as the client was told to be patient
└ AnswerBroken  an answer that is not one of Veil's
"""

from typing import Any


class VeilClientError(Exception):
    """Anything that keeps the client from returning a result."""


class Unreachable(VeilClientError):
    """No server answered."""


class AnswerBroken(VeilClientError):
    """What came back does not have the form of an answer of Veil: is another service at this address?"""


class Problem(VeilClientError):
    """`slug` names the kind (`/problems/<slug>` of the service explains it); `receipt` is the failed request's."""

    def __init__(self, status: int, document: dict[str, Any]) -> None:
        self.status = status
        self.slug = str(document.get("type", "about:blank")).rsplit("/", 1)[-1]
        self.title = str(document.get("title", ""))
        self.detail = str(document.get("detail") or self.title)
        self.request_id: str | None = document.get("request_id")
        self.receipt: str | None = document.get("receipt")
        self.problems: list[dict[str, str]] = document.get("problems") or []
        listed = "".join(f"\n  {each.get('pointer')}: {each.get('detail')}" for each in self.problems)
        super().__init__(f"{status} {self.slug}: {self.detail}{listed}")
