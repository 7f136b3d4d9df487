"""Makes a system call filter as systemd would; run by the system's Python, which has libseccomp.

    filter_builder.py OUT CALL...

Besides the list of calls it holds what MemoryDenyWriteExecute, RestrictAddressFamilies,
RestrictNamespaces, RestrictSUIDSGID, RestrictRealtime and LockPersonality come to.
"""

import errno
import socket
import stat
import sys
from pathlib import Path
from typing import Any

import seccomp  # type: ignore[import-not-found]  # Debian's own

_WRITE, _EXECUTE = 2, 4
_NEW_NAMESPACES = 0x7E020080  # all CLONE_NEW*
_SHM_EXEC = 0o100000
_SET_IDS = stat.S_ISUID | stat.S_ISGID
_SPECIAL = {"socket", "mmap", "mprotect", "pkey_mprotect", "shmat", "clone", "clone3", "unshare"}
_MODES = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2, "mkdir": 1, "mkdirat": 2}
_REFUSED = {"setns", "personality", "sched_setscheduler"}


def build(calls: list[str]) -> Any:
    """Return the filter."""
    made = seccomp.SyscallFilter(defaction=seccomp.ERRNO(errno.EPERM))
    special = _SPECIAL | _MODES.keys() | _REFUSED
    for call in calls:
        if call not in special:
            _allow(made, call)
    masked = seccomp.MASKED_EQ
    for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6):
        _allow(made, "socket", seccomp.Arg(0, seccomp.EQ, family))
    for protection in (0, _WRITE, _EXECUTE):  # never both
        _allow(made, "mmap", seccomp.Arg(2, masked, _WRITE | _EXECUTE, protection))
    for call in ("mprotect", "pkey_mprotect"):
        _allow(made, call, seccomp.Arg(2, masked, _EXECUTE, 0))
    _allow(made, "shmat", seccomp.Arg(2, masked, _SHM_EXEC, 0))
    _allow(made, "clone", seccomp.Arg(0, masked, _NEW_NAMESPACES, 0))
    made.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")  # its flags cannot be inspected
    for call, place in _MODES.items():
        _allow(made, call, seccomp.Arg(place, masked, _SET_IDS, 0))
    return made


def _allow(made: Any, call: str, *arguments: object) -> None:
    try:
        made.add_rule(seccomp.ALLOW, call, *arguments)
    except (RuntimeError, ValueError, OSError):
        print(f"not on this processor: {call}", file=sys.stderr)  # noqa: T201  # a program of its own


if __name__ == "__main__":
    with Path(sys.argv[1]).open("wb") as out:
        build(sys.argv[2:]).export_bpf(out)
