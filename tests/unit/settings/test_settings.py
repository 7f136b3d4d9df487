"""Settings: every mistake at once, each with what would be right."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.disk.state_folder import StateFolder
from agent.errors import ConfigError
from agent.hub.settings import load_hub
from agent.recorder.settings import load_recorder
from agent.settings import effective, load_settings, loaded_settings, read_api_key
from agent.settings.generate import reference_markdown, sample_toml
from agent.settings.load import DEFAULT_PATH, PAGE_FILE, Origin
from agent.settings.model import (
    NO_KEY,
    ApiSettings,
    MqttSettings,
    Settings,
    WebhookSettings,
    WebSettings,
    has_own_key,
    read_mqtt_password,
    read_tap_token,
    read_webhook_secret,
    why_no_key,
    why_no_mqtt_password,
    why_no_tap_token,
    why_no_webhook_secret,
)
from agent.station.page_settings import save_page_secret, save_page_settings
from agent.web.auth import read_pin, why_no_pin
from agent.web.monitoring import read_token, why_no_token
from tests.conftest import REPOSITORY

SMALLEST = '[station]\nactivity = "running"\n'


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "station.toml"
    path.write_text(text)
    return path


def test_the_sample_file_is_what_the_model_says_and_loads(tmp_path: Path) -> None:
    sample = (REPOSITORY / "config" / "station.sample.toml").read_text()

    assert sample == sample_toml(), "run: make sample"
    settings = load_settings(write(tmp_path, sample))
    assert settings.delivery.send_delay_s == 20
    assert settings.capture.settle_unseen_s == 90


def test_the_sample_explains_every_key() -> None:
    for table, values in Settings.model_fields.items():
        assert f"[{table}]" in sample_toml()
        fields = values.annotation.model_fields  # type: ignore[union-attr]  # every table is a model
        for key, key_field in fields.items():
            assert f"{key} = " in sample_toml(), f"{table}.{key}"
            assert key_field.description, f"{table}.{key}"


def test_one_line_is_enough(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, SMALLEST))

    assert settings.station.id
    assert settings.station.unassigned == "hold"


def test_every_mistake_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPOTTER_DELIVERY__SEND_DELAY_S", "soon")
    text = """
    [station]
    activity = "runing"
    barbell_mas = 60
    [capture]
    settle_s = -1
    [delivry]
    send_delay_s = 3
    [api]
    key = 17
    """

    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, text))

    told = str(caught.value)
    assert "6 mistakes" in told
    assert 'station.activity = "runing"' in told and "weightlifting" in told
    assert "unknown setting station.barbell_mas; did you mean barbell_mass?" in told
    assert "capture.settle_s = -1" in told
    assert "unknown table [delivry]; did you mean delivery?" in told
    assert 'SPOTTER_DELIVERY__SEND_DELAY_S = "soon"' in told
    assert "api.key = ********" in told and "= 17" not in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '[station]\nactivity = "weightlifting"',
            "required for weightlifting: snatch, clean or clean_and",
        ),
        ('[station]\nactivity = "jumping"\nexercise = "snatch"', "Countermovement Jump"),
        ('[station]\nactivity = "running"\nbarbell_mass = 60', "cannot be set for running"),
        (f'{SMALLEST}[api]\nbase_url = "http://example.org"', "use https"),
        (f'{SMALLEST}[api]\nbase_url = "ftp://example.org"', "must be an address"),
        (f'{SMALLEST}[web]\nlisten = "0.0.0.0:8377"', "needs pin"),
        (f'{SMALLEST}[paths]\ncapture = "/a"\nstate = "/a/b"', "must not be inside"),
        (f'{SMALLEST}[paths]\ncapture = "/a/tmp"\nstate = "/a"', "must not be inside"),
        (f'{SMALLEST}[paths]\ncapture = "videos"', "absolute"),
        (f'{SMALLEST}[capture]\noriginals = "archive"', "needs archive_dir"),
        (f"{SMALLEST}[disk]\nmin_free_mb = inf", "min_free_mb = inf: must be less"),
        (f'{SMALLEST}[delivery]\nschedule = "Mon = 2Mb/s"', "delivery.schedule.*expected e.g."),
        (
            f'{SMALLEST}[delivery]\nschedule = "50kbit/s"',
            "min_rate_bytes_s.*to 3125 or less",
        ),
        ("[station]", "station.activity is missing"),
        ("", r"\[station\] is missing"),
        (f"{SMALLEST}[web]\n[station]\n", r"table \[station\] is there twice \(at line"),
        ("activity = running", "line 1"),
        (f'activity = "running"\n{SMALLEST}', r"activity .* belongs below \[station\]"),
        (f"port = 7\n{SMALLEST}", r"port stands outside .* below \[mqtt\]"),
    ],
)
def test_a_wrong_setting_says_what_would_be_right(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_settings(write(tmp_path, text))


def test_a_file_that_cannot_be_looked_at_is_a_mistake_like_another(tmp_path: Path) -> None:
    """A name that is too long stands for a closed folder: root may enter every one."""
    text = SMALLEST + f'[analysis]\nmodel = "/{"x" * 300}"\n'

    with pytest.raises(ConfigError, match=r"analysis.model.*cannot be looked at"):
        load_settings(write(tmp_path, text))


def test_the_environment_goes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPOTTER_API__BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SPOTTER_STATION__USER_ID", "from-the-environment")

    settings = load_settings(write(tmp_path, SMALLEST + 'user_id = "from-the-file"\n'))

    assert settings.api.base_url == "http://127.0.0.1:9"
    assert settings.station.user_id == "from-the-environment"


def test_the_environment_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPOTTER_STATION__ACTIVITY", "running")

    assert load_settings(None).station.activity == "running"


def test_a_misspelt_variable_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPOTTER_API__BASEURL", "x")

    with pytest.raises(ConfigError, match="did you mean SPOTTER_API__BASE_URL") as caught:
        load_settings(write(tmp_path, SMALLEST))
    assert "mistakes" not in str(caught.value), "told once"


_LOADED: dict[Callable[[Path], object], str] = {
    load_settings: SMALLEST,
    load_hub: '[hub]\nsite = "gym-1"\n',
    load_recorder: '[camera]\nname = "main"\nsource = "test:"\n',
}


@pytest.mark.parametrize(
    ("load", "variable", "told"),
    [
        (load_settings, "SPOTTER_NOPE__LEVEL", "did you mean SPOTTER_LOG__LEVEL?"),
        (load_settings, "SPOTTER_WEB__LISTN", "did you mean SPOTTER_WEB__LISTEN?"),
        (load_hub, "HUB_LOGS__LEVEL", "did you mean HUB_LOG__LEVEL?"),
        (load_hub, "HUB_WEB__LISTN", "did you mean HUB_WEB__LISTEN?"),
        (load_recorder, "RECORDER_FILE__CAPTURE", "did you mean RECORDER_FILES__CAPTURE?"),
        (load_recorder, "RECORDER_CAMERA__SORCE", "did you mean RECORDER_CAMERA__SOURCE?"),
    ],
)
def test_an_unknown_variable_is_a_mistake_of_every_program(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    load: Callable[[Path], object],
    variable: str,
    told: str,
) -> None:
    path = write(tmp_path, _LOADED[load])
    load(path)
    monkeypatch.setenv(variable, "sk-secret")

    with pytest.raises(ConfigError, match=f"environment: unknown setting {variable}; ") as caught:
        load(path)

    assert told in str(caught.value) and caught.value.hint
    assert "sk-secret" not in str(caught.value) and "mistakes" not in str(caught.value)


def test_the_environment_of_a_hub_and_a_recorder_goes_before_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_HUB__SITE", "gym-2")
    monkeypatch.setenv("RECORDER_CAMERA__RATE", "25")

    assert load_hub(write(tmp_path, _LOADED[load_hub])).hub.site == "gym-2"
    recorder = load_recorder(write(tmp_path, _LOADED[load_recorder]))
    assert (recorder.camera.rate, recorder.camera.name) == (25, "main")


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path / "none.toml")

    assert "none.toml is missing" in str(caught.value)
    assert f"spotter init --config {tmp_path}/none.toml" in str(caught.value.hint)


def test_missing_settings_of_a_hub_say_where_they_are_explained(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"no settings of a hub: .*none.toml is missing"
    ) as caught:
        load_hub(tmp_path / "none.toml")

    assert "docs/facility.md" in str(caught.value.hint) and "--config" in str(caught.value.hint)


def test_the_services_settings_are_made_by_the_command_that_makes_them_usable_to_it() -> None:
    if DEFAULT_PATH.exists():
        pytest.skip("this machine is a station")
    with pytest.raises(ConfigError) as caught:
        load_settings(DEFAULT_PATH)

    assert "sudo spotter init --system" in str(caught.value.hint)
    assert f"--config {DEFAULT_PATH}" not in str(caught.value.hint)


def test_a_file_that_is_no_text_says_so(tmp_path: Path) -> None:
    file = tmp_path / "station.toml"
    file.write_bytes(b"\xff\xfe[\0s\0")  # as an editor of another system may save it

    with pytest.raises(ConfigError, match="not valid UTF-8"):
        load_settings(file)


def test_an_unknown_table_is_told_every_one_that_there_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, SMALLEST + "[foo]\na = 1\n"))

    assert ", ".join(Settings.model_fields) in str(caught.value)


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, SMALLEST + '[api]\nkey = "very-secret"\n'))

    shown = json.dumps(effective(settings)) + repr(settings) + str(settings)

    assert "very-secret" not in shown


def test_the_key_is_read_anew_every_time(tmp_path: Path) -> None:
    key_file, credentials = tmp_path / "key", tmp_path / "credentials"
    settings = load_settings(
        write(tmp_path, f"{SMALLEST}[api]\nkey_file = {json.dumps(str(key_file))}\n")
    ).api
    credentials.mkdir()
    (credentials / "api-key").write_text("from-systemd\n")
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}

    assert read_api_key(settings, {}) is None
    assert read_api_key(settings, environ) == "from-systemd"
    key_file.write_text("  first\n")
    assert read_api_key(settings, environ) == "first"
    key_file.write_text("renewed")
    assert read_api_key(settings, environ) == "renewed"
    key_file.write_text("")
    assert read_api_key(settings, {}) is None


@pytest.mark.parametrize(
    "content",
    [
        b"sk-0123456789abcdef\r\n",
        b"\xef\xbb\xbfsk-0123456789abcdef\r\n",
        b"\n\r\n  sk-0123456789abcdef \t \n\n",
        "sk-0123456789abcdef\r\n".encode("utf-16"),
    ],
    ids=["windows", "mark", "blank-lines", "utf-16"],
)
def test_what_editors_leave_around_a_secret_does_no_harm(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)

    values = [
        read_api_key(ApiSettings(key_file=file), {}),
        read_webhook_secret(WebhookSettings(secret_file=file), {}),
        read_mqtt_password(MqttSettings(password_file=file), {}),
        read_tap_token(WebSettings(tap_token_file=file), {}),
        read_token(WebSettings(metrics_token_file=file)),
        read_pin(WebSettings(pin_file=file)),
    ]

    assert values == ["sk-0123456789abcdef"] * 6
    assert why_no_key(ApiSettings(key_file=file), {}) == NO_KEY


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            b"first-0123456789\nsecond-0123456789\n",
            "2 lines in {file}, which must hold the {name} ",
        ),
        (
            b"first-\xff0123456789",
            "bytes that are not text in {file}, which must hold ",
        ),
        (b"first-\x07012345678\xc3\xbc", "no {name} in {file}, which must hold "),
    ],
    ids=["lines", "binary", "signs"],
)
def test_what_is_wrong_with_a_secrets_file_is_said_without_the_secret(
    tmp_path: Path, content: bytes, words: str
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    web = WebSettings(tap_token_file=file, metrics_token_file=file, pin_file=file)
    api, webhook = ApiSettings(key_file=file), WebhookSettings(secret_file=file)
    mqtt = MqttSettings(password_file=file)
    credentials = {"CREDENTIALS_DIRECTORY": str(tmp_path / "none")}

    found = {
        "API key": (read_api_key(api, credentials), why_no_key(api, credentials)),
        "webhook secret": (read_webhook_secret(webhook, {}), why_no_webhook_secret(webhook, {})),
        "MQTT password": (read_mqtt_password(mqtt, {}), why_no_mqtt_password(mqtt, {})),
        "token": (read_tap_token(web, {}), why_no_tap_token(web, {})),
        "PIN": (read_pin(web), why_no_pin(web)),
    }
    of_metrics = (read_token(web), why_no_token(web))

    for name, (value, why) in [*found.items(), ("token", of_metrics)]:
        assert value is None and str(why).startswith(words.format(file=file, name=name))
        assert not any(part in str(why) for part in ("first", "second", "0123"))


def test_a_secrets_file_that_cannot_be_read_is_not_said_to_be_missing(tmp_path: Path) -> None:
    assert why_no_key(ApiSettings(key_file=tmp_path / "none"), {}) == NO_KEY
    told = why_no_key(ApiSettings(key_file=tmp_path), {})
    assert told == f"no access to {tmp_path}, Is a directory"


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("SPOTTER_API", "sk-secret", "SPOTTER_API: must be a table"),
        ("SPOTTER_WEB", '{"pin": "sk-secret"', "SPOTTER_WEB: must be a table"),
        ("SPOTTER_WEB__HOSTS", "a,b", 'SPOTTER_WEB__HOSTS = "a,b": must be a list, in [ ]'),
    ],
)
def test_a_variable_that_is_no_json_is_one_of_the_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, SMALLEST))

    assert words in str(caught.value) and "sk-secret" not in str(caught.value)


def test_a_variable_of_a_hub_is_named_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_WEB__LISTEN", "8378")

    with pytest.raises(ConfigError) as caught:
        load_hub(write(tmp_path, '[hub]\nsite = "gym-1"\n[web]\nunit = "st"\n'))

    assert 'web.unit = "st": must be' in str(caught.value)
    monkeypatch.setenv("HUB_WEB__UNIT", "st")
    with pytest.raises(ConfigError, match="environment: HUB_WEB__UNIT"):
        load_hub(write(tmp_path, '[hub]\nsite = "gym-1"\n'))


@pytest.mark.parametrize(
    ("load", "content", "words"),
    [
        (load_settings, '[[api]]\nkey = "sk-secret"\n', "api: must be a table"),
        (load_settings, '[api]\nkey = {x = "sk-secret"}\n', "api.key: must be text"),
        (load_settings, '[api]\nkeey = "sk-secret"\n', "unknown setting api.keey"),
        (
            load_hub,
            '[hub]\n[api]\nkey = "sk-secret"\n',
            "unknown table [api]; known: hub, web, log",
        ),
        (load_hub, '[hub]\n[web]\npinn = "sk-secret"\n', "web.pinn; did you mean pin?"),
        (load_recorder, '[camera]\n[api]\nkey = "sk-secret"\n', "unknown table [api]"),
        (load_recorder, '[camera]\nsorce = "sk-secret"\n', "camera.sorce; did you mean source?"),
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(
    tmp_path: Path, load: Callable[[Path], object], content: str, words: str
) -> None:
    own = SMALLEST if load is load_settings else ""

    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, own + content))

    assert words in str(caught.value) and "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("station = 3\n", "station: must be a table, as in [station]"),
        (f'{SMALLEST}[web]\nunit = "kg"\nunit = "lb"\n', "a setting is there twice"),
        (f"{SMALLEST}[web]\nunit = {'[' * 5000}\n", "nested too deeply"),
        (f"{SMALLEST}[web]\nunit = {'9' * 5000}\n", "too many digits"),
        (f'{SMALLEST}[api]\nbase_url = "https://[::1"\n', "base_url must be an address"),
        (f'{SMALLEST}[api]\nbase_url = "https://x:port"\n', "base_url must be an address"),
        (f'{SMALLEST}[webhook]\nurl = "https://x:port"\n', "webhook: url must be an address"),
    ],
)
def test_a_mistake_is_named_in_words_of_the_file(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, content))

    assert words in str(caught.value) and "Settings" not in str(caught.value)


@pytest.mark.parametrize("load", [load_settings, load_hub, load_recorder])
def test_a_byte_order_mark_does_no_harm_and_another_encoding_is_named(
    tmp_path: Path, load: Callable[[Path], object]
) -> None:
    content = _LOADED[load]
    path = tmp_path / "settings.toml"
    path.write_bytes(b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode())
    load(path)

    path.write_bytes(content.encode("utf-16"))
    with pytest.raises(ConfigError, match="is not valid UTF-8") as caught:
        load(path)
    assert caught.value.hint == "save it as UTF-8"


def test_wrong_settings_end_a_command_with_78_and_no_traceback(tmp_path: Path) -> None:
    path = write(tmp_path, '[station]\nactivity = "rowing"\n')

    done = subprocess.run(
        [sys.executable, "-m", "agent", "status", "--config", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 78
    assert "rowing" in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""


def test_the_sample_command_prints_a_file() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent", "config", "--sample"], capture_output=True, check=True
    )

    assert tomllib.loads(done.stdout.decode())["station"]["activity"] == "weightlifting"


def test_each_value_says_where_it_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "station.toml"
    path.write_text('[station]\nactivity = "running"\n[capture]\nsettle_s = 3\n')
    monkeypatch.setenv("SPOTTER_CAPTURE__RESCAN_S", "7")

    loaded = loaded_settings(path)

    origins = loaded.origins["capture"]
    assert (loaded.settings.capture.settle_s, loaded.settings.capture.rescan_s) == (3, 7)
    told = [str(origins[key]) for key in ("settle_s", "rescan_s", "originals")]
    assert told == ["file", "environment", "default"]


def test_the_reference_is_the_models() -> None:
    assert (REPOSITORY / "docs" / "settings.md").read_text() == reference_markdown()


def with_page(tmp_path: Path, page: str, text: str = SMALLEST) -> Path:
    """Write a station's own file, and what was set on its page."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / PAGE_FILE).write_text(page)
    return write(tmp_path, f'{text}[paths]\nstate = "{tmp_path / "state"}"\n')


def test_what_is_set_on_the_page_goes_before_the_file_and_below_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"{SMALLEST}[analysis]\nzone = [[0.0, 0.0], [0.5, 1.0]]\nposter = false\n"
    path = with_page(tmp_path, "[analysis]\nzone = [[0.2, 0.0], [0.8, 1.0]]\n", text)

    loaded = loaded_settings(path)
    assert loaded.settings.analysis.zone == ((0.2, 0.0), (0.8, 1.0))
    assert not loaded.settings.analysis.poster  # of the same table
    assert loaded.origins["analysis"]["zone"] == "page"
    assert loaded.origins["analysis"]["poster"] == "file"

    monkeypatch.setenv("SPOTTER_ANALYSIS__ZONE", "[[0.1, 0.1], [0.9, 0.9]]")
    again = loaded_settings(path)
    assert again.settings.analysis.zone == ((0.1, 0.1), (0.9, 0.9))
    assert again.origins["analysis"]["zone"] == "environment"


@pytest.mark.parametrize(
    ("page", "why"),
    [
        ("[analysis\n", "not valid TOML"),
        ("[analysis]\nzone = [[2.0, 0.0], [0.8, 1.0]]\n", "analysis.zone"),
        ('[api]\nbase_url = "https://evil.example"\n', "api.base_url cannot be set there"),
        ('[analysis]\nmodel = "/tmp/model"\n', "analysis.model cannot be set there"),
        ('[station]\nexercise = "waltz"\n', "station: unknown exercise 'waltz'"),
        ("zone = 3\n", "zone stands outside of the tables [analysis], [station], [web]"),
        ("\xff", "not valid TOML"),
        (f"zone = {'[' * 5000}", "not valid TOML"),  # where tomllib has errors of its own
        (f"zone = {'9' * 5000}", "not valid TOML"),
    ],
)
def test_a_broken_file_of_the_page_never_takes_a_station_down(
    tmp_path: Path, page: str, why: str
) -> None:
    loaded = loaded_settings(with_page(tmp_path, page))

    assert loaded.settings.analysis.zone == () and loaded.settings.api.base_url != page
    assert why in loaded.rejected[Origin.PAGE]
    assert str(tmp_path / "state" / PAGE_FILE) in loaded.rejected[Origin.PAGE]


def test_another_activity_of_the_page_leaves_what_the_file_says_of_its_own(tmp_path: Path) -> None:
    text = (
        '[station]\nid = "s"\nactivity = "weightlifting"\nexercise = "snatch"\nbarbell_mass = 60\n'
    )
    path = with_page(tmp_path, '[station]\nactivity = "running"\nname = "Track"\n', text)

    loaded = loaded_settings(path)

    station = loaded.settings.station
    assert not loaded.rejected and (station.id, station.name) == ("s", "Track")
    assert (station.activity, station.exercise, station.barbell_mass) == ("running", None, None)
    told = [loaded.origins["station"][key] for key in ("id", "activity", "exercise")]
    assert told == ["file", "page", "default"]


def test_a_secret_of_the_page_counts_only_as_the_folders_owner_wrote_it(tmp_path: Path) -> None:
    path = with_page(tmp_path, "", f'{SMALLEST}[api]\nkey_file = "{tmp_path / "key"}"\n')
    api = load_settings(path).api
    kept = api.page_key_file
    assert kept is not None and read_api_key(api, {}) is None
    save_page_secret(kept, "of-the-page")
    assert read_api_key(api, {}) == "of-the-page" and not has_own_key(api, {})

    kept.chmod(0o660)  # others may have written it
    assert read_api_key(api, {}) is None
    kept.chmod(0o600)
    if os.geteuid() == 0:  # who else could give it away
        os.chown(kept, 12345, -1)
        assert read_api_key(api, {}) is None
        os.chown(kept, 0, -1)
    other = tmp_path / "other"
    other.hardlink_to(kept)
    assert read_api_key(api, {}) is None
    other.unlink()
    assert read_api_key(api, {}) == "of-the-page"
    (tmp_path / "key").write_text("of-the-box\n")
    assert read_api_key(api, {}) == "of-the-box" and has_own_key(api, {})


def test_no_link_of_the_state_folder_is_followed(tmp_path: Path) -> None:
    path = with_page(tmp_path, "")
    page = tmp_path / "state" / PAGE_FILE
    page.unlink()
    page.symlink_to(path)

    assert "symbolic links" in loaded_settings(path).rejected[Origin.PAGE]


def test_what_is_set_on_the_page_is_kept_beside_what_was_set_before(tmp_path: Path) -> None:
    path = with_page(tmp_path, '[analysis]\nreference = "/where/it/was/reference.jpg"\n')
    folder = StateFolder(tmp_path / "state")
    folder.prepare()
    reference = folder.reference  # wherever a backup was taken, and nowhere else
    reference.write_bytes(b"")

    save_page_settings(folder, {"analysis": {"zone": ((0.25, 0.0), (0.75, 1.0))}})
    found = load_settings(path).analysis
    assert (found.zone, found.reference) == (((0.25, 0.0), (0.75, 1.0)), reference)

    save_page_settings(folder, {"analysis": {"zone": None}})
    assert load_settings(path).analysis.zone == ()
    assert load_settings(path).analysis.reference == reference

    (folder.root / PAGE_FILE).write_text("[analysis\n")
    save_page_settings(folder, {"analysis": {"zone": ()}})
    assert not loaded_settings(path).rejected
    assert (folder.set_aside / PAGE_FILE).read_text() == "[analysis\n"
