"""Which mount a folder is on, and whether one is missing."""

import json
from pathlib import Path

from agent.disk.mounts import (
    MountMemory,
    Mounts,
    mount_point_of,
    mount_points_in,
    mounted_now,
    mounts_in,
    unescaped,
)
from agent.disk.state_folder import StateFolder

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


# As the service of a Debian 12 sees it: /var/lib/spotter is no disk, /mnt/usb is one, and
# /mnt/gone would be.  systemd shows all three by mounts onto themselves.
SEEN_BY_THE_SERVICE = """\
253 220 254:0 / / ro,nosuid,relatime shared:120 master:1 - ext4 /dev/vda rw
267 253 254:0 /var/lib/spotter /var/lib/spotter rw,nosuid shared:156 master:1 - ext4 /dev/vda rw
265 253 254:0 /tmp/systemd-private-cafa/tmp /tmp rw,nosuid shared:154 master:1 - ext4 /dev/vda rw
300 253 8:1 / /mnt/usb ro,nosuid shared:160 master:2 - ext4 /dev/sda1 rw
301 300 8:1 / /mnt/usb rw,nosuid shared:161 master:2 - ext4 /dev/sda1 rw
302 253 254:0 /mnt/gone /mnt/gone rw,nosuid shared:162 master:1 - ext4 /dev/vda rw
"""


def test_what_systemd_mounts_onto_itself_is_no_disk() -> None:
    own_tmp = Path("/tmp")
    assert set(mounts_in(SEEN_BY_THE_SERVICE)) == {Path("/"), Path("/mnt/usb"), own_tmp}


def test_a_disk_that_is_mounted_while_the_service_runs_is_seen_by_it() -> None:
    later = "303 302 8:17 / /mnt/gone rw shared:170 master:9 - ext4 /dev/sdb1 rw\n"
    assert Path("/mnt/gone") in mounts_in(SEEN_BY_THE_SERVICE + later)


def test_a_folder_shown_at_another_place_is_a_mount() -> None:
    bound = "304 253 254:0 /srv/films /mnt/films rw - ext4 /dev/vda rw\n"
    assert Path("/mnt/films") in mounts_in(SEEN_BY_THE_SERVICE + bound)


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


def test_what_was_on_the_disk_of_the_system_misses_no_mount(tmp_path: Path) -> None:
    """So the memory of a version that took systemd's mount of the state folder for a disk."""
    folder = StateFolder(tmp_path)
    folder.prepare()
    told = {"folder": str(tmp_path), "mount_point": str(tmp_path), "apart_from_root": False}
    (tmp_path / "mounts.json").write_text(json.dumps(told))

    assert MountMemory(folder, tmp_path).missing() is None


def test_a_memory_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.prepare()
    (tmp_path / "mounts.json").write_text('["torn"')

    assert MountMemory(folder, tmp_path).missing() is None
