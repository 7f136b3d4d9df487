"""The hardening of a unit without systemd: equal namespaces, filters and limits.

bubblewrap makes the namespaces and takes the capabilities; the system call filter is made from the
unit's own lines by libseccomp, with what systemd adds for its other directives.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import REPOSITORY
from tests.needs import need, need_user_namespaces

_UNIT = REPOSITORY / "systemd" / "spotter.service"
_BUILDER = Path(__file__).with_name("filter_builder.py")
_USER = "990"
_PLACES = (str(REPOSITORY), sys.prefix, sys.base_prefix)


def directives(unit: Path = _UNIT) -> list[tuple[str, str]]:
    """Return the names and values of a unit, in their order."""
    lines = (line.strip() for line in unit.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and line[0] not in "#[")
    return [(name, value) for name, _, value in pairs]


def allowed_calls(unit: Path = _UNIT) -> list[str]:
    """Return the system calls that a unit's filter lets through."""
    allowed: dict[str, None] = {}
    for name, value in directives(unit):
        if name != "SystemCallFilter":
            continue
        calls = {call for word in value.lstrip("~").split() for call in _expanded(word)}
        if value.startswith("~"):
            allowed = {call: None for call in allowed if call not in calls}
        else:
            allowed.update(dict.fromkeys(sorted(calls)))
    return list(allowed)


def _expanded(word: str) -> Iterator[str]:
    if not word.startswith("@"):
        yield word
        return
    analyze = need(Path("/usr/bin/systemd-analyze"), "systemd")
    told = subprocess.run(
        [analyze, "syscall-filter", word], capture_output=True, text=True, check=True
    ).stdout
    for line in told.splitlines()[1:]:
        if (name := line.strip()) and not name.startswith("#"):
            yield from _expanded(name)


def command(scratch: Path, writable: Path, unit: Path = _UNIT) -> list[str]:
    """Return what runs a command as a unit would, with one writable folder."""
    bubblewrap = need(Path("/usr/bin/bwrap"), "bubblewrap")
    need_user_namespaces(bubblewrap)
    program = scratch / "filter.bpf"
    calls = allowed_calls(unit)
    subprocess.run(["/usr/bin/python3", str(_BUILDER), str(program), *calls], check=True)
    inside = [
        *("--unshare-user", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup"),
        *("--uid", _USER, "--gid", _USER, "--cap-drop", "ALL", "--new-session"),
        *("--die-with-parent", "--ro-bind", "/", "/", "--dev", "/dev"),
        *("--tmpfs", "/tmp", "--tmpfs", "/home"),
        # Which may lie in one of them.
        *(word for place in _PLACES for word in ("--ro-bind", place, place)),
        *("--bind", str(writable), str(writable)),
    ]
    opened = 'filter=$1; shift; exec "$@" 9<"$filter"'
    return ["/bin/sh", "-c", opened, "sh", str(program), str(bubblewrap), "--seccomp", "9", *inside]
