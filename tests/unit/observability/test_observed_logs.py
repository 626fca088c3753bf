import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from service.observability.logs import configure, get_logger


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    configure("json", "info")


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_one_event_is_one_line_of_json() -> None:
    stream = io.StringIO()
    configure("json", "info", stream)
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        get_logger("service.x").info("done", count=3, text="two\nlines")
    (line,) = written(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "done",
        "count": 3,
        "text": "two\nlines",
        "logger": "service.x",
        "level": "info",
        "request_id": "r1",
    }


def test_text_is_for_people() -> None:
    stream = io.StringIO()
    configure("text", "info", stream)
    get_logger("service.x").info("done", count=3)
    assert "done" in stream.getvalue()
    assert "count=3" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_the_level_is_that_of_the_services_own_lines() -> None:
    stream = io.StringIO()
    configure("json", "debug", stream)
    get_logger("service.x").debug("own")
    logging.getLogger("multipart").debug("a library may say what it reads")
    logging.getLogger("multipart").warning("trouble")
    configure("json", "warning", stream)
    get_logger("service.x").info("unheard")
    assert [line["event"] for line in written(stream)] == ["own", "trouble"]


def test_the_servers_lines_come_the_same_way_and_its_access_log_never() -> None:
    stream = io.StringIO()
    configure("json", "info", stream)
    logging.getLogger("uvicorn.error").info("Started server process [%d]", 7)
    logging.getLogger("uvicorn.access").error('%s - "GET /?name=secret"', "203.0.113.9")
    (line,) = written(stream)
    assert (line["event"], line["logger"]) == ("Started server process [7]", "uvicorn.error")


SECRET = " ".join(["license", "plate"])
"""Not a literal where it is used: source lines are written."""


def look_up(secret: str) -> None:
    raise KeyError(secret)


def fail(secret: str) -> None:
    try:
        look_up(secret)
    except KeyError as error:
        raise ValueError(f"wrong: {secret}") from error


@pytest.mark.parametrize("format", ["json", "text"])
@pytest.mark.parametrize("name", ["service.x", "uvicorn.error"])
def test_exceptions_are_written_as_types_and_places_without_what_they_say(format: str, name: str) -> None:
    stream = io.StringIO()
    configure(format, "info", stream)
    try:
        fail(SECRET)
    except ValueError as error:
        if name == "service.x":
            get_logger(name).error("failed", exc_info=error)
            get_logger(name).exception("failed")
        else:
            logging.getLogger(name).error("failed", exc_info=error)
    text = stream.getvalue()
    assert SECRET not in text
    for part in ("builtins.ValueError", "builtins.KeyError", "in look_up: raise KeyError(secret)"):
        assert part in text


def test_groups_of_exceptions_are_taken_apart() -> None:
    stream = io.StringIO()
    configure("json", "info", stream)
    get_logger("service.x").error("failed", exc_info=ExceptionGroup("several", [ValueError("a"), OSError("b")]))
    (line,) = written(stream)
    assert line["exception"].splitlines() == ["builtins.ExceptionGroup", "builtins.ValueError", "builtins.OSError"]


def test_configuring_again_does_not_double_lines() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure("json", "info", first)
    configure("json", "info", second)
    get_logger("service.x").info("once")
    assert (len(written(first)), len(written(second))) == (0, 1)
