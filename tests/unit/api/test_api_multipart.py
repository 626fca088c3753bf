import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.multipart import MAX_FIELD_BYTES, MAX_FIELDS, ImageForm
from service.api.problems import MalformedRequest
from service.errors import InvalidRequest, UploadTooLarge

TYPE = 'multipart/form-data; boundary="b0"'


def part(name: str, data: bytes, filename: str | None = None, extra: str = "") -> bytes:
    given = "" if filename is None else f'; filename="{filename}"'
    return f'--b0\r\nContent-Disposition: form-data; name="{name}"{given}\r\n{extra}\r\n'.encode() + data + b"\r\n"


END = b"--b0--\r\n"


def read(body: bytes, max_bytes: int = 1000, step: int = 7) -> tuple[bytes, list[tuple[str, str]], list[str]]:
    form = ImageForm(TYPE, max_bytes)
    for at in range(0, len(body), step):
        form.write(body[at : at + step])
    data = form.close()
    return data, form.fields, [problem.pointer for problem in form.problems]


@given(
    data=st.binary(min_size=1, max_size=300), value=st.text(max_size=50), step=st.integers(min_value=1, max_value=400)
)
def test_the_bytes_arrive_as_they_were_however_they_are_cut(data: bytes, value: str, step: int) -> None:
    body = part("quality", value.encode()) + part("image", data, "a.jpg", "Content-Type: image/jpeg\r\n") + END
    if b"\r\n--b0" in data + b"\r\n" + value.encode():
        return
    assert read(body, step=step) == (data, [("quality", value)], [])


def test_the_picture_needs_no_file_name_and_may_come_first() -> None:
    assert read(part("image", b"x") + part("a", b"1") + part("a", b"2") + END) == (b"x", [("a", "1"), ("a", "2")], [])


def test_a_picture_of_exactly_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    assert len(read(part("image", b"x" * 1000) + END)[0]) == 1000
    with pytest.raises(UploadTooLarge):
        read(part("image", b"x" * 1001) + END)


def test_a_missing_picture_and_a_broken_field_are_both_pointed_at() -> None:
    assert read(part("a/b", b"\xff") + END) == (b"", [], ["/a~1b", "/image"])


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (part("image", b"x") + part("image", b"y"), "/image"),
        (part("other", b"x", "b.jpg"), "/other"),
        (part("long", b"x" * (MAX_FIELD_BYTES + 1)), "/long"),
        (b"".join(part(f"f{i}", b"") for i in range(MAX_FIELDS + 1)), ""),
    ],
)
def test_a_form_that_goes_beyond_its_bounds_is_ended(body: bytes, pointer: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(body + END, step=1024)
    assert [problem.pointer for problem in caught.value.problems] == [pointer]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not a form",
        part("image", b"x"),
        b"--b0\r\nContent-Type: image/jpeg\r\n\r\nx\r\n" + END,
        part("image", b"eA==", extra="Content-Transfer-Encoding: base64\r\n") + END,
        part("n" * 129, b"x") + END,
        part("image", b"x", extra="X-Long: " + "x" * 10_000 + "\r\n") + END,
        part("image", b"x", extra="".join(f"X-{i}: y\r\n" for i in range(100))) + END,
    ],
)
def test_a_malformed_body_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        read(body)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=" + "b" * 300])
def test_a_boundary_is_needed(content_type: str) -> None:
    with pytest.raises(MalformedRequest):
        ImageForm(content_type, 10)


def faces(body: bytes, together: tuple[str, ...] = ("up", "down"), max_bytes: int = 1000) -> ImageForm:
    form = ImageForm(TYPE, max_bytes, together=together)
    form.write(body)
    form.close()
    return form


def test_several_pictures_come_together_or_are_missed_by_name() -> None:
    form = faces(part("up", b"u", "u.jpg") + part("quality", b"90") + part("down", b"d", "d.jpg") + END)
    assert (form.others, form.fields, form.problems) == ({"up": b"u", "down": b"d"}, [("quality", "90")], [])
    assert [each.pointer for each in faces(part("down", b"d") + END).problems] == ["/up"]
    beside = faces(part("up", b"u") + part("down", b"d") + part("image", b"i") + END)
    assert [each.pointer for each in beside.problems] == ["/image"]


def test_several_pictures_share_the_limit_and_come_once() -> None:
    assert faces(part("up", b"x" * 500) + part("down", b"x" * 500) + END).others["down"] == b"x" * 500
    with pytest.raises(UploadTooLarge):
        faces(part("up", b"x" * 500) + part("down", b"x" * 501) + END)
    with pytest.raises(InvalidRequest):
        faces(part("up", b"x") + part("up", b"x") + END)
