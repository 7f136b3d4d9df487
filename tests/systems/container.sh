#!/bin/bash
# The container image and the Compose file, with podman and podman-compose: build, a take from the capture folder and
# one of the recorder delivered, the page from outside, a kill, down and up again with the same data.
#
#   sudo tests/systems/container.sh FOLDER
#
# FOLDER gets the base system, images and volumes (4 GB), kept for the next run.  Needs podman, podman-compose,
# debootstrap, a network, and what `make deb` needs.  No registry of images: the base image is a minimal Debian of
# debootstrap's, under the name that the Containerfile gives it.

set -euo pipefail

suite=bookworm    # the Containerfile's
folder=${1:?"a folder for images, as in: container.sh /var/tmp/roots"}
repository=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/systems/root.sh
. "$repository/tests/systems/root.sh"
# shellcheck source=tests/systems/packaged.sh
. "$repository/tests/systems/packaged.sh"

alone "$@"
root=$folder/container    # its logs are in root/tmp
project=$root/project

# -- the engine ------------------------------------------------------------------------------------

# Images and containers in the folder, with the limits that this box allows.
set_up_engine() {
    mkdir -p "$root/tmp" "$root/podman"
    local files
    files=$(ulimit -Hn)
    cat >"$root/storage.conf" <<WORDS
[storage]
driver = "overlay"
graphroot = "$root/podman/images"
runroot = "$root/podman/run"
WORDS
    cat >"$root/containers.conf" <<WORDS
[containers]
default_ulimits = ["nofile=1024:$files", "nproc=4096:4096"]
WORDS
    export CONTAINERS_STORAGE_CONF=$root/storage.conf CONTAINERS_CONF=$root/containers.conf
    # A box with both hierarchies of control groups: crun takes one of them.
    [ ! -e /sys/fs/cgroup/unified ] || umount /sys/fs/cgroup/unified
    # Bridges and rules for packets are the engine's; in a network of its own they end with this script.
    net=$root/net
    touch "$net"
    unshare --net="$net" ip link set lo up
}
beside() { nsenter --net="$net" "$@"; }

build_image() {
    local began=$SECONDS context=$folder/tree-container
    rm -rf "$context"
    mkdir -p "$context/dist"
    cp -R "$repository/config" "$context/"
    cp "$folder/packages/$built" "$context/dist/"
    podman image exists docker.io/library/debian:bookworm-slim || tar -C "$pristine" --create . |
        podman import --quiet - docker.io/library/debian:bookworm-slim >/dev/null
    podman build --network host --tag spotter -f "$context/config/container/Containerfile" "$context" >"$root/tmp/build.log" 2>&1 ||
        fail "podman build"
    rm -r "$context"
    say "the image is built in $((SECONDS - began)) s: $(podman image inspect --format '{{.Size}}' spotter | awk '{ print int($1 / 1e6) }') MB"
}

# -- the station -----------------------------------------------------------------------------------

make_project() {
    local user
    user=$(beside podman run --rm --entrypoint id spotter -u)
    mkdir -p "$project/spotter"
    cp "$repository/config/container/compose.yaml" "$project/"
    cat >"$project/spotter/station.toml" <<WORDS
[station]
id = "rack-7"
activity = "weightlifting"
exercise = "snatch"
user_id = "someUserId123"
barbell_mass = 60

[api]
base_url = "http://127.0.0.1:$port"

[delivery]
send_delay_s = 0
reconcile_wait_s = 1

[web]
listen = "0.0.0.0:8377"
pin_file = "/etc/spotter/pin"
WORDS
    # Drawn before: drawing live takes more than a busy box has.
    "$repository/.venv/bin/python" -m agent.synthetic --storyboard demo --fps 20 --out "$project/spotter/shown.mp4"
    printf '[camera]\nsource = "/etc/spotter/shown.mp4"\n\n[arm]\nmode = "always"\n\n[files]\nsegment_s = 20\n' >"$project/spotter/recorder-main.toml"
    echo sandbox-key >"$project/spotter/api-key"
    echo 48291377 >"$project/spotter/pin"
    echo token-of-the-recorder >"$project/spotter/recorder-token"
    chown -R "$user" "$project/spotter"
    chmod 400 "$project/spotter"/*
}

compose() { (cd "$project" && beside podman-compose --project-name spotter "$@") >>"$root/tmp/compose.log" 2>&1 || fail "podman-compose $*"; }
in_station() { podman exec "$station" "$@"; }
film_inside() {    # FPS
    in_station /opt/spotter/current/bin/python -I -m agent.synthetic --storyboard demo --fps "$1" --out "/tmp/take-$1.mp4"
    in_station cp "/tmp/take-$1.mp4" /var/lib/spotter/capture/
}
start_api_beside() {    # in the station's own network, outside of its container
    [ -z "${sandbox:-}" ] || end_process "$sandbox"
    mkdir -p "$root/received"
    nsenter --net="/proc/$(podman inspect --format '{{.State.Pid}}' "$station")/ns/net" "$repository/.venv/bin/spotter" \
        sandbox --port "$port" --processing 1 --keep "$root/received" >>"$root/tmp/sandbox.log" 2>&1 &
    sandbox=$!
}
find_station() { station=$(podman ps --quiet --filter name=station) && [ -n "$station" ]; }
page_answers() { beside python3 -I -c 'import ssl, urllib.request as web; web.urlopen("https://127.0.0.1:8377/healthz", context=ssl._create_unverified_context(), timeout=20)' 2>/dev/null; }
completed() { in_station spotter outbox list --all --json | python3 -I -c "import json, sys; print(sum(row['state'] == 'completed' for row in json.load(sys.stdin)))"; }
has_completed() { [ "$(completed)" -ge "$1" ]; }
is_at_rest() { in_station spotter outbox list --all --json | python3 -I -c "import json, sys; sys.exit(any(row['state'] not in ('analysed', 'skipped', 'completed') for row in json.load(sys.stdin)))"; }
was_restarted() { find_station && [ "$(podman inspect --format '{{.State.Pid}}' "$station")" != "$killed" ] && page_answers; }
wait_until() {    # WORDS COMMAND...
    local what=$1 tries
    shift
    for tries in $(seq 240); do
        ! "$@" || return 0
        sleep 1
    done
    fail "not after $tries tries: $what: $(podman logs --tail 5 "$station" 2>&1)"
}
each_came_once() {    # by the API's own books
    [ "$(find "$root/received" -type f | wc -l)" -eq "$(grep -o '^session .*\[[a-z0-9]*\]' "$root/tmp/sandbox.log" | cut -d '[' -f 2 | sort -u | wc -l)" ] || fail "a clip came twice"
}
remove_all() {
    beside podman rm --force --all >/dev/null 2>&1 || true
    podman volume rm --all --force >/dev/null 2>&1 || true
}

# -- the course ------------------------------------------------------------------------------------

mkdir -p "$folder/packages"
pristine=$folder/$suite
make_pristine
build_package "$repository"
set_up_engine
remove_all
rm -rf "$project" "$root/received" "$root/tmp"
mkdir -p "$root/tmp"
build_image
port=$(free_port)
make_project
compose up -d station
wait_until "the station runs" find_station
wait_until "the page answers from outside" page_answers
start_api_beside
film_inside 30
wait_until "the first take is delivered" has_completed 1
in_station spotter doctor >"$root/tmp/doctor.log" 2>&1 || fail "the doctor"
podman healthcheck run "$station" >"$root/tmp/health.log" 2>&1 || fail "the health check"
say "up: the page answers over TLS from outside, and a take was delivered"

compose up -d recorder
wait_until "a take of the recorder is delivered" has_completed 2
compose stop recorder
wait_until "all of the recorder's takes are delivered" is_at_rest
say "a take of the recorder's container was delivered"

killed=$(podman inspect --format '{{.State.Pid}}' "$station")
kill -KILL "$killed"
wait_until "the engine started the station again" was_restarted
start_api_beside
known=$(completed)
compose down
compose up -d station
wait_until "the station runs again" find_station
wait_until "the page answers from outside" page_answers
start_api_beside
has_completed "$known" || fail "the outbox is not what it was"
film_inside 25
wait_until "a take after down and up is delivered" has_completed $((known + 1))
wait_until "nothing is under way" is_at_rest
each_came_once
say "killed and started by the engine; down and up: $(completed) clips delivered, each once"
compose down
remove_all
echo "green in containers: image, Compose file, page, take, recorder, kill, down, up"
