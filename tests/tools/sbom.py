"""The software bill of materials of a release: CycloneDX, of the wheels that its packages hold.

`python -m tests.tools.sbom FOLDER` prints it for the wheels in a folder.
"""

import datetime as dt
import hashlib
import json
import os
import sys
import uuid
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

from agent import __version__

_OWN = "spotter-agent"
_NAMESPACE = uuid.UUID(
    "5f2f7c0e-8a56-4c0f-9a37-2f4a8a9f1d10"
)  # of the serial numbers of these documents


def bill(wheels: list[Path], *, made: dt.datetime) -> dict[str, object]:
    """Return the bill of materials, the same for the same wheels and moment.

    Args:
        wheels: of one release; those of one package for several platforms are one component.
        made: when the release was made.
    """
    components: dict[str, dict[str, object]] = {}
    for wheel in sorted(wheels):
        about = _metadata(wheel)
        name = about["Name"].lower().replace("_", "-")
        purl = f"pkg:pypi/{name}@{about['Version']}"
        component = components.setdefault(purl, _component(name, about, purl))
        hashes = component["hashes"]
        assert isinstance(hashes, list)  # made so below
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        hashes.append({"alg": "SHA-256", "content": digest})
    own = components.pop(f"pkg:pypi/{_OWN}@{__version__}")
    rest = [components[purl] for purl in sorted(components)]
    document: dict[str, object] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {**own, "type": "application"},
        },
        "components": rest,
        "dependencies": [{"ref": own["bom-ref"], "dependsOn": sorted(components)}],
    }
    serial = uuid.uuid5(_NAMESPACE, json.dumps(document, sort_keys=True))
    return {**document, "serialNumber": serial.urn}


def _metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def _component(name: str, about: Message, purl: str) -> dict[str, object]:
    component: dict[str, object] = {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": about["Version"],
        "purl": purl,
        "hashes": [],
    }
    if about["License-Expression"]:
        component["licenses"] = [{"expression": about["License-Expression"]}]
    elif about["License"] and len(about["License"]) < 100:  # some put the whole text there
        component["licenses"] = [{"license": {"name": about["License"]}}]
    else:
        names = [value for value in about.get_all("Classifier", []) if value.startswith("License")]
        component["licenses"] = [
            {"license": {"name": value.rpartition(" :: ")[2]}} for value in names
        ]
    return component


if __name__ == "__main__":
    epoch = float(os.environ.get("SOURCE_DATE_EPOCH") or dt.datetime.now(dt.UTC).timestamp())
    found = list(Path(sys.argv[1]).glob("*.whl"))
    document = bill(found, made=dt.datetime.fromtimestamp(epoch, dt.UTC))
    sys.stdout.write(json.dumps(document, indent=1, sort_keys=True) + "\n")
