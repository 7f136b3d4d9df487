"""The station's settings: one model is the source of validation, sample file and documentation."""

from agent.settings.key import read_api_key
from agent.settings.load import Loaded, effective, load_settings, loaded_settings
from agent.settings.model import Settings
from agent.settings.place import find_config
from agent.settings.sample import sample_toml
from agent.settings.tables import ApiSettings
from agent.settings.web import WebSettings

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
    "sample_toml",
]
