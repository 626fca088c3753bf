"""Moments in requests: RFC 3339 only. The framework also takes numbers, and guesses whether they are milliseconds."""

import re
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator

BEGINNING = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]", re.ASCII)


def _text(value: object) -> object:
    """Raises ValueError for what is no text of a date and a time."""
    if not isinstance(value, str) or not BEGINNING.match(value):
        raise ValueError("give a moment as in RFC 3339: 2026-05-04T08:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_text)]
