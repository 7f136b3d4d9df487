#!/bin/bash
# A station on a weak box: recorder and daemon share a part of one core and the memory of a small box, while a camera
# films a take every minute.  The recorder loses no frame, every take is delivered, each clip once, no analysis is given
# up, and no process is ended for want of memory.
#
#   sudo tests/systems/weak_box.sh FOLDER [MINUTES] [PERCENT] [MEGABYTES]
#
# FOLDER gets film and recordings; MINUTES (10) is how long is filmed, PERCENT (25) the part of a core, MEGABYTES (1024)
# the memory, what the kernel keeps of their files included.  Needs root, for a control group, `make setup`, ffmpeg, and
# the tests' RTSP server.

set -euo pipefail

folder=${1:?"a folder, as in: weak_box.sh /var/tmp/weak"}
minutes=${2:-10}
percent=${3:-25}
megabytes=${4:-1024}
repository=$(cd "$(dirname "$0")/../.." && pwd)
cd "$repository"
readonly spotter=$repository/.venv/bin/spotter python=$repository/.venv/bin/python

[ -n "${SPOTTER_ROOT_INSIDE:-}" ] || exec env SPOTTER_ROOT_INSIDE=1 \
    unshare --mount --pid --fork --kill-child --mount-proc --propagation private "$0" "$@"

say() { echo "$(date +%T) $*"; }
fail() {
    echo "FAILED: $*" >&2
    tail -n 5 "$folder"/*.log >&2 || true
    exit 1
}
free_port() { python3 -I -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Its part of the core is not taken by what else this box does: hence the weight.
make_group() {
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        groups=(/sys/fs/cgroup/spotter-weak)
        told_of_kills=memory.events
        mkdir -p "${groups[@]}"
        echo "$((percent * 1000)) 100000" >"${groups[0]}/cpu.max"
        echo 1000 >"${groups[0]}/cpu.weight"
        echo "${megabytes}M" >"${groups[0]}/memory.max"
        echo 0 >"${groups[0]}/memory.swap.max"
    else
        groups=(/sys/fs/cgroup/cpu/spotter-weak /sys/fs/cgroup/memory/spotter-weak)
        told_of_kills=memory.oom_control
        mkdir -p "${groups[@]}"
        echo 100000 >"${groups[0]}/cpu.cfs_period_us"
        echo "$((percent * 1000))" >"${groups[0]}/cpu.cfs_quota_us"
        echo 10240 >"${groups[0]}/cpu.shares"
        echo "${megabytes}M" >"${groups[1]}/memory.limit_in_bytes"
        echo 0 >"${groups[1]}/memory.swappiness"
    fi
}
# Processes that were ended for want of memory.
were_killed() { sed -n 's/^oom_kill //p' "${groups[-1]}/$told_of_kills"; }

weakly() {    # LOG COMMAND
    local log=$folder/$1.log
    shift
    (for group in "${groups[@]}"; do echo "$BASHPID" >"$group/cgroup.procs"; done; exec "$@") >"$log" 2>&1 &
}

# A minute with one take, repeatedly: what a camera shows.
make_film() {
    local number board
    film=$folder/film-$minutes.mp4
    [ ! -e "$film" ] || return 0
    for board in snatch idle; do
        "$python" -m agent.synthetic --storyboard "$board" --size 1920x1080 --out "$folder/$board.mp4"
    done
    # Rest until the minute is over.
    seconds() { ffprobe -v error -show_entries format=duration -of csv=p=0 "$1"; }
    local rests
    rests=$(awk -v take="$(seconds "$folder/snatch.mp4")" -v rest="$(seconds "$folder/idle.mp4")" 'BEGIN { print int((60 - take) / rest + 0.5) }')
    for ((number = 0; number < minutes; number++)); do
        echo "file '$folder/snatch.mp4'"
        for ((board = 0; board < rests; board++)); do echo "file '$folder/idle.mp4'"; done
    done >"$folder/list"
    ffmpeg -v error -f concat -safe 0 -i "$folder/list" -c copy "$film"
}

settle() {
    cat >"$folder/station.toml" <<WORDS
[station]
id = "weak"
activity = "weightlifting"
exercise = "snatch"
barbell_mass = 60
user_id = "someUserId123"

[paths]
state = "$folder/state"
capture = "$folder/capture"

[api]
base_url = "http://127.0.0.1:$api"
key_file = "$folder/api-key"

[capture]
keep_originals_h = 24

[delivery]
send_delay_s = 0

[web]
listen = ""
WORDS
    echo sandbox-key >"$folder/api-key"
    chmod 600 "$folder/api-key"
    cat >"$folder/recorder-main.toml" <<WORDS
[camera]
source = "rtsp://127.0.0.1:$camera/x"

[arm]
mode = "always"

[files]
capture = "$folder/capture"
segment_s = 60

[station]
socket = "$folder/recorder.sock"
WORDS
    mkdir -p "$folder/capture" "$folder/received" "$folder/state"
    "$spotter" config --check --config "$folder/station.toml" >/dev/null || fail "the settings"
}

start_camera() {
    "$python" -c "
import sys, threading
from pathlib import Path
from tests.rtsp import rtsp_server
with rtsp_server(Path(sys.argv[1]), port=int(sys.argv[2])):
    threading.Event().wait()" "$film" "$camera" >"$folder/camera.log" 2>&1 &
}

frames_of() {    # FILE...
    "$python" -I -c "
import av, sys
print(sum(1 for path in sys.argv[1:] for packet in av.open(path).demux(video=0) if packet.size))" "$@"
}
# Recordings that are not analysed, and clips that are not delivered; of a take across two recordings there are both
# parts, of which the later clip has all.
unfinished() {
    "$spotter" outbox list --all --json --config "$folder/station.toml" | "$python" -I -c "
import json, sys
rows = [row for row in json.load(sys.stdin) if row['state'] != 'discarded' or row['reason'] != 'joined']
print(sum(row['state'] not in ('analysed', 'skipped', 'completed') for row in rows))"
}
received() { find "$folder/received" -type f | wc -l; }
memory_mb() {    # of everything in the group
    local pid
    while read -r pid; do awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup" 2>/dev/null || true; done <"${groups[0]}/cgroup.procs" |
        awk '{ kb += $1 } END { print int(kb / 1024) }'
}

rm -rf "$folder/state" "$folder/capture" "$folder/received"
mkdir -p "$folder"
make_film
api=$(free_port) camera=$(free_port)
settle
make_group
killed_before=$(were_killed)
"$spotter" sandbox --port "$api" --processing 1 --keep "$folder/received" >"$folder/sandbox.log" 2>&1 &
start_camera
weakly doctor "$spotter" doctor --config "$folder/station.toml"
wait $! || true
say "the doctor: $(grep 'analysis self-test' "$folder/doctor.log")"
weakly daemon "$spotter" run --config "$folder/station.toml"
weakly recorder "$spotter" record --config "$folder/recorder-main.toml"
recorder=$!
began=$SECONDS most_mb=0
# The camera would show its film again to a recorder that comes back.
until grep -q "ended the stream" "$folder/recorder.log"; do
    [ $((SECONDS - began)) -lt $((minutes * 90 + 60)) ] || fail "the film does not end"
    now_mb=$(memory_mb)
    [ "$now_mb" -le "$most_mb" ] || most_mb=$now_mb
    sleep 0.3
done
kill "$recorder"
wait "$recorder" || true
filmed=$((SECONDS - began))
until [ "$(unfinished)" -eq 0 ]; do
    [ $((SECONDS - began)) -lt $((minutes * 180 + 300)) ] || fail "$(unfinished) recordings and clips are not done after $((SECONDS - began)) s"
    sleep 2
done
took=$((SECONDS - began - filmed))
clips=$(received)
[ "$clips" -ge "$minutes" ] || fail "$clips clips of $minutes takes"
[ "$(grep -c '^session ' "$folder/sandbox.log")" -eq "$(grep -o '^session .*\[[a-z0-9]*\]' "$folder/sandbox.log" | cut -d '[' -f 2 | sort -u | wc -l)" ] || fail "a clip came twice"
! grep -E 'event="(analysis failed|analysis postponed|self-test failed)"' "$folder/daemon.log" || fail "an analysis was given up"
[ "$(were_killed)" -eq "$killed_before" ] || fail "$(were_killed) processes were ended for want of memory"
mapfile -t recordings < <(find "$folder/state" "$folder/capture" -name '*.mkv' -not -name '.*')
recorded=$(frames_of "${recordings[@]}") shown=$(frames_of "$film")
say "$minutes takes in $minutes min of 1080p30, with $percent % of a core and $megabytes MB: all analysed and delivered, as $clips clips, $took s after the end; $recorded of $shown frames recorded; at most $most_mb MB"
[ "$recorded" -eq "$shown" ] || fail "the recorder lost $((shown - recorded)) frames"
rmdir "${groups[@]}" 2>/dev/null || true
