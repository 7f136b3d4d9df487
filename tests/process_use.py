"""What a process uses, as /proc has it; source: proc(5)."""

import os
import re
from pathlib import Path

_TICKS_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Return the processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_S  # utime and stime, counted after the name


def resident_bytes(pid: int) -> int:
    """Return how much of a process is in memory now."""
    return _memory_bytes(pid, "VmRSS")


def peak_bytes(pid: int) -> int:
    """Return how much of a process has been in memory at most."""
    return _memory_bytes(pid, "VmHWM")


def code_bytes(pid: int) -> int:
    """Return how much of what is in memory now are files, which processes share."""
    return _memory_bytes(pid, "RssFile")


def _memory_bytes(pid: int, name: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024
