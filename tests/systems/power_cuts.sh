#!/bin/bash
# A station whose power is cut while it is upgraded and delivers, repeatedly: it starts each time, and every clip
# is delivered once.
#
#   sudo tests/systems/power_cuts.sh SUITE FOLDER [CUTS] [SEED]
#
# SUITE is bookworm or trixie; FOLDER gets the system (4 GB) and the packages.  CUTS (10) is how many; SEED (1) chooses
# the moments.  Needs root, debootstrap, loop devices, a network, and what `make deb` needs.
#
# A round cuts one station up to four times: its update, and then what a person does to end it, as long as it has not
# ended.  After each cut the station must start by itself; at the end of a round the new version runs, the doctor finds
# nothing new, and every clip was delivered once.
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
readonly clips=3 most_in_a_row=4

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

# The daemon and the installation, or what a person does to end one, in processes that die with the first of them.
begin_upgrade() {
    rm -f "$root/tmp/upgrade.code" "$root/tmp/daemon.code"
    # shellcheck disable=SC2016  # the inner shell's own
    unshare --pid --fork --kill-child chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
        /bin/sh -c '{ setpriv --reuid spotter --regid spotter --init-groups spotter run --config "$1" >>/tmp/daemon.log 2>&1
                echo $? >/tmp/daemon.code; } &
            exec >>/tmp/upgrade.log 2>&1
            [ "$3" = first ] || dpkg --configure -a
            [ "$(dpkg-query --show --showformat="\${db:Status-Status} \${Version}" spotter-agent)" = "installed $4" ] || dpkg -i "/packages/$2"
            echo $? >/tmp/upgrade.code; wait' - "$settings" "$new" "$1" "$number" 2>/dev/null &
    station=$!
}
has_ended() { [ -s "$root/tmp/upgrade.code" ]; }

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

# Waits so long, or until the update has ended: where the box has become faster, later moments are within that time.
wait_for_moment() {    # SECONDS first|again
    local began_us=${EPOCHREALTIME//[.,]/} end_us
    end_us=$(awk -v began="$began_us" -v after="$1" 'BEGIN { printf "%.0f", began + after * 1000000 }')
    until has_ended || [ "${EPOCHREALTIME//[.,]/}" -ge "$end_us" ]; do sleep 0.1; done
    if [ "$2" = first ] && has_ended; then latest=$(((${EPOCHREALTIME//[.,]/} - began_us) / 1000000 + 1)); fi
}

# Cuts once; sets `told` to what dpkg then says, `runs` to the version that starts.
cut_once() {    # NUMBER first|again
    local within_s=$latest after delivered
    after=$(python3 -I -c "import random; print(round(random.Random($seed * 100003 + $1).uniform(0.1, $latest), 2))")
    begin_upgrade "$2"
    wait_for_moment "$after" "$2"
    [ ! -e "$root/tmp/daemon.code" ] || fail "the daemon ended before cut $1: $(tail -n 3 "$root/tmp/daemon.log")"
    ! has_ended || [ "$(cat "$root/tmp/upgrade.code")" -eq 0 ] || fail "the update before cut $1: $(tail -n 5 "$root/tmp/upgrade.log")"
    cut_power
    put_up
    told=$(status)
    delivered=$(find "$folder/received-$suite" -type f | wc -l)
    runs=$(within spotter --version | cut -d ' ' -f 3) || fail "no environment after cut $1 at $after s ($told)"
    say "cut $1 ($2) at $after of $within_s s: was $told with $runs, $delivered clips delivered"
}

# As many cuts as one station gets, up to the given number of all.
play_round() {    # FIRST CUT
    local last told runs
    cp --sparse=always "$pristine_disk" "$disk"
    put_up
    limit_uplink "else ${kbit_s}kbit/s"
    start_outer_sandbox
    cut=$1 last=$(($1 + most_in_a_row - 1))
    cut_once "$cut" first
    while [ "$cut" -lt "$cuts" ] && [ "$cut" -lt "$last" ] && [ "$told $runs" != "installed $number" ]; do
        cut=$((cut + 1))
        cut_once "$cut" again
    done
    start_daemon
    end_installation "$new"
    version_is "$number"
    limit_uplink ""
    kill -0 "$daemon" 2>/dev/null || fail "the daemon of $runs did not run after cut $cut ($told)"
    start_again
    check_clips
    [ "$(failing_checks)" = "$failing" ] || fail "the doctor after cut $cut ($told): $(failing_checks)"
    end_process "$daemon"
    end_process "$sandbox"
    put_down
    rounds=$((rounds + 1))
    say "$cut cuts: $number runs, all $clips clips delivered once"
}

# How long an upgrade takes here, and what the doctor says of a station without systemd.
measure() {
    local began
    cp --sparse=always "$pristine_disk" "$disk"
    put_up
    start_outer_sandbox
    began=$(date +%s)
    begin_upgrade first
    until has_ended; do sleep 0.2; done
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
cut=0 rounds=0
while [ "$cut" -lt "$cuts" ]; do play_round $((cut + 1)); done
rm -f "$disk" "$pristine_disk"
echo "green on a fresh $suite: $cuts power cuts in $rounds updates, no station lost, no clip lost or sent twice"
