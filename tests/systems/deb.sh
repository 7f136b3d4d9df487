#!/bin/bash
# The Debian package on a fresh minimal Debian: install, first take delivered, upgrade with a full outbox,
# downgrade, interruptions, remove, reinstall, purge.
#
#   sudo tests/systems/deb.sh SUITE FOLDER [CUTS]
#
# SUITE is bookworm or trixie; FOLDER gets the system (4 GB) and the packages, kept for the next run.  CUTS (6) is
# how many installations are killed half-way.  Needs debootstrap, a network, and what `make deb` needs; systemd does
# not run inside: the script starts and ends the daemon as the unit would.  root.sh says what goes along.

set -euo pipefail

suite=${1:?"a release of Debian, as in: deb.sh bookworm /var/tmp/roots"}
folder=${2:?"a folder for the system, as in: deb.sh bookworm /var/tmp/roots"}
cuts=${3:-6}
repository=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/systems/root.sh
. "$repository/tests/systems/root.sh"
# shellcheck source=tests/systems/packaged.sh
. "$repository/tests/systems/packaged.sh"

alone "$@"

# -- the station -----------------------------------------------------------------------------------

# What only a person can say, by the words of docs/install.md; the doctor's exit code is not what is asked for.
set_up_by_words() {
    local told
    printf '[station]\nid = "old"\nactivity = "running"\n' >"$root/tmp/given.toml"
    echo sandbox-key >"$root/tmp/given-key"
    told=$(within spotter-setup --config /tmp/given.toml --key-file /tmp/given-key --station-id rack-7 --page 2>&1 || true)
    grep -q 'id = "rack-7"' "$root$settings" || fail "spotter-setup --station-id: $told"
    grep -q 'pin_file = "/etc/spotter/pin"' "$root$settings" || fail "spotter-setup --page: $told"
    grep -q sandbox-key "$root/etc/spotter/api-key" || fail "spotter-setup --key-file: $told"
    told=$(within spotter-setup --config /tmp/given.toml --key-file /tmp/given-key --station-id rack-7 --page 2>&1 || true)
    grep -q "Nothing was changed or restarted" <<<"$told" || fail "spotter-setup twice: $told"
}

# -- power cuts ------------------------------------------------------------------------------------

# Kills an installation half-way: as a power cut everything, or dpkg alone while its children go on.
cut_off() {    # FILE SECONDS all|dpkg
    local killed
    setsid chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin dpkg -i "/packages/$1" >"$root/tmp/cut.log" 2>&1 &
    killed=$!
    sleep "$2"
    if [ "$3" = all ]; then kill -KILL -- "-$killed" 2>/dev/null || true; else kill -KILL "$killed" 2>/dev/null || true; fi
    wait "$killed" 2>/dev/null || true
}

try_cuts() {
    local number_of_cut file wanted how latest after told pieces
    for number_of_cut in $(seq "$cuts"); do
        file=$new wanted=$number how=all
        [ $((number_of_cut % 2)) -eq 1 ] || { file=$old; wanted=$earlier; }
        [ $((number_of_cut % 3)) -ne 0 ] || how=dpkg
        # Unpacking takes a second or two, making the environment the rest.
        latest=$seconds
        [ "$number_of_cut" -gt $((cuts / 2)) ] || latest=3
        after=$(python3 -I -c "import random; print(round(random.uniform(0.1, $latest), 1))")
        cut_off "$file" "$after" "$how"
        told=$(status)
        within spotter --version >/dev/null || fail "no environment after a cut at $after s ($told)"
        end_installation "$file"
        version_is "$wanted"
        pieces=$(find "$root/opt/spotter/versions" -mindepth 1 -maxdepth 1 | wc -l)
        [ "$pieces" -eq 1 ] || fail "$pieces environments are left after a cut at $after s"
        [ "$(digest /var/lib/spotter)" = "$kept" ] || fail "data changed by a cut at $after s"
        say "cut $number_of_cut ($how) at $after of $seconds s of $file: was $told, $(within spotter --version | cut -d ' ' -f 3) runs"
    done
}

# -- the course ------------------------------------------------------------------------------------

mkdir -p "$folder/packages"
make_root deb
build_both
mkdir "$root/packages"
mount --bind "$folder/packages" "$root/packages"

install_package "$old"
version_is "$earlier"
for place in "/etc/spotter:750 root spotter" "$settings:640 root spotter" "/etc/spotter/api-key:640 root spotter" \
    "/var/lib/spotter/capture:2770 spotter spotter"; do
    [ "$(within stat --format '%a %U %G' "${place%%:*}")" = "${place#*:}" ] || fail "${place%%:*} is not ${place#*:}"
done
[ -z "$(within find /opt/spotter -perm /o+w ! -type l)" ] || fail "everybody can write into /opt/spotter"
[ -L "$root/etc/systemd/system/multi-user.target.wants/spotter.service" ] || fail "the service is not enabled"
within systemd-analyze verify spotter.service spotter-recorder@main.service >"$root/tmp/verify.log" 2>&1 || fail "the units"
say "installed $earlier with $(within readlink -f /usr/bin/python3): $(du -sh "$root/opt/spotter" | cut -f 1) in /opt/spotter, $(du -sh "$root/usr/lib/spotter-agent" | cut -f 1) of wheels"

set_up_by_words
say "spotter-setup took settings, key and id over, and opened the page; once more it changed nothing"
set_up_station
start_sandbox
start_daemon
film 30
wait_for 1 completed
[ "$(received)" -eq 1 ] || fail "$(received) clips were received"
say "the first take is delivered"

end_process "$sandbox"
film 25
wait_for 1 ready
say "the API is away, the outbox holds $(count_state ready) clip"
end_process "$daemon"

started=$(date +%s)
install_package "$new"
seconds=$(($(date +%s) - started))
version_is "$number"
start_daemon
film 24
wait_for 2 ready
end_process "$daemon"
say "upgraded to $number in $seconds s with a full outbox"

install_package "$old" --allow-downgrades
version_is "$earlier"
start_daemon
start_sandbox
wait_for 3 completed
[ "$(received)" -eq 3 ] || fail "$(received) clips were received, not 3"
say "downgraded to $earlier with a full outbox; all 3 clips were delivered once"
end_process "$sandbox"
end_process "$daemon"

environment=$(within readlink /opt/spotter/current)
applied=$(within stat --format %Y "$environment/share/release")
within dpkg -i "/packages/$old" >"$root/tmp/again.log" 2>&1
[ "$(within readlink /opt/spotter/current) $(within stat --format %Y "$environment/share/release")" = "$environment $applied" ] ||
    fail "the same package again made another environment"
say "the same package again keeps the environment"

kept=$(digest /var/lib/spotter)
try_cuts

install_package "$new" --allow-downgrades
settled=$(digest /etc/spotter /var/lib/spotter)
within apt-get remove -y -qq spotter-agent >"$root/tmp/remove.log" 2>&1 || fail "apt remove"
[ ! -e "$root/opt/spotter" ] || fail "/opt/spotter is left after the removal"
[ "$(digest /etc/spotter /var/lib/spotter)" = "$settled" ] || fail "the removal changed settings or data"
say "removed; settings and data are as they were"
install_package "$new"
version_is "$number"
[ "$(count_state completed)" -eq 3 ] || fail "the outbox is not what it was after the reinstallation"
say "reinstalled: it knows its 3 clips"

within apt-get purge -y -qq spotter-agent >"$root/tmp/purge.log" 2>&1 || fail "apt purge"
[ ! -e "$root/etc/spotter" ] || fail "/etc/spotter is left after the purge"
[ "$(digest /var/lib/spotter)" = "$kept" ] || fail "the purge changed data"
grep -q "/var/lib/spotter is kept" "$root/tmp/purge.log" || fail "the purge does not say what it keeps"
[ -z "$(find "$root/etc/systemd/system" -name '*spotter*')" ] || fail "units are left after the purge"
rm -r "${root:?}/var/lib/spotter"
install_package "$new"
within apt-get purge -y -qq spotter-agent >"$root/tmp/purge.log" 2>&1 || fail "apt purge of a station without recordings"
[ ! -e "$root/var/lib/spotter" ] || fail "/var/lib/spotter is left after the purge of a station without recordings"
say "purged"
echo "green on a fresh $suite: install, deliver, upgrade, downgrade, $cuts interruptions, remove, reinstall, purge"
