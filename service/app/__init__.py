"""The composition root: builds everything once, closes everything. Nobody else constructs infrastructure."""

from service.app.detectors import (
    engine_name,
    inference_threads,
    open_detectors,
    read_catalog,
    tiled_detection,
    wrong_file,
)
from service.app.failure import StartError
from service.app.records import connect, open_database, read_signer, retention_of
from service.app.serving import option_rules, require_keys, services, tls_files
from service.app.veil import Veil, default_policy, open_veil

__all__ = [
    "StartError",
    "Veil",
    "connect",
    "default_policy",
    "engine_name",
    "inference_threads",
    "open_database",
    "open_detectors",
    "open_veil",
    "option_rules",
    "read_catalog",
    "read_signer",
    "require_keys",
    "retention_of",
    "services",
    "tiled_detection",
    "tls_files",
    "wrong_file",
]
