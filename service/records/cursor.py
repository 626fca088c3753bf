"""Where a page of receipts ended, as text that callers hand back and need not understand."""

import base64
import binascii
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from service.errors import InvalidRequest, OptionProblem

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAYOUT: Final = struct.Struct(">q16s")
"""Microseconds since the epoch, then the id."""


@dataclass(frozen=True, slots=True)
class Position:
    """The last receipt of a page, by what receipts are sorted by."""

    received_at: datetime
    id: UUID

    def text(self) -> str:
        """32 characters that need no escaping in a URL (RFC 4648, section 5)."""
        microseconds = (self.received_at - EPOCH) // timedelta(microseconds=1)
        return base64.urlsafe_b64encode(LAYOUT.pack(microseconds, self.id.bytes)).decode("ascii")

    @classmethod
    def read(cls, text: str) -> "Position":
        """The position that `text` names. Raises InvalidRequest."""
        try:
            microseconds, id_bytes = LAYOUT.unpack(base64.b64decode(text, altchars=b"-_", validate=True))
            position = cls(EPOCH + timedelta(microseconds=microseconds), UUID(bytes=id_bytes))
        except (binascii.Error, ValueError, struct.error, OverflowError):
            position = None
        # The decoder also takes the standard alphabet; one position has one text.
        if position is None or position.text() != text:
            raise InvalidRequest([OptionProblem("/cursor", "give the next_cursor of an earlier page, unchanged")])
        return position
