"""The station's settings: one model is the source of validation, sample file and documentation."""

from agent.settings.load import Loaded, effective, find_config, load_settings, loaded_settings
from agent.settings.model import ApiSettings, Settings, WebSettings, read_api_key

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
]
