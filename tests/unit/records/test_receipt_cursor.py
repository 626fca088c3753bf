"""Cursors survive the way to the caller and back; anything else is refused."""

import contextlib
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidRequest
from service.records.cursor import Position
from tests.unit.records.stores import MOMENT, minimal

TEXT = Position(MOMENT, minimal().id).text()


@given(moment=st.datetimes(timezones=st.just(UTC)), id=st.uuids())
def test_round_trip(moment: datetime, id: object) -> None:
    position = Position(moment, id)  # type: ignore[arg-type]
    assert re.fullmatch("[A-Za-z0-9_-]{32}", position.text())
    assert Position.read(position.text()) == position


@pytest.mark.parametrize(
    "text",
    ["", "x", TEXT[:-1], TEXT + "AAAA", TEXT[:-1] + "!", TEXT[:-1] + "+", "ü" * 32, "f" + "_" * 31, "\0" * 32],
    ids=["nothing", "short", "cut", "long", "no letter", "not URL-safe", "not ASCII", "no time", "zeros"],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        Position.read(text)


@given(st.text(max_size=64))
def test_no_text_breaks_it(text: str) -> None:
    with contextlib.suppress(InvalidRequest):
        assert Position.read(text).text() == text
