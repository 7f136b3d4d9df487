"""What somebody is told who may not use the state folder."""

from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.outbox.folders import StateFolder


@pytest.mark.parametrize(
    ("group", "told"),
    [("spotter", "join its group: sudo adduser $(id -un) spotter"), ("root", "use sudo")],
)
def test_nobody_is_told_to_take_the_folder_from_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str, told: str
) -> None:
    folder = StateFolder(tmp_path)
    folder.clips.write_text("in the way")
    monkeypatch.setattr(Path, "group", lambda _path: group)

    with pytest.raises(ConfigError, match=r"paths\.state") as caught:
        folder.prepare()

    assert told in str(caught.value.hint) and "chown" not in str(caught.value.hint)
