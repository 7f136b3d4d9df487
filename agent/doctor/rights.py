"""Whether whoever asks may look into the station at all."""

import os
from pathlib import Path

from agent.doctor.finding import Finding, Patient, broken
from agent.settings.rights import how_to_read

LEFT_OUT = "outbox, records, camera, notices and service are not looked at"


def may_look(state_folder: Path) -> bool:
    """Tell whether this user may read the state folder; one that is not there yet hides nothing."""
    try:
        state_folder.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return os.access(state_folder, os.R_OK | os.X_OK)


def check_rights(patient: Patient) -> list[Finding]:
    """Say what gives this user the right to look; nothing where nothing is closed."""
    root = patient.folder.root
    if may_look(root):
        return []
    return [
        broken(
            "your rights",
            f"this user may not look into {root}: {LEFT_OUT}",
            f"sudo spotter doctor; for good: {how_to_read(root)}",
        )
    ]
