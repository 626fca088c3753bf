"""Run by Panoramax's own Python: blurs pictures with its client function, and says as JSON what came of each.

Arguments: the blur API's address, a folder to store in, `keep` or `forget`, and JPEG files.
"""

import json
import sys
from pathlib import Path

import pyexiv2
from geovisio.utils import filesystems, pictures


def main(url: str, folder: str, keep: str, *sources: str) -> None:
    store = filesystems.FileSystem(folder, name="permanent")
    kept = keep == "keep"
    found = []
    for source in map(Path, sources):
        data = source.read_bytes()
        result = pictures.createBlurredHDPicture(store, url, data, f"/{source.name}", keep_unblured_parts=kept)
        found.append(
            {
                "size": result.image.size,
                "format": result.image.format,
                "metadata": result.metadata,
                "exif": exif(store.read(f"/{source.name}")),
                "source_exif": exif(data),
            }
        )
    json.dump(found, sys.stdout)


def exif(data: bytes) -> dict[str, str]:
    """Every EXIF tag by name, as Exiv2 writes its value."""
    with pyexiv2.ImageData(bytes(data)) as image:
        found: dict[str, str] = image.read_exif(encoding="utf-8")
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
