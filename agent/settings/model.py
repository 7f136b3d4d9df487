"""The settings as one model: its tables, and where their values come from."""

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from agent.settings.disk import DiskSettings
from agent.settings.footage import (
    AnalysisSettings,
    CutSettings,
    JumpingSettings,
    QualitySettings,
    RunningSettings,
    WeightliftingSettings,
)
from agent.settings.notifying import MqttSettings, WebhookSettings
from agent.settings.results import ResultsSettings
from agent.settings.tables import (
    ApiSettings,
    CaptureSettings,
    DeliverySettings,
    LogSettings,
    PathSettings,
    StationSettings,
)
from agent.settings.web import WebSettings

ENV_PREFIX = "SPOTTER_"


class Settings(BaseSettings):
    """Everything a station can be told; every key also as SPOTTER_TABLE__KEY."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    station: StationSettings
    paths: PathSettings = Field(default_factory=PathSettings)
    api: ApiSettings = Field(default_factory=ApiSettings)
    capture: CaptureSettings = Field(default_factory=CaptureSettings)
    disk: DiskSettings = Field(default_factory=DiskSettings)
    analysis: AnalysisSettings = Field(default_factory=AnalysisSettings)
    running: RunningSettings = Field(default_factory=RunningSettings)
    jumping: JumpingSettings = Field(default_factory=JumpingSettings)
    weightlifting: WeightliftingSettings = Field(default_factory=WeightliftingSettings)
    quality: QualitySettings = Field(default_factory=QualitySettings)
    cut: CutSettings = Field(default_factory=CutSettings)
    delivery: DeliverySettings = Field(default_factory=DeliverySettings)
    results: ResultsSettings = Field(default_factory=ResultsSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    webhook: WebhookSettings = Field(default_factory=WebhookSettings)
    mqtt: MqttSettings = Field(default_factory=MqttSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment go before the file, whose content comes in as arguments."""
        return env_settings, init_settings
