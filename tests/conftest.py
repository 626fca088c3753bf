"""Fixtures that any test may ask for; each starts its real part once for the session."""

pytest_plugins = ["tests.postgres.fixtures", "tests.triton.fixtures"]
