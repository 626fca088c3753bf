"""A Python client of Veil's own protocol, synchronous and asynchronous; it needs httpx and nothing else of Veil."""

from service.client.aio import AsyncClient
from service.client.answers import Anonymized, Detection, Found, Receipt
from service.client.blocking import Client
from service.client.failures import AnswerBroken, Problem, Unreachable, VeilClientError

__all__ = [
    "Anonymized",
    "AnswerBroken",
    "AsyncClient",
    "Client",
    "Detection",
    "Found",
    "Problem",
    "Receipt",
    "Unreachable",
    "VeilClientError",
]
