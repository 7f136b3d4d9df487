"""Which mount a folder is on, and whether one is missing."""

from pathlib import Path

from agent.outbox.folders import StateFolder
from agent.outbox.mounts import (
    MountMemory,
    Mounts,
    mount_point_of,
    mount_points_in,
    mounted_now,
    unescaped,
)

FSTAB = """\
# <file system> <mount point> <type> <options>
UUID=1234 / ext4 errors=remount-ro 0 1
/dev/sdb1 /mnt/camera\\040one ext4 nofail 0 2

UUID=5678 none swap sw 0 0
nas:/films /srv/films nfs4 _netdev
"""


def test_the_longest_mount_point_above_a_path_holds_it() -> None:
    mounted = [Path("/"), Path("/mnt"), Path("/mnt/camera")]

    assert mount_point_of(Path("/mnt/camera/in"), mounted) == Path("/mnt/camera")
    assert mount_point_of(Path("/mnt/camera2"), mounted) == Path("/mnt")
    assert mount_point_of(Path("/var"), mounted) == Path("/")


def test_a_file_system_table_is_read() -> None:
    assert mount_points_in(FSTAB) == [Path("/mnt/camera one"), Path("/srv/films")]


def test_blanks_in_names_are_understood() -> None:
    assert unescaped(r"/mnt/a\040b\134c") == "/mnt/a b\\c"


def test_the_root_is_always_mounted() -> None:
    assert Path("/") in mounted_now()


def test_a_mount_is_missing_if_the_settings_or_fstab_name_it(tmp_path: Path) -> None:
    fstab = tmp_path / "fstab"
    fstab.write_text(f"/dev/sdb1 {tmp_path}/usb ext4 nofail 0 2\n")
    inside = tmp_path / "usb" / "capture"

    assert Mounts(fstab=fstab).missing_for(inside) == tmp_path / "usb"
    assert Mounts(fstab=fstab).missing_for(tmp_path / "elsewhere") is None
    assert Mounts([Path("/")], fstab=tmp_path / "none").missing_for(inside) is None
    assert Mounts([tmp_path], fstab=tmp_path / "none").missing_for(inside) == tmp_path


def test_a_folder_that_never_was_on_a_mount_misses_none(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state")
    folder.prepare()
    memory = MountMemory(folder, tmp_path)

    assert memory.missing() is None
    memory.note()

    assert MountMemory(folder, tmp_path).missing() is None
    assert MountMemory(folder, tmp_path / "other").missing() is None


def test_a_memory_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.prepare()
    (tmp_path / "mounts.json").write_text('["torn"')

    assert MountMemory(folder, tmp_path).missing() is None
