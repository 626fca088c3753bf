"""Whether the model files are the ones that the catalog describes."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from service.models.catalog import Catalog, ForProcessors, ModelSpec


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


def verify_file(catalog: Catalog, spec: ModelSpec) -> Problem | None:
    """What is wrong with the file of `spec`: missing, unreadable or with another checksum. None if it is right."""
    try:
        found = sha256_of(catalog.file(spec))
    except FileNotFoundError:
        return Problem(spec.label, "the file is missing")
    except OSError as error:
        return Problem(spec.label, f"the file cannot be read ({error.strerror})")
    if found != spec.sha256:
        return Problem(spec.label, f"the file's SHA-256 is {found}, the catalog says {spec.sha256}")
    return None


def verify_files(catalog: Catalog) -> list[Problem]:
    """What is wrong with each model's files, accepted versions and those for processors too. Empty if all are right."""
    found = [verify_file(catalog, spec) for spec in catalog.every]
    for kind in ForProcessors:
        meant = catalog.for_processors(kind)
        found += [verify_file(meant, spec) for spec in meant.every if spec.label in meant.files]
    return [problem for problem in found if problem is not None]
