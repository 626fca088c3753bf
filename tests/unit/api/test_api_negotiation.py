import pytest

from service.api.negotiation import Accepted, Representation
from service.api.problems import NotAcceptable

IMAGE, MIXED = Representation.IMAGE, Representation.MIXED


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, IMAGE),
        ("", IMAGE),
        ("*/*", IMAGE),
        ("image/*", IMAGE),
        ("IMAGE/JPEG", IMAGE),
        ("text/html, image/avif, image/webp, */*;q=0.8", IMAGE),
        ("multipart/mixed", MIXED),
        ("multipart/*", MIXED),
        ("multipart/mixed, image/jpeg", IMAGE),
        ("multipart/mixed, image/*;q=0.9", MIXED),
        ("multipart/mixed;q=0.2, */*;q=0.1", MIXED),
        ("multipart/mixed;q=0, */*", IMAGE),
        ("image/jpeg;q=0, multipart/mixed;q=0.001", MIXED),
        ('multipart/mixed; boundary="x"; q=0.5, image/jpeg; q=0.4', MIXED),
        ("nonsense, image/jpeg", IMAGE),
    ],
)
def test_the_most_wanted_representation_wins(header: str | None, expected: Representation) -> None:
    assert Accepted.parse(header).representation(("image/jpeg",)) is expected


@pytest.mark.parametrize(
    "header",
    ["application/json", "image/png", "image/jpeg;q=0", "*/*;q=0", "image/*, image/jpeg;q=0", "x", "*/*;q=nan"],
)
def test_what_cannot_be_answered_is_said(header: str) -> None:
    with pytest.raises(NotAcceptable):
        Accepted.parse(header).representation(("image/jpeg",))


def test_any_of_several_possible_formats_may_be_the_accepted_one() -> None:
    assert Accepted.parse("image/png").representation(("image/jpeg", "image/png")) is IMAGE


def test_one_representation_is_required() -> None:
    Accepted.parse("application/*;q=0.1").require("application/json")
    with pytest.raises(NotAcceptable):
        Accepted.parse("image/*").require("application/json")
