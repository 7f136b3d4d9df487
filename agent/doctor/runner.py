"""Runs all checks in order, from the box up to the service."""

import os
from collections.abc import Callable
from pathlib import Path

from agent.clock import Instant
from agent.disk.state_folder import acting_as_owner
from agent.doctor.box import (
    check_disk,
    check_files,
    check_libraries,
    check_model,
    check_opencv,
    check_sight,
    check_update,
    installed_distributions,
    installed_files,
    shipped_model,
)
from agent.doctor.check import Check, CheckResult, Rounds, StationUnderTest, broken, warning
from agent.doctor.folders import check_folders, check_rights, may_look
from agent.doctor.network import check_api, check_channels
from agent.doctor.page import check_page
from agent.doctor.recordings import check_camera, check_life, check_outbox
from agent.doctor.service import check_recorders, check_service, check_settings
from agent.errors import ConfigError
from agent.settings import Loaded, loaded_settings
from agent.settings.load import PAGE_FILE, Origin
from agent.settings.model import read_secrets

# What is done as root; all else with the rights of the state folder's owner.
_AS_CALLER = frozenset({"settings", "permissions", "recorder", "API", "service"})
_INSIDE = frozenset({"outbox", "history", "camera", "notifications", "service", "page"})

# What is said while a check is under way, and the check.
_AGAIN = "sudo spotter doctor; if it fails there, too, install Spotter again (docs/install.md)"
_OF_A_STATION: tuple[tuple[str, Check], ...] = (
    ("settings", check_settings),
    ("permissions", check_rights),
    ("folders", check_folders),
    ("disk", check_disk),
    ("outbox", check_outbox),
    ("history", check_life),
    ("camera", check_camera),
    ("recorder", check_recorders),
    ("API", check_api),
    ("notifications", check_channels),
    ("service", check_service),
    ("page", check_page),
)


def rounds(config: Path, *, explicit: Path | None, now: Instant) -> Rounds:
    """Yield what is checked next, and what to call for its findings.

    Args:
        config: the file of the settings.
        explicit: the same if a person named it, as `load_settings` wants it.
        now: this moment.
    """
    own_model: Path | None = None
    loaded: Loaded | None = None
    mistake: CheckResult | None = None
    try:
        loaded = loaded_settings(explicit)
        own_model = loaded.settings.analysis.model
    except ConfigError as error:
        mistake = broken("settings", str(error), error.hint or "spotter config --sample")
    yield "software", _examined("software", lambda: _software(own_model, now), remedy=_AGAIN)
    sight = _examined("analysis self-test", lambda: check_sight(own_model), remedy=_AGAIN)
    yield "analysis self-test (a few seconds)", sight
    mistakes = [] if mistake is None else [mistake]
    if loaded is not None and may_look(loaded.settings.paths.state):
        mistakes += [_of_layer(loaded, layer, why) for layer, why in loaded.rejected.items()]
    if mistakes:
        yield "settings", lambda: mistakes
    if loaded is None:
        return
    station = StationUnderTest(
        settings=loaded.settings,
        config=config,
        now=now,
        environ=os.environ,
    )
    read_secrets(station.settings, station.environ)  # as root, who alone may, perhaps
    is_open = may_look(station.folder.root)
    for name, check in _OF_A_STATION:
        if is_open or name not in _INSIDE:
            yield name, _guarded(name, check, station)


def _of_layer(loaded: Loaded, layer: Origin, why: str) -> CheckResult:
    """Return what a layer of settings that does not count means."""
    if layer is Origin.HUB:
        return warning(
            "settings",
            f"what the hub has set is ignored: {why}",
            "correct it on the hub: spotter hub push",
        )
    return warning(
        "settings",
        f"what was set on the page is ignored: {why}",
        f"set it again on the page, or correct {loaded.settings.paths.state / PAGE_FILE}",
    )


def _software(own_model: Path | None, now: Instant) -> list[CheckResult]:
    return [
        check_files(installed_files()),
        check_libraries(),
        check_opencv(installed_distributions()),
        check_model(shipped_model(), own_model),
        *check_update(now_s=now.utc_s),
    ]


def _guarded(name: str, check: Check, station: StationUnderTest) -> Callable[[], list[CheckResult]]:
    """Return a station's check that ends with a finding, whatever the disk does to it."""

    def carry_out() -> list[CheckResult]:
        if name in _AS_CALLER:
            return check(station)
        with acting_as_owner(station.folder.root):
            return check(station)

    return _examined(name, carry_out, remedy="sudo spotter doctor")


def _examined(
    name: str, look: Callable[[], list[CheckResult]], *, remedy: str
) -> Callable[[], list[CheckResult]]:
    """Return a check that ends with a finding where the system refuses what it needs."""

    def carry_out() -> list[CheckResult]:
        try:
            return look()
        except OSError as error:
            told = f"cannot be examined: {error.strerror or error}"
            if error.filename is not None:
                told += f": {error.filename}"
            return [broken(name, told, remedy)]

    return carry_out
