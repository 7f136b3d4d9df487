"""Loads the settings, and reports every mistake at once."""

import difflib
import grp
import json
import os
import pwd
import re
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings

from agent.errors import ConfigError
from agent.settings.model import (
    ENV_PREFIX,
    JumpingSettings,
    QualitySettings,
    RunningSettings,
    Settings,
    WeightliftingSettings,
)

DEFAULT_PATH = Path("/etc/spotter/station.toml")
CONFIG_VARIABLE = "SPOTTER_CONFIG"

Model = TypeVar("Model", bound=BaseSettings)


def find_config(
    explicit: Path | None, environ: Mapping[str, str], *, system: Path = DEFAULT_PATH
) -> Path:
    """Return the settings file: as given, else $SPOTTER_CONFIG, else the system's, else the user's.

    The user's file serves only where the system has none, so that a file in somebody's home can
    never replace a station that is installed.
    """
    if explicit or environ.get(CONFIG_VARIABLE):
        return explicit or Path(environ[CONFIG_VARIABLE])
    own = user_folder(environ, "XDG_CONFIG_HOME", ".config") / "station.toml"
    return own if not _exists(system) and _exists(own) else system


def user_folder(environ: Mapping[str, str], variable: str, beneath_home: str) -> Path:
    """Return Spotter's folder of one kind for the current user (XDG Base Directory)."""
    named = environ.get(variable, "")
    base = Path(named) if named.startswith("/") else Path(environ.get("HOME") or "/") / beneath_home
    return base / "spotter"


def _exists(path: Path) -> bool:
    """Tell whether there is such a file, also where this user may not look into its folder."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def how_to_read(path: Path) -> str:
    """Return what gives this user the right to read a file of the station."""
    try:
        user, group = pwd.getpwuid(os.geteuid()).pw_name, _group_of(path)
        folder = _group_of(path.parent)
    except (KeyError, OSError):  # a user or a group without a name
        return "use sudo"
    if _is_of_mine(folder) and folder.gr_gid != group.gr_gid:  # put there by root, in an edit
        return f"sudo chgrp {folder.gr_name} {path}; sudo chmod 640 {path}"
    if group.gr_gid == 0:  # nobody should join that one
        return "use sudo"
    if user in group.gr_mem:
        return f"you are in the group {group.gr_name} after your next login: log out and back in"
    return f"sudo adduser {user} {group.gr_name}, then log out and back in; or use sudo"


def how_to_edit(path: Path) -> str:
    """Return how this user edits a file: sudoedit refuses where a user may write the folder."""
    is_own = os.getuid() != 0 and os.access(path.parent, os.W_OK)
    return f"nano {path}" if is_own else f"sudoedit {path}"


def _is_of_mine(group: grp.struct_group) -> bool:
    return group.gr_gid != 0 and group.gr_gid in {os.getegid(), *os.getgroups()}


def _group_of(path: Path) -> grp.struct_group:
    """Return the group of a path, or of the nearest folder above it that can be looked at."""
    for place in (path, *path.parents):
        try:
            return grp.getgrgid(place.stat().st_gid)
        except PermissionError:
            continue
    raise FileNotFoundError(path)


def toml_value(value: object) -> str:
    """Return a value as a person would write it in the file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(toml_value(part) for part in value)}]"
    assert isinstance(value, str | Path) and not isinstance(value, SecretStr)  # no others exist
    return json.dumps(str(value), ensure_ascii=False)  # its escapes are TOML's, too


_SECRETS = frozenset(
    {"key", "pin", "metrics_token", "tap_token", "url", "secret", "password", "source"}
)
_KINDS_WANTED = {
    "string_type": "must be text, in quotes",
    "string_pattern_mismatch": "must be 1 to 40 letters, digits, - or _",
    "path_type": "must be a path, in quotes",
    "tuple_type": "must be a list, in [ ]",
    "extra_forbidden": "unknown setting",
    **dict.fromkeys(
        ("model_type", "model_attributes_type", "dict_type"), "must be a table, as in [{table}]"
    ),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
}
HIDDEN = "********"
_HOW_TO_MAKE = "choose another with --config FILE, or create it: spotter init --config {}"
_HOW_TO_MAKE_PLAIN = (
    "for the installed service: sudo spotter init --system; for a station of your own: "
    "spotter init; or choose another with --config FILE"
)
_TWICE = re.compile(r"Cannot declare \('([^']+)',\) twice \((.+)\)")  # as tomllib says it
_VALUE_TWICE = re.compile(r"Cannot overwrite a value \((.+)\)")  # likewise
_HOW_TO_WRITE = 'one setting a line, texts in quotes, as in id = "platform-3"'
_MOST_KNOWN = 20  # names in one line; there are fewer tables, and fewer keys in each


class Origin(StrEnum):
    """Where a value came from."""

    DEFAULT = "default"
    FILE = "file"
    HUB = "hub"
    PAGE = "page"
    ENVIRONMENT = "environment"


PAGE_FILE = "settings.toml"  # in the state folder: what people set on the coach's page
# The folder's group may write there, which must not thereby say where clips and the key go, what is
# loaded, or who gets in: docs/decisions/0014.
PAGE_KEYS: Mapping[str, frozenset[str]] = {
    "analysis": frozenset({"zone", "reference"}),
    "station": frozenset({"name", "activity", "exercise"}),
    "web": frozenset({"language", "unit"}),
}
HUB_FILE = "hub-settings.json"  # in the state folder: what the hub of the facility has set
# A hub tunes its stations.  Where clips and keys go, who gets in, what is deleted when, what is
# sent without an athlete, sound and metadata are the station's own to say: docs/decisions/0017.
HUB_KEYS: Mapping[str, frozenset[str]] = {
    "station": frozenset({"hours", "camera_silent_min", "runs_out_after_min"}),
    "capture": frozenset({"settle_s", "settle_unseen_s", "rescan_s"}),
    "analysis": frozenset({"poster", "offload", "work_patience_s"}),
    "running": frozenset(RunningSettings.model_fields),
    "jumping": frozenset(JumpingSettings.model_fields),
    "weightlifting": frozenset(WeightliftingSettings.model_fields),
    "quality": frozenset(QualitySettings.model_fields),
    "cut": frozenset({"method", "max_preroll_s", "rendition_height", "rendition_kbit_s"}),
    "delivery": frozenset({"send_delay_s", "schedule", "smaller_if_too_large"}),
    "results": frozenset({"follow", "video", "max_video_mb"}),
    "web": frozenset({"language", "unit"}),
    "log": frozenset({"level"}),
}
# What the file says of another activity than the page's means nothing.
_OF_ACTIVITY = frozenset({"exercise", "barbell_mass", "incline_degree"})
_MOST_PAGE_BYTES = 65536
_MOST_HUB_BYTES = 65536
_OF_HUB = "the hub's settings"
_ANY_STATION: Mapping[str, Any] = {"station": {"id": "any", "activity": "running"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings, and how they came about."""

    settings: Settings
    path: Path
    origins: Mapping[str, Mapping[str, Origin]]  # by table and key
    rejected: Mapping[Origin, str] = field(default_factory=dict)  # layers that do not count: why

    def without(self, layer: Origin, why: str) -> "Loaded":
        """Return it with one more layer that does not count."""
        return replace(self, rejected={**self.rejected, layer: why})


def load_settings(explicit: Path | None) -> Settings:
    """Load the settings from a file and the environment.

    Raises:
        ConfigError: naming every mistake, each with what would be right.
    """
    return loaded_settings(explicit).settings


def loaded_settings(explicit: Path | None) -> Loaded:
    """Load the settings, and say where each value came from.

    Raises:
        ConfigError: naming every mistake, each with what would be right.
    """
    path = find_config(explicit, os.environ)
    required = explicit is not None or CONFIG_VARIABLE in os.environ
    document = _read(path, required=required)
    settings = validated(Settings, document, path)
    loaded = Loaded(settings=settings, path=path, origins=_origins(document))
    for layer in _LAYERS:
        loaded, document = _with_layer(loaded, document, layer)
    return loaded


def validated(
    model: type[Model], document: Mapping[str, Any], path: Path, *, hint: str | None = None
) -> Model:
    """Return the settings of a file's content and the environment, which goes first.

    Args:
        model: the settings of one program, a field for each table.
        document: the content of its file.
        path: that file, for the messages.
        hint: what helps with a mistake; if left out, where a station's settings are explained.

    Raises:
        ConfigError: naming every mistake, unknown names of file and environment included.
    """
    unknown = [*_unknown_names(model, document, path), *_unknown_variables(model)]
    try:
        settings = model(**_known(document, model))
    except ValidationError as error:
        mistakes = _mistakes(error, path, env_prefix=_prefix(model))
        raise _config_error([*unknown, *mistakes], hint=hint) from None
    if unknown:
        raise _config_error(unknown, hint=hint)
    return settings


def check_hub_settings(tables: Mapping[str, Mapping[str, Any]]) -> None:
    """See that the station can do what the hub wants of it, with the settings of its own file.

    The file is the one that $SPOTTER_CONFIG names, as in the daemon's own process.

    Raises:
        ConfigError: naming every mistake.
    """
    check_tables(tables, own=_read(find_config(None, os.environ), required=False))


def check_tables(
    tables: Mapping[str, Mapping[str, Any]], *, own: Mapping[str, Any] = _ANY_STATION
) -> None:
    """See that a hub can set this, and that a station could do what it says.

    Args:
        tables: what is to be set.
        own: what the station's file says; any station's, if left out.

    Raises:
        ConfigError: naming every mistake.
    """
    _refuse_strange(tables, HUB_KEYS, _OF_HUB)
    try:
        Settings(**_known(_merged(own, tables)))
    except ValidationError as error:
        raise _config_error(list(_mistakes(error, Path(_OF_HUB)))) from None


def _with_layer(
    loaded: Loaded, document: dict[str, Any], layer: "_Layer"
) -> tuple[Loaded, dict[str, Any]]:
    """Return the settings with a layer of the state folder; where that is broken, without it."""
    path = loaded.settings.paths.state / layer.file
    try:
        chosen = layer.read(path)
        if not chosen:
            return loaded, document
        merged = _merged(document, chosen)
        settings = Settings(**_known(merged))
    except ValidationError as error:
        return loaded.without(
            layer.origin, str(_config_error(list(_mistakes(error, path))))
        ), document
    except ConfigError as error:
        return loaded.without(layer.origin, str(error)), document

    def origin(table: str, key: str, before: Origin) -> Origin:
        if before is Origin.ENVIRONMENT:
            return before
        if key in chosen.get(table, {}):
            return layer.origin
        return before if key in merged.get(table, {}) else Origin.DEFAULT

    origins = {
        table: {key: origin(table, key, before) for key, before in keys.items()}
        for table, keys in loaded.origins.items()
    }
    return replace(loaded, settings=settings, origins=origins), merged


def read_hub_settings(path: Path) -> dict[str, dict[str, Any]]:
    """Return what the hub has set, by table and key; nothing where there is no file.

    Its signature was verified when it came.  The folder's group can put files there, so one counts
    only if the folder's owner, the daemon's user, wrote it and nobody else may.

    Raises:
        ConfigError: it cannot be read, does not count, or holds what a hub cannot set.
    """
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(opened, "rb") as file:
            found, owner = os.fstat(opened), path.parent.stat().st_uid
            is_own = stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid == owner
            if not is_own or found.st_mode & 0o022:
                raise ConfigError(f"{path} was written by somebody else")
            content = file.read(_MOST_HUB_BYTES)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    try:
        tables = json.loads(json.loads(content)["document"])["tables"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ConfigError(f"{path} is damaged") from None
    _refuse_strange(tables, HUB_KEYS, str(path))
    return dict(tables)


def read_page_settings(path: Path) -> dict[str, dict[str, Any]]:
    """Return what people have set on the page, by table and key; nothing where there is no file.

    Raises:
        ConfigError: it cannot be read, or holds what cannot be set there.
    """
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(opened, "rb") as file:
            content = file.read(_MOST_PAGE_BYTES)
    except FileNotFoundError:
        return {}
    except OSError as error:  # a folder, a link, another user's
        raise ConfigError(f"{path}: {error.strerror}") from None
    try:
        document = toml_tables(content.decode())
    except ValueError:
        raise ConfigError(f"{path} is not valid TOML") from None
    _refuse_strange(document, PAGE_KEYS, str(path))
    return document


def _refuse_strange(document: object, keys: Mapping[str, frozenset[str]], place: str) -> None:
    """See that a layer holds nothing but what can be set there.

    Raises:
        ConfigError: it does.
    """
    if not isinstance(document, Mapping):
        raise ConfigError(f"{place} cannot be read")
    for table, values in document.items():
        if not isinstance(values, Mapping):
            known = ", ".join(f"[{name}]" for name in keys)
            raise ConfigError(f"{place}: {table} stands outside of the tables {known}")
        strange = set(values) - keys.get(table, frozenset())
        if strange:
            raise ConfigError(f"{place}: {table}.{min(strange)} cannot be set there")


def _placed(path: Path) -> dict[str, dict[str, Any]]:
    """Return the page's settings with the reference picture where it is: in the state folder."""
    chosen, state = read_page_settings(path), path.parent
    tables = {table: dict(values) for table, values in chosen.items()}
    analysis = tables.get("analysis", {})
    if isinstance(analysis.get("reference"), str):  # older versions wrote where it was once
        analysis["reference"] = str(state / Path(analysis["reference"]).name)
    return tables


def _merged(document: Mapping[str, Any], chosen: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    merged = {**document, **{t: {**document.get(t, {}), **v} for t, v in chosen.items()}}
    activity = chosen.get("station", {}).get("activity")
    if activity is not None and activity != document.get("station", {}).get("activity"):
        own = chosen["station"]
        merged["station"] = {
            key: value
            for key, value in merged["station"].items()
            if key in own or key not in _OF_ACTIVITY
        }
    return merged


@dataclass(frozen=True, slots=True)
class _Layer:
    """Settings in the state folder, which go before the file's."""

    file: str
    origin: Origin
    read: Callable[[Path], dict[str, dict[str, Any]]]


_LAYERS = (  # each takes precedence over those above it
    _Layer(HUB_FILE, Origin.HUB, read_hub_settings),
    _Layer(PAGE_FILE, Origin.PAGE, _placed),
)


def effective(settings: Settings) -> dict[str, dict[str, object]]:
    """Return every setting in effect, ready for JSON, with secrets hidden."""
    return {
        table: {key: _shown(value) for key, value in dict(getattr(settings, table)).items()}
        for table in Settings.model_fields
    }


def _shown(value: object) -> object:
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _read(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        if not required and f"{ENV_PREFIX}STATION__ACTIVITY" in os.environ:
            return {}
        raise ConfigError(
            f"no settings: {path} is missing",
            hint=_HOW_TO_MAKE_PLAIN if path == DEFAULT_PATH else _HOW_TO_MAKE.format(path),
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint=how_to_read(path)) from None
    try:
        return toml_tables(content.decode("utf-8-sig"))
    except ValueError as error:
        raise explained_toml(error, path) from None


def toml_tables(text: str) -> dict[str, Any]:
    """Return the tables of a TOML text.

    Raises:
        ValueError: it is none.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # of Python's, with advice for programmers
        raise ValueError("a number has too many digits") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def explained_toml(error: ValueError, path: Path) -> ConfigError:
    """Return why a file is no TOML: as `tomllib` says it, or that it is no UTF-8."""
    if isinstance(error, UnicodeDecodeError):
        return ConfigError(f"{path} is not valid UTF-8", hint="save it as UTF-8")
    table, value = _TWICE.match(str(error)), _VALUE_TWICE.match(str(error))
    if table is not None:
        return ConfigError(
            f"{path}: the table [{table[1]}] is there twice ({table[2]})",
            hint=f"write its settings below the first [{table[1]}], and remove the other one",
        )
    if value is not None:
        return ConfigError(
            f"{path}: a setting is there twice in its table ({value[1]})",
            hint="remove one of the two",
        )
    return ConfigError(f"{path}: {error}", hint=_HOW_TO_WRITE)


def _known(document: Mapping[str, Any], model: type[BaseSettings] = Settings) -> dict[str, Any]:
    """Return the document without the unknown names, which are reported apart."""
    known: dict[str, Any] = {}
    for table, values in document.items():
        if table not in model.model_fields:
            continue
        names = _keys(table, model)
        is_table = isinstance(values, Mapping)
        known[table] = {k: v for k, v in values.items() if k in names} if is_table else values
    return known


def _keys(table: str, model: type[BaseSettings] = Settings) -> list[str]:
    table_model = model.model_fields[table].annotation
    assert isinstance(table_model, type) and issubclass(
        table_model, BaseModel
    )  # every table is one
    return list(table_model.model_fields)


def _prefix(model: type[BaseSettings]) -> str:
    """Return how the variables of a program's settings begin."""
    return model.model_config["env_prefix"]


def _unknown_names(
    model: type[BaseSettings], document: Mapping[str, Any], path: Path
) -> Iterator[str]:
    tables = list(model.model_fields)
    for table, values in document.items():
        if table not in tables and not isinstance(values, Mapping):
            places = [known for known in tables if table in _keys(known, model)]
            below = (
                " or ".join(f"[{place}]" for place in places) or f"a table, such as [{tables[0]}]"
            )
            yield f"{path}: {table} stands outside of any table; it belongs below {below}"
        elif table not in tables:
            yield f"{path}: unknown table [{table}]{_nearest(table, tables)}"
        elif isinstance(values, Mapping):
            keys = _keys(table, model)
            for key in values:
                if key not in keys:
                    yield f"{path}: unknown setting {table}.{key}{_nearest(key, keys)}"


def _origins(document: Mapping[str, Any]) -> dict[str, dict[str, Origin]]:
    environment = _environment_names()

    def origin(table: str, key: str) -> Origin:
        if _is_among(environment, table, key):
            return Origin.ENVIRONMENT
        return Origin.FILE if key in document.get(table, {}) else Origin.DEFAULT

    return {
        table: {key: origin(table, key) for key in _keys(table)} for table in Settings.model_fields
    }


def is_of_environment(table: str, key: str) -> bool:
    """Tell whether the environment decides a setting, whatever any file says."""
    return _is_among(_environment_names(), table, key)


def _environment_names() -> set[str]:
    return {name.upper() for name in os.environ}


def _is_among(environment: set[str], table: str, key: str) -> bool:
    return _variable(table, key) in environment or f"{ENV_PREFIX}{table}".upper() in environment


def _variable(table: str, key: str, prefix: str = ENV_PREFIX) -> str:
    return f"{prefix}{table}__{key}".upper()


def _unknown_variables(model: type[BaseSettings]) -> Iterator[str]:
    prefix = _prefix(model)
    known = {
        _variable(table, key, prefix) for table in model.model_fields for key in _keys(table, model)
    }
    for name in os.environ:
        is_ours = name.startswith(prefix) and "__" in name
        if is_ours and name.upper() not in known:
            yield f"environment: unknown setting {name}{_nearest(name, sorted(known))}"


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    more = " and more" if len(known) > _MOST_KNOWN else ""
    return f"; known: {', '.join(known[:_MOST_KNOWN])}{more}"


def _mistakes(error: ValidationError, path: Path, *, env_prefix: str = ENV_PREFIX) -> Iterator[str]:
    for details in error.errors(include_url=False):
        is_told = (
            details["type"] == "extra_forbidden" and _variable_of(details, env_prefix) in os.environ
        )
        if not is_told:  # by _unknown_variables, with what would be right
            yield _mistake(details, path, env_prefix)


def _place(details: ErrorDetails) -> list[str]:
    return [str(part) for part in details["loc"] if not isinstance(part, int)]


def _variable_of(details: ErrorDetails, env_prefix: str) -> str:
    return f"{env_prefix}{'__'.join(_place(details))}".upper()


def _mistake(details: ErrorDetails, path: Path, env_prefix: str) -> str:
    place, variable = _place(details), _variable_of(details, env_prefix)
    source = f"environment: {variable}" if variable in os.environ else f"{path}: {'.'.join(place)}"
    wanted = _KINDS_WANTED.get(details["type"]) or details["msg"].removeprefix("Value error, ")
    wanted = wanted.replace("Input should be", "must be").replace("{table}", ".".join(place))
    if details["type"] == "missing":
        return f"{source} is missing" if len(place) > 1 else f"{path}: [{place[0]}] is missing"
    given = _as_written(details["input"])
    # Tables and unknown settings may hold a secret that stands in the wrong place.
    is_no_value = len(place) < 2 or given is None or details["type"] == "extra_forbidden"
    if is_no_value:
        return f"{source}: {wanted}"
    return f"{source} = {HIDDEN if place[-1] in _SECRETS else given}: {wanted}"


def _as_written(value: object) -> str | None:
    """Return a wrong value as it stands in the file; None where it is a table or has one."""
    parts = value if isinstance(value, list | tuple) else [value]
    is_plain = all(isinstance(part, str | bool | int | float) for part in parts)
    return toml_value(value) if is_plain else None


def explained(error: ValidationError, path: Path, *, hint: str) -> ConfigError:
    """Return what is wrong with a station's settings that are not in their file yet."""
    return _config_error(list(_mistakes(error, path)), hint=hint)


_EXPLAINED_BY = "every setting is explained by: spotter config --sample"


def _config_error(mistakes: list[str], *, hint: str | None = None) -> ConfigError:
    count = f"{len(mistakes)} mistakes in the settings:\n  " if len(mistakes) > 1 else ""
    return ConfigError(count + "\n  ".join(mistakes), hint=_EXPLAINED_BY if hint is None else hint)
