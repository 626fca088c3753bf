"""Whether the model files are the ones that the catalog describes."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from service.models.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Problem:
    """One model file that cannot be used."""

    model: str
    text: str

    def __str__(self) -> str:
        return f"{self.model}: {self.text}"


def sha256_of(file: Path) -> str:
    """SHA-256 (hex) of `file`'s content. Raises OSError."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def verify_files(catalog: Catalog) -> list[Problem]:
    """What is wrong with each model's file: missing, unreadable or with another checksum. Empty if all are right."""
    problems = []
    for spec in catalog.specs:
        file = catalog.file(spec)
        try:
            found = sha256_of(file)
        except FileNotFoundError:
            problems.append(Problem(spec.label, "the file is missing"))
        except OSError as error:
            problems.append(Problem(spec.label, f"the file cannot be read ({error.strerror})"))
        else:
            if found != spec.sha256:
                text = f"the file's SHA-256 is {found}, the catalog says {spec.sha256}"
                problems.append(Problem(spec.label, text))
    return problems
