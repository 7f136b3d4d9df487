#!/bin/bash
# A station whose power is cut while it is upgraded and delivers, again and again: it starts each time, and every clip
# is delivered once.
#
#   sudo tests/systems/power_cuts.sh SUITE FOLDER [CUTS] [SEED]
#
# SUITE is bookworm or trixie; FOLDER gets the system (4 GB) and the packages.  CUTS (10) is how many; SEED (1) chooses
# the moments.  Needs root, debootstrap, loop devices, a network, and what `make deb` needs.
#
# The station is on a disk of its own, ext4 in a file.  The cut is a shutdown of that file system without writing what
# is in memory, and the death of every process at once; the next start replays the disk's journal.  The daemon delivers
# three clips to the sandbox outside meanwhile, over a slow uplink: the station's own limit, since what a kernel has in its
# buffers leaves the station after such a cut, but not after a real one.  systemd does not run inside: machine.sh has it.

set -euo pipefail

suite=${1:?"a release of Debian, as in: power_cuts.sh bookworm /var/tmp/roots"}
folder=${2:?"a folder for the system, as in: power_cuts.sh bookworm /var/tmp/roots"}
cuts=${3:-10}
seed=${4:-1}
repository=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/systems/root.sh
. "$repository/tests/systems/root.sh"
# shellcheck source=tests/systems/packaged.sh
. "$repository/tests/systems/packaged.sh"
readonly clips=3

alone "$@"

# -- the disk --------------------------------------------------------------------------------------

put_up() {
    mount -o loop "$disk" "$root"
    mount -t proc proc "$root/proc"
    mount --bind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    mount --bind "$folder/packages" "$root/packages"
}

# What was killed may take a moment to let go.
put_down() {
    local tries
    for tries in $(seq 300); do
        ! umount --recursive "$root" 2>/dev/null || return 0
        sleep 0.1
    done
    fail "$root is still in use"
}

# The old version with clips that wait, on a disk of which every round gets a copy.  The station is set up on that disk:
# the outbox notices where its file is a copy.
make_disk() {
    local fps
    pristine_disk=$folder/$suite-power.img disk=$folder/$suite-power-round.img
    make_root power
    mkdir "$root/packages"
    mount --bind "$folder/packages" "$root/packages"
    install_package "$old"
    umount --recursive "$root/proc" "$root/sys" "$root/dev" "$root/packages"
    rm -f "$pristine_disk" "$disk"
    truncate --size 6G "$disk"
    mkfs.ext4 -q -d "$root" "$disk"
    umount "$root"
    rm -rf --one-file-system "$root"
    mkdir "$root"
    put_up
    set_up_station
    start_daemon
    for fps in 30 25 24; do film "$fps"; done
    wait_for "$clips" ready
    end_process "$daemon"
    put_down
    mv "$disk" "$pristine_disk"
}

# -- one round -------------------------------------------------------------------------------------

# Outside, so that its sessions outlive the station.
start_outer_sandbox() {
    rm -rf "$folder/received-$suite"
    mkdir "$folder/received-$suite"
    "$repository/.venv/bin/spotter" sandbox --port "$port" --processing 1 --keep "$folder/received-$suite" \
        >"$folder/sandbox-$suite.log" 2>&1 &
    sandbox=$!
}

limit_uplink() {    # SCHEDULE; none: no limit
    sed -i "/^schedule = /d; s|^\[delivery\]\$|&\nschedule = \"$1\"|" "$root$settings"
    sync -f "$root$settings"
}

# The daemon and the installation, in processes that die with the first of them.
begin_upgrade() {
    # shellcheck disable=SC2016  # the inner shell's own
    unshare --pid --fork --kill-child chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
        /bin/sh -c 'setpriv --reuid spotter --regid spotter --init-groups spotter run --config "$1" >>/tmp/daemon.log 2>&1 &
            dpkg -i "/packages/$2" >/tmp/upgrade.log 2>&1; echo $? >/tmp/upgrade.code; wait' - "$settings" "$new" 2>/dev/null &
    station=$!
}

# FS_IOC_SHUTDOWN of ext4, without flushing its journal.
lose_memory() {
    python3 -I - "$root" <<'PYTHON'
import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 2))
PYTHON
}

cut_power() {
    lose_memory
    kill -KILL "$station"    # and with it all of its processes
    wait "$station" 2>/dev/null || true
    put_down
}

# Every clip once, by the sandbox's own books and by the station's.
check_clips() {
    local kept=$folder/received-$suite
    wait_for "$clips" completed
    [ "$(find "$kept" -type f | wc -l)" -eq "$clips" ] || fail "the API has $(find "$kept" -type f | wc -l) clips: $(ls "$kept")"
    [ "$(find "$kept" -type f -exec sha256sum {} + | cut -d ' ' -f 1 | sort -u | wc -l)" -eq "$clips" ] || fail "a clip came twice"
}

failing_checks() {
    { within spotter doctor --json 2>/dev/null || true; } | python3 -I -c "
import json, sys
print(sorted({c['name'] for c in json.load(sys.stdin)['checks'] if c['state'] == 'broken'}))"
}

start_again() {
    end_process "$daemon"
    start_daemon
}

try_cut() {    # NUMBER
    local after told runs delivered
    after=$(python3 -I -c "import random; print(round(random.Random($seed * 100003 + $1).uniform(0.1, $latest), 2))")
    cp --sparse=always "$pristine_disk" "$disk"
    put_up
    limit_uplink "else ${kbit_s}kbit/s"
    start_outer_sandbox
    begin_upgrade
    sleep "$after"
    cut_power

    put_up
    told=$(status)
    delivered=$(find "$folder/received-$suite" -type f | wc -l)
    runs=$(within spotter --version | cut -d ' ' -f 3) || fail "no environment after a cut at $after s ($told)"
    start_daemon
    end_installation "$new"
    version_is "$number"
    limit_uplink ""
    kill -0 "$daemon" 2>/dev/null || fail "the daemon of $runs did not run after a cut at $after s ($told)"
    start_again
    check_clips
    [ "$(failing_checks)" = "$failing" ] || fail "the doctor after a cut at $after s ($told): $(failing_checks)"
    end_process "$daemon"
    end_process "$sandbox"
    put_down
    say "cut $1 at $after of $latest s: was $told with $runs, $delivered clips delivered; $number runs, all $clips delivered once"
}

# How long an upgrade takes here, and what the doctor says of a station without systemd.
measure() {
    local began
    cp --sparse=always "$pristine_disk" "$disk"
    put_up
    start_outer_sandbox
    began=$(date +%s)
    begin_upgrade
    while [ ! -s "$root/tmp/upgrade.code" ]; do sleep 0.2; done
    latest=$(($(date +%s) - began + 1))
    version_is "$number"
    failing=$(failing_checks)
    kill -KILL "$station"
    wait "$station" 2>/dev/null || true
    start_daemon
    check_clips
    ! grep -q "outbox copy" "$root/tmp/daemon.log" || fail "the outbox takes itself for a copy"
    # Two clips fill the time of the upgrade.
    kbit_s=$(find "$folder/received-$suite" -type f -printf '%s\n' | awk -v s="$latest" '{ bytes += $1 } END { print int(bytes * 8 / 1000 / 3 * 2 / s) + 1 }')
    end_process "$daemon"
    end_process "$sandbox"
    put_down
    say "an upgrade takes $latest s; the doctor's failures without systemd: $failing"
}

# -- the course ------------------------------------------------------------------------------------

mkdir -p "$folder/packages"
build_both
make_disk
measure
for cut in $(seq "$cuts"); do try_cut "$cut"; done
rm -f "$disk" "$pristine_disk"
echo "green on a fresh $suite: $cuts power cuts during an upgrade, no station lost, no clip lost or sent twice"
