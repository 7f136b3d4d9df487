"""The station's settings: one model is the source of validation, sample file and documentation.

What is named here is loaded when it is asked for: the model costs more than most commands.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.settings.key import read_api_key
    from agent.settings.load import Loaded, effective, load_settings, loaded_settings
    from agent.settings.model import Settings
    from agent.settings.place import find_config
    from agent.settings.remembered import remembered_settings
    from agent.settings.sample import sample_toml
    from agent.settings.tables import ApiSettings
    from agent.settings.web import WebSettings

_HOMES = {
    "ApiSettings": "tables",
    "Loaded": "load",
    "Settings": "model",
    "WebSettings": "web",
    "effective": "load",
    "find_config": "place",
    "load_settings": "load",
    "loaded_settings": "load",
    "read_api_key": "key",
    "remembered_settings": "remembered",
    "sample_toml": "sample",
}

__all__ = [
    "ApiSettings",
    "Loaded",
    "Settings",
    "WebSettings",
    "effective",
    "find_config",
    "load_settings",
    "loaded_settings",
    "read_api_key",
    "remembered_settings",
    "sample_toml",
]


def __getattr__(name: str) -> object:
    """Load what a name stands for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(f"agent.settings.{_HOMES[name]}"), name)
