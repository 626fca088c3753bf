"""Certificates for tests, made by the openssl command as an operator would make them."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@dataclass(frozen=True)
class Authority:
    """A certificate authority in `folder`."""

    folder: Path
    name: str

    @classmethod
    def make(cls, folder: Path, name: str) -> "Authority":
        folder.mkdir(parents=True, exist_ok=True)
        made = cls(folder, name)
        key, subject = folder / f"{name}.key", f"/CN={name}"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", subject, "-keyout", key, "-out", made.file)  # fmt: skip
        return made

    @property
    def file(self) -> Path:
        return self.folder / f"{self.name}.pem"

    def issue(self, name: str, days: int = 1) -> tuple[Path, Path]:
        """The files of a certificate for 127.0.0.1, and of its key."""
        certificate, key, request = (self.folder / f"{name}{end}" for end in (".pem", ".key", ".csr"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", key, "-out", request)  # fmt: skip
        extensions = self.folder / "extensions"
        extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.folder / f"{self.name}.key",
                "-CAcreateserial", "-days", str(days), "-extfile", extensions, "-out", certificate)  # fmt: skip
        return certificate, key

    def trusted(self, client: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        """A client's context that trusts this authority, with a certificate of its own if one is given."""
        context = ssl.create_default_context(cafile=str(self.file))
        if client is not None:
            context.load_cert_chain(*client)
        return context
