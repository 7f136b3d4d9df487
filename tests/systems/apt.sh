#!/bin/bash
# Updates of a fleet on a fresh minimal Debian: the facility's repository with its two rings, spotter-update with
# versions that fail, that cannot be installed, and that work, and a hub that says which version stations install.
#
#   sudo tests/systems/apt.sh SUITE FOLDER
#
# SUITE is bookworm or trixie; FOLDER gets the system (4 GB), the packages and the repository, kept for the next run.
# Needs debootstrap, reprepro, gpg, a network, and what `make deb` needs.  systemd does not run inside: the script
# starts the daemon as the unit would, and again whenever the package has switched to another version.

set -euo pipefail

suite=${1:?"a release of Debian, as in: apt.sh bookworm /var/tmp/roots"}
folder=${2:?"a folder for the system, as in: apt.sh bookworm /var/tmp/roots"}
repository=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/systems/root.sh
. "$repository/tests/systems/root.sh"
# shellcheck source=tests/systems/packaged.sh
. "$repository/tests/systems/packaged.sh"
readonly first=0.0.5 dies=0.0.6 uninstallable=0.0.7 works=0.0.8
readonly updates=/opt/spotter/update
readonly source_list=/etc/apt/sources.list.d/spotter.sources

alone "$@"

# -- packages and rings ----------------------------------------------------------------------------

# One version whose daemon dies as it starts, one whose script fails half-way, and two that work.
build_packages() {
    local version
    for version in "$first" "$works" "$dies"; do
        copy_tree "$version"
        [ "$version" != "$dies" ] ||
            printf 'def run_station(*_, **__):\n    raise RuntimeError("this version is broken")\n' >>"$tree/agent/daemon/run.py"
        build_package "$tree"
    done
    local raw=$folder/raw
    arch=$(dpkg --print-architecture)
    rm -rf "$raw"
    dpkg-deb --raw-extract "$folder/packages/$(file_of "$works")" "$raw"
    sed -i "s/^Version: .*/Version: $uninstallable/" "$raw/DEBIAN/control"
    sed -i '2i echo "this version cannot be installed" >&2; exit 1' "$raw/DEBIAN/postinst"
    dpkg-deb --root-owner-group -Znone --build "$raw" "$folder/packages/$(file_of "$uninstallable")" >/dev/null
    rm -r "$raw"
}

join_ring() {    # RING [KEY]
    install -D -m 644 "$rings/${2:-spotter}.asc" "$root/etc/apt/keyrings/spotter.asc"
    cat >"$root$source_list" <<WORDS
Types: deb
URIs: http://127.0.0.1:$served
Suites: $1
Components: main
Signed-By: /etc/apt/keyrings/spotter.asc
WORDS
}

# -- the station -----------------------------------------------------------------------------------

# Starts the daemon, and once more whenever it has died or the package has switched to another version.
supervise() {
    local applied
    while :; do
        applied=$(cat "$root/opt/spotter/applied" 2>/dev/null || true)
        start_daemon
        while kill -0 "$daemon" 2>/dev/null && [ "$(cat "$root/opt/spotter/applied" 2>/dev/null || true)" = "$applied" ]; do
            sleep 0.3
        done
        end_process "$daemon"
        sleep 1
    done
}

update() {    # CODE OPTION...
    local code=0 wanted=$1
    shift
    within spotter-update --watch 40 --every 4 "$@" >"$root/tmp/update.log" 2>&1 || code=$?
    [ "$code" -eq "$wanted" ] || fail "spotter-update ended with $code, not $wanted: $(cat "$root/tmp/update.log")"
}
said() { grep -q -- "$1" "$root/tmp/update.log" || fail "spotter-update does not say \"$1\": $(cat "$root/tmp/update.log")"; }
is_unpacking() { [ "$(status)" != installed ]; }
is_pending() { [ -e "$root$updates/pending.json" ]; }
wait_until() {    # COMMAND...
    local tries
    for tries in $(seq 240); do
        ! "$@" || return 0
        sleep 0.5
    done
    fail "not after $tries tries: $*"
}
switched_to() { case $(within readlink /opt/spotter/current) in */"$1"-*) return 0 ;; *) return 1 ;; esac; }    # VERSION
# dpkg's word and the version that runs.
is_at() {    # VERSION
    version_is "$1"
    # shellcheck disable=SC2016  # dpkg-query's own variable
    [ "$(within dpkg-query --show --showformat='${db:Status-Status} ${Version}' spotter-agent)" = "installed $1" ] ||
        fail "dpkg does not have $1"
}
doctor_warns() { { within spotter doctor --json 2>/dev/null || true; } | python3 -I -c "import json, sys; sys.exit(not any(c['name'] == 'update' and '$1' in c['finding'] for c in json.load(sys.stdin)['checks']))"; }

# -- the hub of its facility, beside it ------------------------------------------------------------

# systemd hands a hub its settings, which it may not read itself.
set_up_hub() {
    cat >"$root/etc/spotter/hub.toml" <<WORDS
[hub]
site = "gym-1"
listen = "127.0.0.1:$(free_port)"
[web]
listen = "127.0.0.1:$(free_port)"
WORDS
    install -m 644 "$root/etc/spotter/hub.toml" "$root/tmp/hub.toml"
}
start_hub() {
    in_background hub setpriv --reuid spotter-hub --regid spotter-hub --init-groups \
        /opt/spotter/current/bin/spotter hub run --config /tmp/hub.toml
    hub=$!
    wait_until hub_answers
}
# What a station of the hub says: its own word, as the hub has heard it.
station_tells() {    # EXPRESSION, of `told`
    within spotter hub stations --json 2>/dev/null | python3 -I -c "
import json, sys
told = next((row['told'] for row in json.load(sys.stdin) if row['station'] == 'deb' and row.get('told')), None)
sys.exit(not (told and ($1)))"
}
hub_answers() { [ "$(within spotter hub status 2>/dev/null | grep --count '^broker .*answers')" != 0 ]; }
join_hub() {
    local link
    link=$(within spotter hub invite deb 2>"$root/tmp/invite.log" | grep -o "spotter-join://[^ ']*" | head -n 1)
    echo "$link" | as_spotter spotter join - >"$root/tmp/join.log" 2>&1 || fail "spotter join"
    wait_until station_tells "told['version'] == '$first'"
}
# A release that is wanted is the station's as soon as it says so.
want() {    # EXPRESSION, of `wanted`, then what `spotter hub release` is told
    local expected=$1
    shift
    within spotter hub release "$@" >"$root/tmp/release.log" 2>&1 || fail "spotter hub release $*"
    wait_until station_tells "(wanted := told['release'])['state'] == 'applied' and $expected"
}

# -- the course ------------------------------------------------------------------------------------

mkdir -p "$folder/packages"
make_root apt
build_packages
make_rings
mkdir "$root/packages"
mount --bind "$folder/packages" "$root/packages"
install_package "$(file_of "$first")"
is_at "$first"
[ ! -e "$root/etc/systemd/system/timers.target.wants/spotter-update.timer" ] || fail "the timer is on"
within systemd-analyze verify spotter-update.service spotter-update.timer >"$root/tmp/verify.log" 2>&1 || fail "the units"
update 78
said "which ring"
set_up_station
supervise &
film 30
wait_for 1 ready
say "installed $first from a file; one clip waits, the API is away"

ring add "$folder/packages/$(file_of "$first")"
ring promote
ring add "$folder/packages/$(file_of "$dies")"
join_ring stable
update 0
said "update not needed"
join_ring canary stranger
update 69
said "the ring cannot be read"
is_at "$first"
say "a release in canary does not reach stable; a ring that another key has signed is refused"

join_ring canary
within spotter-update --check >"$root/tmp/update.log"
said "update offered installed=$first offered=$dies"
as_spotter spotter assign guest >/dev/null
update 75
said "an athlete is on the station"
as_spotter spotter "done" >/dev/null
began=$(date +%s)
update 1
said "^update reverted from=$dies to=$first"
said "service"
! grep -q "notification failed" "$root/tmp/update.log" || fail "the notification could not be sent"
is_at "$first"
is_pending && fail "the update is still pending"
doctor_warns "$dies did not work here" || fail "the doctor does not warn"
[ "$(count_state ready)" -eq 1 ] || fail "the clip does not wait any more"
say "$dies was installed, its daemon died, and $first is back after $(($(date +%s) - began)) s with the clip"
update 0
said "update refused version=$dies"

ring add "$folder/packages/$(file_of "$uninstallable")"
update 1
said "the installation failed"
said "^update reverted from=$uninstallable to=$first"
is_at "$first"
say "$uninstallable could not be installed, and $first is back"

ring add "$folder/packages/$(file_of "$works")"
set_up_hub
start_hub
join_hub
want "wanted['hold']" --hold
update 0
said "update held installed=$first offered=$works reason=\"the hub holds updates back"
want "wanted['version'] == '$dies'" "$dies"
update 0
said "update held installed=$first offered=$works reason=\"the hub wants $dies\""
want "wanted['not_before']" "$works" --not-before "$(date --utc --date "2 days" "+%F %R")"
update 0
said "the hub wants $works, later"
is_at "$first"
want "wanted['version'] == '$works' and not wanted['not_before']" "$works"
within spotter-update --check >"$root/tmp/update.log"
said "update offered installed=$first offered=$works"
end_process "$hub"
say "a hub held updates back, wanted a version that the ring does not have, and one for later: nothing was installed"
# Killed in the middle of the installation: first everything, as by a power cut, then it alone while its dpkg works.
setsid chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin spotter-update --watch 600 --every 4 >"$root/tmp/cut.log" 2>&1 &
updater=$!
wait_until is_unpacking
sleep 0.5
kill -KILL -- "-$updater"
wait "$updater" 2>/dev/null || true
cut_at=$(status)
in_background update spotter-update --watch 600 --every 4
updater=$!
wait_until switched_to "$works"
wait_until is_pending
kill -KILL "$updater"
wait "$updater" 2>/dev/null || true    # its dpkg still works
is_pending || fail "nothing is pending after the kill"
update 0
said "update resumed from=$first to=$works"
said "update installed from=$first to=$works"
is_at "$works"
start_hub    # its own environment went with the update
wait_until station_tells "told['version'] == told['release']['version'] == '$works'"
end_process "$hub"
! doctor_warns "did not work here" || fail "the doctor still warns"
start_sandbox
wait_for 1 completed
[ "$(received)" -eq 1 ] || fail "$(received) clips were received"
say "$works was cut off while it was $cut_at, killed once more, resumed and kept; the clip was delivered once"

ring promote
join_ring stable
update 0
said "update not needed installed=$works offered=$works"
ring remove stable
update 0
said "offered=none"
within apt-get purge -y -qq spotter-agent >"$root/tmp/purge.log" 2>&1 || fail "apt purge"
[ ! -e "$root/opt/spotter" ] || fail "/opt/spotter is left"
echo "green on a fresh $suite: rings, signature, update, revert of two broken versions, a hub's word, kill, resume"
