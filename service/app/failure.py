"""What keeps the service from starting."""


class StartError(Exception):
    """The service cannot start; the message says how to fix it."""
