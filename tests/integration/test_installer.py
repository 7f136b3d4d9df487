"""The installer, run as root on a system whose changes vanish: in, up to date, back, and away."""

import json
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.needs import need
from tests.planted import plant
from tests.scratch_root import ScratchRoot, locked, release, repack_setuptools, scratch_root

_SETTINGS = "/etc/spotter/station.toml"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release that is installed first."""
    return release(tmp_path_factory.mktemp("first") / "spotter", version="0.1.0")


def version_in(box: ScratchRoot) -> str:
    return box.run("/usr/local/bin/spotter", "--version").strip()


def test_shell_scripts_are_clean() -> None:
    shellcheck = need(Path("/usr/bin/shellcheck"), "shellcheck")
    scripts = [
        path
        for path in (REPOSITORY / "systemd").iterdir()
        if path.is_file()
        and path.read_text(errors="replace").startswith(("#!/bin/sh", "#!/bin/bash"))
    ]
    assert len(scripts) >= 2
    done = subprocess.run([shellcheck, *scripts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_it_installs_all_that_a_station_needs_and_takes_it_away_again(
    first: Path, tmp_path: Path
) -> None:
    with scratch_root(tmp_path / "box") as box:
        refuses_what_is_no_debian(box, first)
        refuses_what_is_not_meant(box, first)
        refuses_what_has_no_systemd(box, first)
        hostile = tmp_path / "hostile"  # where somebody else has planted modules
        hostile.mkdir()
        plant(hostile)
        told = box.run(
            *("env", f"PYTHONPATH={hostile}", "sh", "-c"),
            f"cd {hostile} && umask 077 && exec {first}/systemd/install.sh 2>&1",
            code=1,  # the doctor's: there is no key yet
        )
        assert "sudo nano /etc/spotter/station.toml" in told
        assert ":8377/pair#" in told and "https://" in told  # the set-up in a browser
        assert 'source = "station:"' in box.run("cat", "/etc/spotter/recorder-main.toml")
        assert box.run("cat", "/etc/spotter/recorder-token") not in told
        assert told.rstrip().splitlines()[-1].startswith("Fix this first, API key")
        assert not (hostile / "imported").exists()
        box.run("sh", "-c", f"cd {hostile} && PYTHONPATH={hostile} /usr/local/bin/spotter --help")
        assert not (hostile / "imported").exists()
        assert version_in(box).endswith("0.1.0")
        places = {
            "/etc/spotter": "750 root spotter",
            _SETTINGS: "640 root spotter",
            "/etc/spotter/api-key": "640 root spotter",
            "/etc/spotter/recorder-token": "600 root root",
            "/var/lib/spotter/page-setup": "600 spotter spotter",
            "/var/lib/spotter": "2770 spotter spotter",
            "/var/lib/spotter/capture": "2770 spotter spotter",
            "/var/lib/spotter-hub": "700 spotter-hub spotter-hub",
            "/var/lib/spotter-worker": "700 spotter-worker spotter-worker",
        }
        for place, wanted in places.items():
            assert box.run("stat", "--format", "%a %U %G", place).strip() == wanted
        assert box.run("find", "/opt/spotter", "-perm", "/o+w", "!", "-type", "l") == ""
        assert "spotter" in box.run("id", "--name", "--groups", "spotter-camera").split()
        units = ("spotter.service", "spotter@two.service", "spotter-recorder@main.service")
        for unit in (*units, "spotter-hub.service", "spotter-worker.service"):
            assert box.run("systemd-analyze", "verify", unit) == ""
        told = box.run(*as_spotter("config"))
        assert "weightlifting" in told
        changes_nothing_by_the_same_release(box, first)
        takes_settings_over_without_a_question(box, first, tmp_path)
        kept = "/opt/spotter/current/share/install.sh"
        assert "unpack a release" in box.run(kept, code=1)
        assert "no previous version" in box.run(kept, "--rollback", code=1)
        box.run("useradd", "--groups", "spotter", "kim")
        assert "NOT running" in box.run(*as_user("kim"), "/usr/local/bin/spotter", "status")
        refused = box.run(*as_user("nobody"), "/usr/local/bin/spotter", "status", code=78)
        assert "sudo adduser nobody spotter" in refused

        box.run(kept, "--uninstall")  # as where the release's folder is gone
        box.run("test", "!", "-e", "/opt/spotter")
        box.run("test", "!", "-e", "/etc/systemd/system/spotter.service")
        box.run("test", "-e", _SETTINGS)
        box.run(str(first / "systemd/install.sh"), "--uninstall", "--purge")
        box.run("test", "!", "-e", "/var/lib/spotter")
        assert "spotter" not in box.run("getent", "passwd")


def changes_nothing_by_the_same_release(box: ScratchRoot, source: Path) -> None:
    """A second time, as by a tool that sets boxes up, the version and the settings stay."""
    before = box.run("sh", "-c", _ALL_THAT_IS_SET_UP)
    told = box.run(str(source / "systemd/install.sh"), code=1)  # the doctor's: no key yet
    assert "installed from this release already" in told
    assert "Nothing was changed or restarted" in told
    assert box.run("sh", "-c", _ALL_THAT_IS_SET_UP) == before


def takes_settings_over_without_a_question(box: ScratchRoot, source: Path, folder: Path) -> None:
    """Settings that are not valid are refused, and what was there before is kept beside."""
    installer = str(source / "systemd/install.sh")
    before = box.run("cat", _SETTINGS)
    wrong, right, key = (folder / name for name in ("wrong.toml", "right.toml", "key"))
    wrong.write_text('[station]\nactivity = "swimming"\n')
    right.write_text('[station]\nid = "first"\nactivity = "running"\n')
    key.write_text("sk-secret-of-the-account\n")
    told = box.run(installer, "--config", str(wrong), code=1)
    assert "swimming" in told and "were not installed" in told
    assert box.run("cat", _SETTINGS) == before
    assert "only letters" in box.run(installer, "--station-id", "rack 7", code=1)
    assert "no such file" in box.run(installer, "--key-file", "/nowhere", code=1)

    given = ("--config", str(right), "--key-file", str(key), "--station-id", "rack-7", "--page")
    told = box.run(installer, *given, code=1)  # the doctor's: nothing answers here
    assert "sk-secret" not in told
    assert 'id = "rack-7"' in box.run("cat", _SETTINGS)
    assert 'activity = "running"' in box.run("cat", _SETTINGS)
    assert box.run("cat", f"{_SETTINGS}.before") == before
    assert box.run("cat", "/etc/spotter/api-key") == key.read_text()
    assert box.run("stat", "--format", "%a %G", "/etc/spotter/api-key").strip() == "640 spotter"
    assert "Nothing was changed" in box.run(installer, *given, code=1)
    box.run("sh", "-c", f"mv {_SETTINGS}.before {_SETTINGS}; : >/etc/spotter/api-key")


_ALL_THAT_IS_SET_UP = (
    "find /opt/spotter /etc/spotter -printf '%p %i %T@ %l\\n' | grep -v -e __pycache__ | sort"
)


def refuses_what_is_no_debian(box: ScratchRoot, source: Path) -> None:
    """Another system, or somebody who is not root, is refused before anything is changed."""
    installer = str(source / "systemd/install.sh")
    box.run("mv", "/etc/os-release", "/etc/os-release.own")
    box.run("sh", "-c", "echo ID=fedora >/etc/os-release")
    assert "Raspberry Pi OS is needed; this is fedora" in box.run(installer, code=1)
    box.run("mv", "/etc/os-release.own", "/etc/os-release")
    box.run("test", "!", "-e", "/opt/spotter")
    copy = "/usr/local/install.sh"  # where everybody can reach it
    box.run("install", installer, copy)
    assert f"sudo {copy}" in box.run(*as_user("nobody"), copy, code=1)


def refuses_what_has_no_systemd(box: ScratchRoot, source: Path) -> None:
    """A minimal system is told in one line what it lacks, before anything is changed."""
    lacking = "mkdir /opt/few && for tool in /usr/bin/* /usr/sbin/*; do case $tool in"
    lacking += " *systemctl|*systemd-*) ;; *) ln -s $tool /opt/few/ 2>/dev/null;; esac; done;"
    told = box.run("sh", "-c", f"{lacking} PATH=/opt/few {source}/systemd/install.sh", code=1)
    box.run("rm", "-r", "/opt/few")
    assert "not installed here: systemctl systemd-sysusers systemd-tmpfiles" in told
    assert "command not found" not in told and len(told.splitlines()) == 2


def refuses_what_is_not_meant(box: ScratchRoot, source: Path) -> None:
    """Who asks for a removal, or forgets a word, gets no installation."""
    installer = str(source / "systemd/install.sh")
    assert "--uninstall --purge" in box.run(installer, "--purge", code=1)
    assert "exclude each other" in box.run(installer, "--rollback", "--uninstall", code=1)
    assert "needs a source" in box.run(installer, "--camera", "--page", code=1)
    assert "not a camera" in box.run(installer, "--camera", "video0", code=1)
    box.run("test", "!", "-e", "/opt/spotter")


def as_user(name: str) -> tuple[str, ...]:
    """The words that run a command as a user, with the groups of a fresh login."""
    return ("runuser", "-u", name, "--")


@pytest.mark.soak  # it builds in an environment of its own, from the wheels of the release
def test_the_agent_is_built_by_the_setuptools_that_the_release_names(
    first: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(first, source)
    links = source / "links"
    (source / "wheelhouse").rename(links)
    next(links.glob("spotter_agent-*.whl")).unlink()
    setuptools = repack_setuptools(links)
    with scratch_root(tmp_path / "box") as box:
        where = ("PIP_NO_INDEX=1", f"PIP_FIND_LINKS={links}")
        install = ("env", *where, str(source / "systemd/install.sh"))

        told = box.run(*install, code=1)  # its hash is not the one that the release names
        assert "setuptools, which builds the agent, could not be installed" in told
        box.run("test", "!", "-e", "/opt/spotter/current")

        version = setuptools.name.split("-")[1]
        lock = source / "requirements-build.lock"
        lock.write_text(locked("setuptools", version, setuptools))
        assert "Installed." in box.run(*install, code=1)  # the doctor's: there is no key yet
        assert version_in(box).endswith("0.1.0")
        box.run("test", "!", "-e", "/opt/spotter/current/build")
        box.run("test", "!", "-e", str(source / "build"))


@pytest.mark.soak
def test_an_update_keeps_what_a_person_wrote_and_can_be_taken_back(
    first: Path, tmp_path: Path
) -> None:
    second = release(tmp_path / "second", version="0.2.0")
    with scratch_root(tmp_path / "box") as box:
        box.run(str(first / "systemd/install.sh"), code=1)  # the doctor's: there is no key yet
        box.run("sed", "-i", "s/^exercise = .*/exercise = 'clean'/", _SETTINGS)
        box.run("sh", "-c", _OLD_CAMERA)

        told = box.run(
            *(str(second / "systemd/install.sh"), "--page"),
            *("--camera", "rtsp://u:secret@10.0.0.9/1"),
            code=1,
        )

        assert version_in(box).endswith("0.2.0")
        settings = box.run("cat", _SETTINGS)
        assert "exercise = 'clean'" in settings
        assert settings.count('\nlisten = "0.0.0.0:8377"') == 1
        assert settings.count('\npin_file = "/etc/spotter/pin"') == 1
        pin = box.run("cat", "/etc/spotter/pin").strip()
        assert len(pin) == 8 and pin.isdigit() and pin in told
        assert "\u2584" in told and ":8377/pair#" in told  # the picture to scan, and its address
        of_main, of_side = (f"/etc/spotter/recorder-{name}.toml" for name in ("main", "side"))
        for name in ("recorder-main.toml", "camera-password-main", "camera-password-side"):
            assert (
                box.run("stat", "--format", "%a %U", f"/etc/spotter/{name}").strip() == "600 root"
            )
        assert 'source = "rtsp://u@10.0.0.9/1"\n' in box.run("cat", of_main)
        assert box.run("cat", "/etc/spotter/camera-password-main") == "secret\n"
        assert 'mode = "assigned"' in box.run("cat", of_main) and "secret" not in told
        old = box.run("cat", of_side)
        assert 'mode = "always"' in old and "segment_s = 30.0" in old and "s3cret" not in old
        bound = "/etc/systemd/system/spotter-recorder@side.service.d/mnt.conf"
        assert "BindPaths" in box.run("cat", bound)
        box.run("test", "!", "-e", "/etc/systemd/system/spotter-camera@.service")
        box.run("test", "!", "-e", "/etc/spotter/camera-side.env")

        box.run("sed", "-i", "s/^listen = .*/listen = '0.0.0.0:9000'/", _SETTINGS)
        box.run(str(first / "systemd/install.sh"), "--rollback")
        assert version_in(box).endswith("0.1.0")
        assert "s3cret" in box.run("cat", "/etc/spotter/camera-side.env")
        box.run("test", "-e", "/etc/systemd/system/spotter-camera@.service")
        box.run(str(second / "systemd/install.sh"), "--page", code=1)
        assert box.run("cat", of_side) == old
        assert version_in(box).endswith("0.2.0")
        assert "listen = '0.0.0.0:9000'" in box.run("cat", _SETTINGS)
        box.run(str(first / "systemd/install.sh"), "--rollback")
        assert version_in(box).endswith("0.1.0")


# A version that recorded with ffmpeg, as it was installed, and a camera of it.
_OLD_CAMERA = """
cd /opt/spotter/current/share && touch spotter-camera && chmod +x spotter-camera
cd /etc/systemd/system
echo '[Service]' >spotter-camera@.service
mkdir spotter-camera@side.service.d
echo BindPaths=/mnt/side >spotter-camera@side.service.d/mnt.conf
echo 'SOURCE=http://10.0.0.7/v?usr=kim&pwd=s3cret\nCAPTURE=/mnt/side\nSEGMENT_S=30' \\
    >/etc/spotter/camera-side.env
"""


def one_more_migration(source: Path) -> None:
    """Let a release bring a change of the outbox that this one does not know."""
    package = source / "agent" / "outbox"
    with (package / "schema.py").open("a") as schema:
        schema.write(
            "\n\n@MIGRATIONS()\ndef holograms(db: Database) -> None:\n"
            '    db.execute("ALTER TABLE entry ADD COLUMN hologram TEXT")\n'
        )
    migrate = package / "database_file.py"
    known = '("first_schema", "groups_and_cards", "hub_confirmation")'
    assert migrate.read_text().count(known) == 1
    migrate.write_text(migrate.read_text().replace(known, f'{known[:-1]}, "holograms")'))


_FILL = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(REPOSITORY)!r})
from agent.disk.state_folder import StateFolder
from agent.outbox.outbox import Outbox
from tests.seeded import seed
folder = StateFolder(Path("/var/lib/spotter"))
folder.prepare()
seed(folder.root, entries=5000, waiting=500)
with Outbox.open(folder.root) as outbox:
    files = outbox.files
    for place, rows in (folder.captures, files.captures()), (folder.clips, files.clips()):
        for row in rows:
            (place / row.stored_name).write_bytes(b"x" * row.size_bytes)
"""


# Run the daemon until it says that it runs, as the service would after the update.
_START_ONCE = """
touch /opt/log
setpriv --reuid spotter --regid spotter --init-groups /usr/local/bin/spotter run 2>/opt/log &
until grep -q 'daemon started' /opt/log; do kill -0 $! || { cat /opt/log; exit 1; }; sleep 0.1; done
kill $! && wait $!
"""


@pytest.mark.soak
def test_an_update_with_a_full_outbox_keeps_all_of_it_and_cannot_be_taken_back_by_mistake(
    first: Path, tmp_path: Path
) -> None:
    second = release(tmp_path / "second", version="0.2.0", change=one_more_migration)
    with scratch_root(tmp_path / "box") as box:
        box.run(str(first / "systemd/install.sh"), code=1)  # the doctor's: there is no key yet
        box.run("/opt/spotter/current/bin/python", "-c", _FILL)
        box.run("chown", "-R", "spotter:spotter", "/var/lib/spotter")
        before = counts(box)
        recordings = recordings_in(box)
        assert before == {"ready": 501, "uploaded": 4499} and len(recordings) > 500

        box.run(str(second / "systemd/install.sh"), code=1)
        box.run("sh", "-c", _START_ONCE)

        assert counts(box) == before and recordings_in(box) == recordings
        assert box.run("sh", "-c", "ls /var/lib/spotter").count("outbox.db.before-holograms") == 1
        refused = box.run(str(first / "systemd/install.sh"), "--rollback", code=1)
        assert "nothing was changed" in refused and "newer Spotter" in refused
        assert "would be sent again" in refused
        assert version_in(box).endswith("0.2.0")
        assert counts(box) == before and recordings_in(box) == recordings


def counts(box: ScratchRoot) -> object:
    """How many clips are in each state."""
    return json.loads(box.run(*as_spotter("status", "--json")))["entries"]


def recordings_in(box: ScratchRoot) -> set[str]:
    """Every recording with its size and its time."""
    told = "%p %s %T@\\n"
    folders = ("/var/lib/spotter/captures", "/var/lib/spotter/clips")
    return set(box.run("find", *folders, "-name", "*.mp4", "-printf", told).splitlines())


def as_spotter(*words: str) -> tuple[str, ...]:
    return (*as_user("spotter"), "/usr/local/bin/spotter", *words)


# Tables as people write them: indented, with a comment, with an array whose lines look like tables.
_OF_PEOPLE = """\
[station]
id = "rack-7"
activity = "running"
hours = [
["Mon-Fri 06:00-22:00"],
]

  [ web ]  # the tablet
  listen = "127.0.0.1:8377"  # as before
"""


def test_the_page_is_opened_in_settings_as_people_write_them(tmp_path: Path) -> None:
    with scratch_root(tmp_path / "box") as box:
        write_settings(box, _OF_PEOPLE)
        run_functions(box, 'open_page "$settings"')
        opened = box.run("cat", _SETTINGS)
    assert tomllib.loads(opened)["web"] == {
        "listen": "0.0.0.0:8377",
        "tls": "auto",
        "pin_file": "/etc/spotter/pin",
    }
    assert opened.startswith(_OF_PEOPLE[: _OF_PEOPLE.index("  listen")])


def test_settings_that_would_not_be_valid_do_not_get_their_place(tmp_path: Path) -> None:
    with scratch_root(tmp_path / "box") as box:
        write_settings(box, _OF_PEOPLE)
        told = run_functions(
            box, "runuser() { false; }; open_page_of_station; opens_page || echo as before"
        )
        assert "was not opened" in told and "as before" in told
        assert box.run("cat", _SETTINGS) == _OF_PEOPLE
        box.run("test", "!", "-e", f"{_SETTINGS}.next")


def test_an_unknown_option_is_named() -> None:
    script = REPOSITORY / "systemd/install.sh"
    done = subprocess.run([script, "--pgae"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("install.sh: unknown option --pgae\n")


def write_settings(box: ScratchRoot, settings: str) -> None:
    """Let a station have settings and a PIN."""
    script = "getent group spotter || groupadd --system spotter; mkdir -p /etc/spotter"
    script += f' && echo 123456 >/etc/spotter/pin && printf "%s" "$0" >{_SETTINGS}'
    box.run("sh", "-c", script, settings)


def run_functions(box: ScratchRoot, words: str) -> str:
    """Run functions of the installer, with the option --page."""
    functions = 'source <(sed "/^words=()/,\\$d" "$0"); changed=no page=yes setup=no; '
    return box.run("bash", "-c", functions + words, str(REPOSITORY / "systemd/install.sh"))
