"""Fixtures that any test may ask for; each starts its real part once for the session."""

import functools

import httpx

pytest_plugins = ["tests.postgres.fixtures", "tests.triton.fixtures"]

CERTIFICATES = httpx.create_ssl_context()
"""Read once: each call of `httpx.get` and its like makes a client, which else spends 50 ms on reading them."""

for method in ("get", "post", "put", "patch", "delete", "head", "options", "request", "stream"):
    setattr(httpx, method, functools.partial(getattr(httpx, method), verify=CERTIFICATES))
