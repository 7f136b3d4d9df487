"""The command `init`: writes the first settings of a station."""

import contextlib
import errno
import grp
import os
import sys
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import click
from pydantic import ValidationError

from agent.cli.common import print_answer, standard_options
from agent.clock import read_clock
from agent.daemon.systemd import start_command, with_config
from agent.disk.state_folder import rewriting
from agent.doctor.check import CheckResult, Severity, StationUnderTest, warning
from agent.doctor.network import ask_status, judge_answer
from agent.errors import ApiUnavailableError, ConfigError, RequestError
from agent.exercises import ACTIVITIES, EXERCISES, check_movement
from agent.secret_files import fault_of, text_of
from agent.settings import Settings, load_settings, read_api_key
from agent.settings.generate import sample_toml
from agent.settings.load import DEFAULT_PATH, explained, toml_value, user_folder
from agent.settings.model import KEY_FORM, KEY_NAME, NO_KEY, is_key, why_no_key

_SYSTEM_STATE = Path("/var/lib/spotter")
_SYSTEM_KEY = Path("/etc/spotter/api-key")
_GROUP = "spotter"
_MOST_KEY_BYTES = 4096
_HEAD = """\
# Spotter: the settings of one station, written by `spotter init`.
# `spotter config` shows every setting in effect, `spotter config --sample` explains all of them.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupPlaces:
    """Where the files of a station are stored."""

    config: Path
    key: Path
    capture: Path
    state: Path
    is_system: bool

    @classmethod
    def of_system(cls) -> "SetupPlaces":
        """Return the places that the installed service uses."""
        return cls(
            config=DEFAULT_PATH,
            key=_SYSTEM_KEY,
            capture=_SYSTEM_STATE / "capture",
            state=_SYSTEM_STATE,
            is_system=True,
        )

    @classmethod
    def of_user(cls, environ: Mapping[str, str], config: Path | None = None) -> "SetupPlaces":
        """Return places below the user's home; each settings file has folders of its own."""
        folder = user_folder(environ, "XDG_CONFIG_HOME", ".config")
        chosen = (config or folder / "station.toml").absolute()
        plain = chosen.parent == folder and chosen.stem == "station"
        own = user_folder(environ, "XDG_DATA_HOME", ".local/share")
        data = own if plain else own / "stations" / chosen.stem
        return cls(
            config=chosen,
            key=chosen.parent / ("api-key" if plain else f"{chosen.stem}-api-key"),
            capture=data / "capture",
            state=data,
            is_system=False,
        )


class KeyAnswer(StrEnum):
    """How the key of a new station was answered."""

    ACCEPTED = "accepted"
    MISSING = "missing"  # there is none yet
    REFUSED = "refused"
    UNREACHABLE = "unreachable"  # nobody answered who knows


def write_station(
    station: Mapping[str, str | None],
    places: SetupPlaces,
    *,
    base_url: str | None,
    key: str | None,
    key_file: Path | None,
    replace: bool,
) -> Path | None:
    """Write the settings of a station, and make its folders; return the copy of those of before.

    Args:
        station: what a person says of it, by the settings of its table.
        places: where its files go.
        base_url: of the API, if not the default.
        key: a key that was typed: stored in the key file of these places.
        key_file: a file that holds the key; the system's service gets a copy of it.
        replace: whether settings that are there already may be replaced; a copy is kept.

    Raises:
        RequestError: what was said contradicts itself, or the file exists.
        ConfigError: the settings would not load, or a place cannot be written.
    """
    if key_file is not None:
        given = _key_in(key_file)
        key, key_file = (given, None) if places.is_system else (None, key_file.absolute())
    _check_place(places, replace=replace)
    content = _toml(
        {
            "station": station,
            "paths": {"capture": places.capture, "state": places.state},
            "api": {"base_url": base_url, "key_file": key_file or places.key},
        }
    )
    if not all(text.isprintable() for text in (*station.values(), base_url) if text is not None):
        raise RequestError("a name or id must not contain control characters")
    try:  # before anything is written
        Settings.model_validate(tomllib.loads(content))
    except ValidationError as error:
        raise RequestError(str(explained(error, places.config, hint=""))) from None
    try:
        _make_folders(places)
        if key is not None:
            _write(places.key, key.strip() + "\n", mode=0o600, group=None)
        elif key_file is None and not places.key.exists():
            _write(places.key, "", mode=0o600, group=None)
        kept = _keep_before(places.config)
        _write(places.config, content, mode=0o640, group=_GROUP if places.is_system else None)
    except OSError as error:
        raise ConfigError(
            f"{error.filename or places.config}: {error.strerror}",
            hint=_HOW_TO_WRITE.get(error.errno or 0, "check the disk: df"),
        ) from None
    return kept


_HOW_TO_WRITE = {
    **dict.fromkeys((errno.EACCES, errno.EPERM), "sudo spotter init --system"),
    **dict.fromkeys(
        (errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG),
        "choose another file: --config FILE",
    ),
}


def try_key(station: StationUnderTest) -> tuple[KeyAnswer, CheckResult]:
    """Ask the API whose key this is."""
    api = station.settings.api
    token = read_api_key(api, station.environ)
    if token is None:
        why = why_no_key(api, station.environ)
        words = "no key yet: clips are kept until there is one"
        return KeyAnswer.MISSING, warning(
            "API",
            words if why == NO_KEY else f"{why}; clips are kept until it does",
            f"write it into {api.key_file}, alone in one line",
        )
    try:
        answer = ask_status(station, token)
    except ApiUnavailableError as fault:
        answered = KeyAnswer.UNREACHABLE if fault.status is None else KeyAnswer.REFUSED
        return answered, warning("API", str(fault))
    judged = judge_answer(station, answer)
    if judged.state is not Severity.BROKEN:
        return KeyAnswer.ACCEPTED, judged
    is_refused = answer.status in {401, 402, 403} and answer.error_words() is not None
    return KeyAnswer.REFUSED if is_refused else KeyAnswer.UNREACHABLE, judged


def next_steps(
    key: KeyAnswer, remedy: str | None, places: SetupPlaces, *, capture: Path
) -> list[str]:
    """Return what is left for a person to do, in order, each as one line."""
    steps = []
    verify = (
        "sudo spotter doctor" if places.is_system else with_config("spotter doctor", places.config)
    )
    if key is KeyAnswer.UNREACHABLE:
        steps.append(f"the connection to the API: {remedy or verify}")
    elif key is not KeyAnswer.ACCEPTED:
        steps.append(f"the key: {remedy or verify}")
    start = start_command(places.config)
    return [
        *steps,
        f"start it: {start}",
        f"let the camera program write into {capture} "
        "(Spotter moves files out of it, and deletes them 48 h after delivery)",
        f"verify the installation: {verify}",
    ]


def _check_place(places: SetupPlaces, *, replace: bool) -> None:
    """Refuse to replace settings that somebody wrote."""
    if places.is_system and os.geteuid() != 0:
        raise RequestError("the system's settings are root's", hint="sudo spotter init --system")
    if places.is_system and not _is_installed():
        raise RequestError(
            "Spotter is not installed as a service on this machine",
            hint="install it first (docs/install.md); or leave out --system to try it as this user",
        )
    with contextlib.suppress(OSError):  # writing says it
        if places.config.read_text(errors="replace") != sample_toml() and not replace:
            raise RequestError(
                f"{places.config} exists",
                hint="edit it, or replace it with --force (a copy is kept)",
            )


def _is_installed() -> bool:
    try:
        grp.getgrnam(_GROUP)
    except KeyError:
        return False
    return True


def _key_in(path: Path) -> str:
    """Return the key in a file.

    Raises:
        ConfigError: the file cannot be read, or does not hold one key.
    """
    try:
        with path.open("rb") as file:
            text = text_of(file.read(_MOST_KEY_BYTES + 1))
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}", hint="name the file: --key-file FILE"
        ) from None
    if text is None or not can_be_key(text):
        fault = fault_of(path, name=KEY_NAME, form=KEY_FORM, accepts=can_be_key)
        raise ConfigError(
            fault or f"{path} is empty", hint="the key alone, in one line, without spaces"
        )
    return text


def can_be_key(text: str) -> bool:
    """Tell whether a text can be an API key: there is one, not too long, that looks like it."""
    return 0 < len(text) <= _MOST_KEY_BYTES and is_key(text)


def _toml(tables: Mapping[str, Mapping[str, object]]) -> str:
    lines = [_HEAD]
    for table, values in tables.items():
        lines.append(f"[{table}]")
        lines += [f"{key} = {toml_value(value)}" for key, value in values.items() if value]
        lines.append("")
    return "\n".join(lines)


def _make_folders(places: SetupPlaces) -> None:
    for folder in (places.config.parent, places.state, places.capture):
        if not folder.is_dir():
            private = not places.is_system and folder != places.capture
            folder.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o755)


def _keep_before(path: Path) -> Path | None:
    """Keep a copy of the settings that are there; None: there are none."""
    if not path.exists():
        return None
    kept = path.with_name(f"{path.name}.before-{time.strftime('%Y%m%d-%H%M%S')}")
    kept.hardlink_to(path)
    return kept


def _write(path: Path, content: str, *, mode: int, group: str | None) -> None:
    """Write a file whole or not at all, never through a link that somebody placed."""
    group_id = None if group is None else grp.getgrnam(group).gr_gid
    with rewriting(path, mode, group_id=group_id) as file:
        file.write(content.encode())


_REFUSED = 1


@click.command()
@click.option("--system", is_flag=True, help="For the installed service: /etc and /var/lib.")
@click.option("--activity", type=click.Choice(ACTIVITIES), help="The activity at this station.")
@click.option("--exercise", metavar="E", help="The exercise: snatch, clean, clean_and_jerk, ...")
@click.option("--user-id", metavar="U", help="Default athlete while nobody is assigned.")
@click.option(
    "--key-file", type=click.Path(path_type=Path), metavar="F", help="File with the API key."
)
@click.option("--name", metavar="TEXT", help="Display name of the station.")
@click.option("--station-id", metavar="ID", help="For logs and metrics.  [default: host name]")
@click.option("--base-url", metavar="URL", help="Address of the API, if not the default.")
@click.option("--force", is_flag=True, help="Replace existing settings; a copy is kept.")
@standard_options
def init(
    system: bool,
    activity: str | None,
    exercise: str | None,
    user_id: str | None,
    key_file: Path | None,
    name: str | None,
    station_id: str | None,
    base_url: str | None,
    force: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Write a station's settings and test its API key.

    In a terminal it asks for what the options leave out.  Without --system everything is stored
    in this user's home, where the other commands find it unless a system station exists.
    Exit code 1: the API rejects the key; the settings are written anyway.
    """
    if system and config is not None:
        raise click.UsageError("--system cannot be combined with --config")
    if config is not None and config.absolute() == DEFAULT_PATH:
        raise RequestError(
            f"{config} is the installed service's", hint="sudo spotter init --system"
        )
    places = SetupPlaces.of_system() if system else SetupPlaces.of_user(os.environ, config)
    asks = sys.stdin.isatty() and not as_json
    activity = activity or _ask_activity(asks=asks)
    exercise = exercise or _ask_exercise(activity, asks=asks)
    key = None
    if asks and key_file is None and not places.key.exists():
        key = _ask_key()
    check_movement(activity, exercise, barbell_mass_kg=None, incline_deg=None)
    said = {
        "id": station_id,
        "name": name,
        "activity": activity,
        "exercise": exercise,
        "user_id": user_id,
    }
    kept = write_station(said, places, base_url=base_url, key=key, key_file=key_file, replace=force)
    settings = load_settings(places.config)
    station = StationUnderTest(
        settings=settings, config=places.config, now=read_clock(), environ=os.environ
    )
    answer, judged = try_key(station)
    capture = settings.paths.capture
    steps = next_steps(answer, judged.remedy, places, capture=capture)
    document = {
        "config": str(places.config),
        "kept": None if kept is None else str(kept),
        "capture": str(capture),
        "state": str(places.state),
        "key": str(answer),
        "finding": judged.finding,
        "next": steps,
    }
    words = [
        f"Settings written: {places.config}",
        f"API: {judged.finding}",
        "Next steps:",
        *(f"  {number}. {step}" for number, step in enumerate(steps, start=1)),
        *([] if kept is None else [f"Previous settings: {kept}"]),
    ]
    print_answer(document, "\n".join(words), as_json=as_json)
    if answer is KeyAnswer.REFUSED:
        sys.exit(_REFUSED)


def _ask_activity(*, asks: bool) -> str:
    if not asks:
        raise click.UsageError(f"--activity is required: {', '.join(ACTIVITIES)}")
    choice = click.Choice(ACTIVITIES)
    return str(click.prompt("Activity at this station", type=choice, default="weightlifting"))


def _ask_exercise(activity: str, *, asks: bool) -> str | None:
    choices = EXERCISES[activity]
    if not choices:
        return None
    if not asks:
        raise click.UsageError(f"--exercise is required: {', '.join(choices)}")
    return str(click.prompt("Exercise", type=click.Choice(choices), default=choices[0]))


def _ask_key() -> str | None:
    """Return a key that a person types, hidden, or None where it is to follow later."""
    while True:
        typed = click.prompt(
            "API key (hidden; leave empty to add it later)",
            hide_input=True,
            default="",
            show_default=False,
        ).strip()
        if not typed:
            return None
        if can_be_key(typed):
            return str(typed)
        click.echo("Not an API key: expected one line, no spaces.", err=True)
