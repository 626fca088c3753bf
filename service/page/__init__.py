"""The page that the service shows at its root: static files of this package, read once, with nothing from elsewhere.

`index.html` and `style/`, `script/` are our own; `vendor/` has libraries with their licenses, which
`requirements/page.sh` fetches and checks.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

FOLDER: Final = Path(__file__).parent
INDEX: Final = "index.html"
MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file. `tag` changes with its content."""

    data: bytes
    media_type: str
    tag: str


@cache
def files() -> Mapping[str, PageFile]:
    """Every file of the page, by its path below the package; what is not here is not served."""
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in MEDIA_TYPES and path.is_file():
            data = path.read_bytes()
            tag = hashlib.sha256(data).hexdigest()[:32]
            found[path.relative_to(FOLDER).as_posix()] = PageFile(data, MEDIA_TYPES[path.suffix], tag)
    return MappingProxyType(found)
