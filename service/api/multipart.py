"""multipart/form-data (RFC 7578) into memory: one picture and a few short fields, each bounded while it arrives.

The frameworks' own form parsers write what is larger than a mebibyte to a temporary file; a picture must not get there.
"""

from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.api.problems import MalformedRequest, escape
from service.errors import InvalidRequest, OptionProblem, UploadTooLarge

IMAGE = "image"
MAX_FIELDS = 64
MAX_NAME_BYTES = 128
MAX_FIELD_BYTES = 256 * 1024
FORM_BYTES = 1024 * 1024
"""Everything of the body that is not the picture: fields, part headers, boundaries."""


@dataclass(slots=True)
class Part:
    """The part that is arriving."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    name: str = ""
    is_file: bool = False
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0


class ImageForm:
    """A parser that is fed chunk by chunk. After `close`: the fields in their order, and what is wrong with them.

    `name`: of the part that holds the picture. `together`: names of parts that may hold pictures instead, all of them;
    `others` has them after `close`.
    """

    def __init__(self, content_type: str, max_bytes: int, name: str = IMAGE, together: tuple[str, ...] = ()) -> None:
        """Raises MalformedRequest if `content_type` gives no usable boundary."""
        _, parameters = parse_options_header(content_type)
        boundary = parameters.get(b"boundary")
        if not boundary:
            raise MalformedRequest(detail="The Content-Type has no boundary.")
        self.fields: list[tuple[str, str]] = []
        self.problems: list[OptionProblem] = []
        self.others: dict[str, bytes] = {}
        self.name = name
        self._max_bytes = max_bytes
        self._together = together
        self._image: list[bytes] | None = None
        self._file_bytes = 0
        self._part = Part()
        self._header_name = b""
        self._header_value = b""
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError:
            raise MalformedRequest(detail="The boundary in the Content-Type is too long.") from None

    def write(self, chunk: bytes) -> None:
        """Raises MalformedRequest, UploadTooLarge, or InvalidRequest where going on makes no sense."""
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise MalformedRequest(detail="The multipart body is malformed.") from None

    def close(self) -> bytes:
        """The picture, empty if the form has none. Raises MalformedRequest if the form is not complete."""
        if not self._ended:
            raise MalformedRequest(detail="The multipart body ends before its closing boundary.")
        if self.others:
            missing = [each for each in self._together if each not in self.others]
            self.problems += [OptionProblem(f"/{each}", f"give all of {', '.join(self._together)}") for each in missing]
            if self._image is not None:
                self.problems.append(OptionProblem(f"/{self.name}", f"give it, or {', '.join(self._together)}"))
            return b""
        if self._image is None:
            self.problems.append(
                OptionProblem(f"/{self.name}", f"the form needs a part '{self.name}' with the picture")
            )
            return b""
        image, self._image = self._image, None
        return b"".join(image)

    def _on_part_begin(self) -> None:
        self._part = Part()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._part.headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        part = self._part
        kind, parameters = parse_options_header(part.headers.get(b"content-disposition", b""))
        name = parameters.get(b"name", b"")
        if kind != b"form-data" or not 0 < len(name) <= MAX_NAME_BYTES:
            raise MalformedRequest(detail="A part of the form has no usable name in its Content-Disposition.")
        if part.headers.get(b"content-transfer-encoding", b"binary").lower() not in (b"binary", b"8bit", b"7bit"):
            raise MalformedRequest(detail="Content-Transfer-Encoding is not supported (RFC 7578, section 4.7).")
        part.name = name.decode("utf-8", "replace")
        part.is_file = part.name == self.name or part.name in self._together
        if part.name in self.others or (part.name == self.name and self._image is not None):
            raise InvalidRequest([OptionProblem(f"/{part.name}", "given more than once")])
        if not part.is_file and b"filename" in parameters:
            raise InvalidRequest(
                [OptionProblem(f"/{escape(part.name)}", f"the only file of the form is '{self.name}'")]
            )
        if not part.is_file and len(self.fields) >= MAX_FIELDS:
            raise InvalidRequest([OptionProblem("", f"the form has more than {MAX_FIELDS} fields")])

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        part.size += end - start
        if part.is_file:
            self._file_bytes += end - start
            if self._file_bytes > self._max_bytes:
                raise UploadTooLarge
        if not part.is_file and part.size > MAX_FIELD_BYTES:
            raise InvalidRequest([OptionProblem(f"/{escape(part.name)}", f"longer than {MAX_FIELD_BYTES} bytes")])
        part.chunks.append(data[start:end])

    def _on_part_end(self) -> None:
        part = self._part
        if part.is_file and part.name != self.name:
            self.others[part.name] = b"".join(part.chunks)
            return
        if part.is_file:
            self._image = part.chunks
            return
        try:
            self.fields.append((part.name, b"".join(part.chunks).decode("utf-8")))
        except UnicodeDecodeError:
            self.problems.append(OptionProblem(f"/{escape(part.name)}", "not valid UTF-8"))

    def _on_end(self) -> None:
        self._ended = True
