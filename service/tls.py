"""TLS with certificates that change while the service runs.

Certificates are renewed every few weeks, and the authorities of clients change: a context that has been replaced whole
serves each connection that comes after, with nothing left of the old one, and connections that are there stay.
"""

import asyncio
import ssl
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from service.observability.logs import get_logger
from service.periodic import every

logger = get_logger(__name__)


class TlsError(Exception):
    """The files cannot be used; the message says why, and repeats nothing of them."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the certificate with its chain, its key, the authorities of clients (None: any client may come)."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def fingerprint(self) -> tuple[tuple[int, int, int], ...]:
        """Changes when a file does, also one behind a link. Raises TlsError."""
        try:
            found = [path.stat() for path in (self.certificate, self.key, self.client_ca) if path is not None]
        except OSError as error:
            raise TlsError(f"a file of TLS cannot be read ({error.strerror})") from error
        return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)

    def context(self) -> ssl.SSLContext:
        """A server's context of the files as they are now. Raises TlsError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            # An empty password: asked for one, OpenSSL would wait at the terminal.
            context.load_cert_chain(self.certificate, self.key, password="")
            if self.client_ca is not None:
                context.load_verify_locations(self.client_ca)
        except (OSError, ssl.SSLError, ValueError) as error:
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
            raise TlsError(f"the files of TLS do not belong together or cannot be read ({reason})") from error
        if self.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            # A resumed session would not show its certificate again.
            context.num_tickets = 0
            context.options |= ssl.OP_NO_TICKET
        return context

    def expires_at(self) -> datetime:
        """When the first certificate of the file ends. Raises TlsError."""
        from cryptography import x509

        try:
            return x509.load_pem_x509_certificates(self.certificate.read_bytes())[0].not_valid_after_utc
        except (OSError, ValueError, IndexError) as error:
            raise TlsError("the certificate cannot be read") from error


class ReloadingContext(ssl.SSLContext):
    """A context whose connections each get the newest one. Raises TlsError if the files cannot be used at first.

    The event loop asks its context for one TLS object for each connection, and nothing else of it.
    """

    def __new__(cls, _files: TlsFiles) -> "ReloadingContext":
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._seen = files.fingerprint()
        self._current = files.context()
        self.expires_at = files.expires_at()

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        return self._current.wrap_bio(*args, **kwargs)

    def expires(self) -> float:
        """When the certificate in use ends, in seconds since 1970."""
        return self.expires_at.timestamp()

    def reload(self) -> None:
        """Takes over files that have changed; those that cannot be used are logged, and the old ones stay."""
        try:
            seen = self._files.fingerprint()
            if seen == self._seen:
                return
            self._seen = seen
            self._current, self.expires_at = self._files.context(), self._files.expires_at()
        except TlsError as error:
            logger.error("tls-not-reloaded", reason=str(error))
        else:
            logger.info("tls-reloaded", expires_at=self.expires_at.isoformat())

    def watched(self, seconds: float) -> AbstractAsyncContextManager[None]:
        """Looks at the files every so many `seconds` while the block runs."""
        return every(seconds, partial(asyncio.to_thread, self.reload))
