#!/bin/bash
# The Ansible role on a fresh minimal Debian, with Debian's own ansible-core, inside and over a local connection.
#
#   sudo tests/systems/ansible.sh SUITE FOLDER
#
# SUITE is bookworm or trixie; FOLDER gets the system (4 GB), the package and the repository, kept for the next run.
# Needs debootstrap, reprepro, gpg, a network, and what `make deb` needs.  systemd does not run inside: what the role
# starts and enables is not tried.

set -euo pipefail

suite=${1:?"a release of Debian, as in: ansible.sh bookworm /var/tmp/roots"}
folder=${2:?"a folder for the system, as in: ansible.sh bookworm /var/tmp/roots"}
repository=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/systems/root.sh
. "$repository/tests/systems/root.sh"
# shellcheck source=tests/systems/packaged.sh
. "$repository/tests/systems/packaged.sh"
readonly secrets=(sandbox-key-of-the-vault 48291377 camera-password-of-the-vault)

alone "$@"

# Two hosts of one inventory, both this system: what the second gets, only a run that came so far has done.
make_inventory() {
    local place=$root/fleet
    mkdir -p "$place/inventory/group_vars/stations" "$place/inventory/host_vars" "$place/inventory/certificates"
    cp -R "$repository/config/ansible/roles" "$repository/config/ansible/site.yml" "$place/"
    cp "$rings/spotter.asc" "$place/inventory/"
    cat >"$place/inventory/hosts.yml" <<'WORDS'
stations:
  vars:
    ansible_connection: local
    ansible_python_interpreter: /usr/bin/python3
  hosts:
    rack-8:
  children:
    canary:
      hosts:
        rack-7:
WORDS
    cat >"$place/inventory/group_vars/stations/main.yml" <<WORDS
spotter_station_repository: http://127.0.0.1:$served/
spotter_station_repository_key: "{{ inventory_dir }}/spotter.asc"
spotter_station_certificate: "{{ inventory_dir }}/certificates/rack"
spotter_station_api_key: "{{ vault_api_key }}"
spotter_station_pin: "{{ vault_pin }}"
spotter_station_camera_passwords:
  main: "{{ vault_camera_password }}"
spotter_station_recorders:
  main:
    camera:
      source: rtsp://camera@192.168.1.57/stream
spotter_station_doctor_must_pass: false
spotter_station_settings_all:
  station:
    activity: weightlifting
    exercise: snatch
    barbell_mass: 62.5
    name: 'Rack "7" \ Süd'
    hours: ["mon-fri 06:00-22:00"]
  web:
    listen: 0.0.0.0:8377
    hosts: [rack.local]
  weightlifting:
    pad_before_s: 1.5
WORDS
    printf 'vault_api_key: %s\nvault_pin: "%s"\nvault_camera_password: %s\n' "${secrets[@]}" \
        >"$place/inventory/group_vars/stations/vault.yml"
    echo "word of the vault" >"$place/password"
    within ansible-vault encrypt --vault-password-file /fleet/password /fleet/inventory/group_vars/stations/vault.yml \
        >"$root/tmp/vault.log" 2>&1 || fail "ansible-vault"
}

play() {    # CODE OPTION...
    local code=0 wanted=$1
    shift
    within env HOME=/root LANG=C.UTF-8 ansible-playbook -i /fleet/inventory --vault-password-file /fleet/password \
        /fleet/site.yml -vvv --diff "$@" >"$root/tmp/play.log" 2>&1 || code=$?
    [ "$code" -eq "$wanted" ] || fail "ansible-playbook ended with $code, not $wanted: $(grep -A 20 'FAILED\|fatal\|ERROR' "$root/tmp/play.log" | head -n 40)"
    local secret
    for secret in "${secrets[@]}"; do
        ! grep -q -- "$secret" "$root/tmp/play.log" || fail "ansible-playbook shows $secret"
    done
}
recap() { sed -n "s/^$1 *: //p" "$root/tmp/play.log"; }    # HOST
mode_of() { within stat --format '%a %U %G' "$1"; }

mkdir -p "$folder/packages"
make_root ansible
build_package "$repository"
make_rings
ring add "$folder/packages/$built"
ring promote
add_packages ansible-core python3-apt
make_inventory
"$repository/.venv/bin/spotter" certificate init "$folder/authority-$$" >/dev/null
"$repository/.venv/bin/spotter" certificate issue rack.local --authority "$folder/authority-$$" \
    --out "$root/fleet/inventory/certificates/rack" >/dev/null
rm -r "$folder/authority-$$"

play 0
[[ $(recap rack-7) == *" changed="[1-9]* ]] || fail "the first run changed nothing: $(recap rack-7)"
[ "$(status)" = installed ] || fail "the package is not installed"
grep -q '^Suites: stable' "$root/etc/apt/sources.list.d/spotter.sources" || fail "the last host is in the ring stable"
for place in "$settings:640 root spotter" /etc/spotter/api-key:"640 root spotter" "/etc/spotter/pin:640 root spotter" \
    "/etc/spotter/page.key:640 root spotter" "/etc/spotter/camera-password-main:600 root root" \
    "/etc/spotter/recorder-main.toml:600 root root"; do
    [ "$(mode_of "${place%%:*}")" = "${place#*:}" ] || fail "${place%%:*} is $(mode_of "${place%%:*}")"
done
grep -q "${secrets[0]}" "$root/etc/spotter/api-key" || fail "the key is not there"
within spotter config --json >"$root/tmp/config.json"
python3 -I - "$root/tmp/config.json" <<'PYTHON' || fail "the settings: $(cat "$root$settings")"
import json, sys
said = json.load(open(sys.argv[1]))
assert said["station"]["id"] == "rack-8" and said["station"]["name"] == 'Rack "7" \\ Süd', said["station"]
assert said["station"]["barbell_mass"] == 62.5 and said["weightlifting"]["pad_before_s"] == 1.5
assert said["web"]["tls"] == "given" and said["web"]["pin_file"] == "/etc/spotter/pin", said["web"]
PYTHON
say "the first run: $(recap rack-7)"

play 0 --limit rack-8
[[ $(recap rack-8) == *" changed=0 "* ]] || fail "the second run changed something: $(grep -B 3 '^changed' "$root/tmp/play.log")"
say "the second run: $(recap rack-8)"

before=$(digest /etc/spotter)
echo 'spotter_station_settings: {station: {activity: juggling}}' >"$root/fleet/inventory/host_vars/rack-7.yml"
play 2
grep -q 'station.activity' "$root/tmp/play.log" || fail "the run does not name the wrong setting"
[ "$(digest /etc/spotter)" = "$before" ] || fail "settings that are not valid were put in place"
[ -z "$(recap rack-8)" ] || [[ $(recap rack-8) == "ok=0 "* ]] || fail "rack-8 was changed after the canary had failed: $(recap rack-8)"
say "settings that are not valid changed nothing, and ended the run at the canary"
rm "$root/fleet/inventory/host_vars/rack-7.yml"
within sed -i 's/^spotter_station_doctor_must_pass.*/spotter_station_doctor_must_pass: true/' /fleet/inventory/group_vars/stations/main.yml
play 2
[ -z "$(recap rack-8)" ] || [[ $(recap rack-8) == "ok=0 "* ]] || fail "rack-8 was changed after the canary's doctor had failed"
say "a canary whose doctor fails ends the run"
echo "green on a fresh $suite: install, idempotent, secrets hidden, invalid settings, canary first"
