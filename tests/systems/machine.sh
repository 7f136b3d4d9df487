#!/bin/bash
# The Debian package on a fresh Debian with systemd as process 1: install, set up, deliver, film an RTSP camera with a
# password, a hub beside it, kill, reboot, a power cut in an upgrade, downgrade, remove, purge.
#
#   sudo tests/systems/machine.sh SUITE FOLDER
#
# SUITE is bookworm or trixie; FOLDER gets the disk (4 GB) and the packages.  Needs root, debootstrap, what `make deb` and
# the tests' RTSP server need, and a network; the machine itself has none.  guest.sh says which kind of machine it is.

set -euo pipefail

suite=${1:?"a release of Debian, as in: machine.sh bookworm /var/tmp/roots"}
folder=${2:?"a folder for the disk, as in: machine.sh bookworm /var/tmp/roots"}
repository=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/systems/root.sh
. "$repository/tests/systems/root.sh"
# shellcheck source=tests/systems/packaged.sh
. "$repository/tests/systems/packaged.sh"
# shellcheck source=tests/systems/guest.sh
. "$repository/tests/systems/guest.sh"
readonly camera_password=word-of-the-camera

alone "$@"
check_tools

# -- what is outside the machine -------------------------------------------------------------------

start_api() {
    beside "$repository/.venv/bin/spotter" sandbox --port "$api" --processing 1 >>"$folder/$suite-sandbox.log" 2>&1 &
    sandbox=$!
}

# What the camera shows.
make_film() {
    "$repository/.venv/bin/python" -m agent.synthetic --storyboard demo --fps 20 --out "$folder/shown.mp4"
}

# Serves one take to anybody who asks and knows the password.
start_camera() {
    (cd "$repository" && beside .venv/bin/python -c "
import sys, threading
from pathlib import Path
from tests.rtsp import rtsp_server
with rtsp_server(Path(sys.argv[1]), port=int(sys.argv[2]), password=sys.argv[3]):
    threading.Event().wait()" "$folder/shown.mp4" "$camera" "$camera_password") >"$folder/$suite-camera.log" 2>&1 &
}

# -- what is asked of the machine ------------------------------------------------------------------

# As a camera program does, in the time that a recording takes: so its time is known.  Drawn before, so that it is a
# recording's time on a busy box too.
film() {    # FPS: recordings differ by it
    local python="/opt/spotter/current/bin/python -I"
    inside "$python -m agent.synthetic --storyboard demo --fps $1 --out /tmp/take-$1.mp4"
    inside "umask 007; runuser -u spotter -- $python -c '$plays' /tmp/take-$1.mp4 /var/lib/spotter/capture/take-$1.mp4"
}
readonly plays='
import sys, time, av
video = av.open(sys.argv[1])
length_s, began_s = video.duration / 1e6, time.monotonic()
content = open(sys.argv[1], "rb").read()
with open(sys.argv[2], "wb", buffering=0) as file:
    for number in range(50):
        file.write(content[number * len(content) // 50 : (number + 1) * len(content) // 50])
        time.sleep(max(0, began_s + length_s * (number + 1) / 50 - time.monotonic()))
'
count_of() { inside spotter outbox list --all --json | python3 -I -c "import json, sys; print(sum(row['state'] == '$1' for row in json.load(sys.stdin)))"; }
is_at_rest() { inside spotter outbox list --all --json | python3 -I -c "import json, sys; sys.exit(any(row['state'] not in ('analysed', 'skipped', 'completed') for row in json.load(sys.stdin)))"; }
has() { [ "$(count_of "$2")" -ge "$1" ]; }    # COUNT STATE
# By the API's own words; a camera that shows its film again gives equal videos, but never equal codes.
were_received() {    # COUNT
    local said
    said=$(grep -o '^session .*\[[a-z0-9]*\]' "$folder/$suite-sandbox.log" | cut -d '[' -f 2)
    [ "$(wc -l <<<"$said")" -eq "$1" ] || fail "the API has $(wc -l <<<"$said") clips, not $1"
    [ "$(sort -u <<<"$said" | wc -l)" -eq "$1" ] || fail "a clip came twice"
}
property() { inside systemctl show --property "$2" --value "$1"; }    # UNIT NAME
is_active() { [ "$(inside systemctl is-active "$1")" = active ]; }
is_new_process() { is_active "$1" && [ "$(property "$1" MainPID)" != "$2" ]; }    # UNIT PID
installed() { inside "dpkg-query --show --showformat='\${db:Status-Status}' spotter-agent" || true; }
runs_version() { [ "$(inside spotter --version)" = "spotter, version $1" ] || fail "$(inside spotter --version) runs, not $1"; }
apt() { inside "DEBIAN_FRONTEND=noninteractive apt-get -y -qq $*" >"$folder/$suite-apt.log" 2>&1 || fail "apt $*: $(tail -n 5 "$folder/$suite-apt.log")"; }
system_runs() {
    [ "$(inside systemctl is-system-running --wait)" = running ] || fail "the system is $(inside systemctl is-system-running): $(inside systemctl --failed --no-legend)"
}
no_failing_check() {
    inside spotter doctor >"$folder/$suite-doctor.log" 2>&1 || fail "the doctor: $(cat "$folder/$suite-doctor.log")"
}
page_answers() {    # PORT
    inside "/opt/spotter/current/bin/python -I -c 'import ssl, urllib.request as web; web.urlopen(\"https://127.0.0.1:$1/healthz\", context=ssl._create_unverified_context(), timeout=20)'"
}

# -- the course ------------------------------------------------------------------------------------

install_and_set_up() {
    seconds=$SECONDS
    apt install "/root/packages/$old"
    seconds=$((SECONDS - seconds))
    runs_version "$earlier"
    say "installed $earlier in $seconds s"
    wait_until "the service is active" is_active spotter
    system_runs
    give /root/station.toml <<WORDS
[station]
id = "any"
activity = "weightlifting"
exercise = "snatch"
user_id = "someUserId123"
barbell_mass = 60

[api]
base_url = "http://127.0.0.1:$api"

[delivery]
send_delay_s = 0
reconcile_wait_s = 1
WORDS
    echo sandbox-key | give /root/api-key
    inside spotter-setup --config /root/station.toml --key-file /root/api-key --station-id machine-1 --page \
        >"$folder/$suite-setup.log" 2>&1 || fail "spotter-setup: $(tail -n 20 "$folder/$suite-setup.log")"
    # The key as a credential alone.
    inside "chown root:root /etc/spotter/api-key && chmod 600 /etc/spotter/api-key && systemctl restart spotter"
    wait_until "the service is active" is_active spotter
    [ "$(property spotter WatchdogUSec)" = 1min ] || fail "no watchdog"
    wait_until "the page answers over TLS" page_answers 8377
    film 30
    wait_until "the first take is delivered" has 1 completed
    were_received 1
    no_failing_check
    system_runs
    say "set up; the first take is delivered with the key as a credential; the doctor finds nothing that fails"
}

film_a_camera() {
    printf '%s\n' "$camera_password" | connect "script --quiet --command 'spotter-setup --camera rtsp://kim@127.0.0.1:$camera/x' /dev/null" \
        >"$folder/$suite-setup.log" 2>&1 || true    # the doctor, before the first picture
    wait_until "the recorder is active" is_active spotter-recorder@main
    [ "$(inside stat --format "'%a %U'" /etc/spotter/camera-password-main)" = "600 root" ] || fail "the camera's password can be read"
    wait_until "the camera's take is delivered" has 2 completed
    inside systemctl disable --now --quiet spotter-recorder@main
    # The camera shows its film again to anybody who comes back.
    wait_until "all of the camera's takes are delivered" is_at_rest
    sent=$(count_of completed)
    were_received "$sent"
    [ "$(inside "journalctl --no-pager; cat /proc/[0-9]*/cmdline" | grep --text --count "$camera_password")" = 0 ] || fail "the camera's password is in the journal, or in the list of processes"
    say "a take of an RTSP camera with a password is filmed and delivered"
}

measure_isolation() {
    local unit
    for unit in spotter spotter-recorder@main spotter-hub; do
        say "$(inside "systemd-analyze security --no-pager $unit" | tail -n 1)"
    done
}

join_a_hub() {
    local link
    give /etc/spotter/hub.toml <<'WORDS'
[hub]
site = "gym-1"
listen = "127.0.0.1:4222"
address = "127.0.0.1:4222"
WORDS
    inside systemctl enable --now --quiet spotter-hub
    wait_until "the hub is active" is_active spotter-hub
    link=$(inside spotter hub invite machine-1 | grep -o "spotter-join://[^ ']*" | head -n 1)
    echo "$link" | connect runuser -u spotter -- spotter join - >/dev/null
    wait_until "the station is on the hub's page" in_the_hub
    inside spotter hub doctor >"$folder/$suite-hub.log" 2>&1 || fail "the hub's doctor: $(cat "$folder/$suite-hub.log")"
    say "a hub runs beside the station, which has joined it"
}
in_the_hub() { [ "$(inside spotter hub stations --json | grep --count '"machine-1"')" != 0 ]; }

kill_the_daemon() {
    local unit pid
    for unit in spotter spotter-hub; do
        pid=$(property "$unit" MainPID)
        inside systemctl kill --kill-whom=main --signal=KILL "$unit"
        wait_until "$unit runs again" is_new_process "$unit" "$pid"
    done
    pid=$(property spotter MainPID)
    inside kill -STOP "$pid"
    wait_until "the watchdog has restarted the daemon" is_new_process spotter "$pid"
    # Not `grep -q`, which ends at the first find: what writes into it then fails, and with it the whole pipe.
    [ "$(inside journalctl --no-pager --unit spotter | grep --count "Watchdog timeout")" != 0 ] || fail "it was not the watchdog"
    system_runs
    say "killed, and stopped for longer than the watchdog waits: the daemon runs again"
}

restart_with_clips() {
    end_process "$sandbox"
    film 25
    wait_until "a clip waits" has 1 ready
    reboot_guest "$api" "$camera"
    wait_until "the service is active" is_active spotter
    wait_until "the hub is active" is_active spotter-hub
    has 1 ready || fail "the clip is gone after the restart"
    system_runs
    say "after a restart of the machine the clip waits, station and hub run"
}

cut_an_upgrade() {
    local after told
    after=$(python3 -I -c "import random; print(random.randint(1, $seconds))")
    inside "systemd-run --quiet --unit upgrade env DEBIAN_FRONTEND=noninteractive dpkg -i /root/packages/$new"
    sleep "$after"
    cut_power
    boot "$api" "$camera"
    told=$(installed)
    wait_until "the service is active" is_active spotter
    inside dpkg --configure -a >"$folder/$suite-apt.log" 2>&1 || [ "$(installed)" = half-installed ] || fail "dpkg --configure -a"
    [ "$(installed) $(inside spotter --version)" = "installed spotter, version $number" ] || apt install "/root/packages/$new"
    runs_version "$number"
    wait_until "the service is active" is_active spotter
    has 1 ready || fail "the clip is gone after the power cut"
    system_runs
    say "the power was cut after $after s of an upgrade (dpkg: $told); $number runs with the clip"
}

go_back_and_deliver() {
    apt install --allow-downgrades "/root/packages/$old"
    runs_version "$earlier"
    film 24
    wait_until "two clips wait" has 2 ready
    start_api
    wait_until "all is delivered" has $((sent + 2)) completed
    were_received $((sent + 2))
    say "back at $earlier; all $((sent + 2)) clips were delivered, each once"
}

remove_and_purge() {
    apt remove spotter-agent
    inside "test ! -e /opt/spotter && test -e /etc/spotter/station.toml && test -e /var/lib/spotter/outbox.db" || fail "what the removal keeps"
    [ -z "$(inside "find /proc -maxdepth 1 -name '[0-9]*' \( -user spotter -o -user spotter-hub -o -user spotter-camera \)")" ] || fail "something runs after the removal"
    system_runs
    apt purge spotter-agent
    inside "test ! -e /etc/spotter && test -e /var/lib/spotter/outbox.db" || fail "what the purge keeps"
    [ -z "$(inside "find /etc/systemd/system -name '*spotter*'")" ] || fail "units are left"
    system_runs
    say "removed and purged; recordings are kept"
}

mkdir -p "$folder/packages"
rm -f "$folder/$suite-sandbox.log"
build_both
make_film
make_guest "$folder/packages/$old" "$folder/packages/$new"
make_network
api=$(free_port) camera=$(free_port)
start_api
start_camera
boot "$api" "$camera"
system_runs
say "systemd $(inside systemctl --version | awk 'NR == 1 { print $2 }') is process 1 on $(inside uname -r)"
install_and_set_up
film_a_camera
join_a_hub
measure_isolation
kill_the_daemon
restart_with_clips
cut_an_upgrade
go_back_and_deliver
remove_and_purge
inside systemctl poweroff || true
wait "$guest" || true
rm -f "$disk"
remove_groups
echo "green on a fresh $suite with systemd, in a $kind: install, set up, deliver, camera, hub, kill, reboot, power cut, downgrade, remove, purge"
