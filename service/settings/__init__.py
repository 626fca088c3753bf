"""The deployment's settings: what there is, and how environment variables give it."""

from service.settings.environment import Settings, SettingsError, variable, variables
from service.settings.groups import EmbeddedPrecision, Engine, Group, Server, Tls

__all__ = [
    "EmbeddedPrecision", "Engine", "Group", "Server", "Settings", "SettingsError", "Tls", "variable", "variables",
]  # fmt: skip
