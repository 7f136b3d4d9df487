#!/bin/bash
# Installs Spotter on this box, or updates it.  Read it from the end upwards: `install_spotter` is
# the list of steps.
#
# Two forms of one script: `install.sh` in a release's folder, and `spotter-setup`, which the Debian package
# installs, for what only a person can say.  Where a package is in its folder, `install.sh` installs that, and
# leaves the rest to `spotter-setup`.

set -euo pipefail
umask 022    # root's own umask must not decide who can run or change Spotter

case $(basename "$0") in
spotter-setup) packaged=yes me=spotter-setup ;;
*) packaged=no me=systemd/install.sh ;;
esac
readonly packaged me

usage() {
    if [ "$packaged" = yes ]; then
        echo "sudo $me                 run the doctor on the station, and list remaining steps"
    else
        cat <<WORDS
sudo $me                 install, or update in place; from the package where one is in its folder
sudo $me --package FILE  install or update from this Debian package
WORDS
    fi
    cat <<WORDS
sudo $me --setup         also set up the station in a browser, as a first installation does: shows a QR code
sudo $me --no-setup      a first installation without that
sudo $me --page          also open the coach's page to the network, with a PIN
sudo $me --camera SOURCE also film rtsp://USER@HOST/PATH or /dev/video0 on this box
sudo $me --config FILE --key-file FILE --station-id ID
                                        also install settings, API key and id, as for many boxes; each alone works too
WORDS
    [ "$packaged" = yes ] || cat <<WORDS
sudo $me --rollback      return to the version before the last update
sudo $me --uninstall     remove Spotter; keep settings and recordings
sudo $me --uninstall --purge   also remove settings, recordings and users
WORDS
}

source_folder=$(cd "$(dirname "$0")/.." && pwd)
readonly source_folder
script=$(realpath "$0")
readonly script
readonly callers_folder=$PWD
cd /    # nothing in the caller's folder is run or imported
readonly wheels=$source_folder/wheelhouse    # created by `make wheelhouse`; without it pip downloads
readonly home=/opt/spotter                   # versions/..., current -> one of them, previous -> another
readonly settings=/etc/spotter/station.toml
readonly token=/etc/spotter/recorder-token   # by which daemon and recorders know each other
readonly key=/etc/spotter/api-key            # created empty; an existing one keeps its permissions
readonly units=/etc/systemd/system
readonly command=/usr/local/bin/spotter
readonly unit_files=(spotter.service spotter@.service spotter-recorder@.service spotter-reader@.service spotter-hub.service spotter-worker.service)
readonly old_unit=spotter-camera@.service    # of versions that recorded with ffmpeg
readonly tools=(systemctl systemd-sysusers systemd-tmpfiles getent gpasswd runuser awk dpkg-query apt-get)

say() { echo "$*"; }
fail() {
    echo "$(basename "$me"): $1" >&2
    [ $# -lt 2 ] || echo "  $2" >&2
    exit 1
}
in_callers_folder() { (cd "$callers_folder" && realpath --no-symlinks -- "$1"); }
systemd_runs() { [ -d /run/systemd/system ]; }
is_installed() { dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

# -- requirements ----------------------------------------------------------------------------------

check_root() {
    [ "$(id -u)" -eq 0 ] || fail "must be run as root" "sudo $0"
}

# One box, one way: the package's files are dpkg's.
check_not_packaged() {
    if [ "$packaged" = no ] && ! is_installed spotter-agent; then return; fi
    fail "Spotter is installed here as a package" \
        "sudo apt install ./spotter-agent_*.deb updates it, and with --allow-downgrades goes back; sudo apt remove spotter-agent removes it; sudo spotter-setup sets it up"
}

check_release() {
    [ -r "$source_folder/requirements.lock" ] ||
        fail "this copy is not inside a release folder, so it can only roll back or uninstall" \
            "unpack a release, and in its folder: sudo systemd/install.sh"
}

check_system() {
    [ -r /etc/os-release ] || fail "unsupported system: /etc/os-release is missing; Debian, Ubuntu or Raspberry Pi OS is needed"
    local system machine free_mb
    # shellcheck disable=SC1091  # every Debian and Ubuntu has it
    system=$(. /etc/os-release; echo "${ID:-} ${ID_LIKE:-}")
    machine=$(uname -m)
    case " $system " in
    *" debian "* | *" ubuntu "*) ;;
    *) fail "Debian, Ubuntu or Raspberry Pi OS is needed; this is ${system:-unknown}" ;;
    esac
    case $machine in
    x86_64 | aarch64) ;;
    *) fail "a 64-bit system is needed (x86-64 or ARM); this is $machine" "on a Raspberry Pi, install the 64-bit image" ;;
    esac
    [ "$(getconf LONG_BIT)" = 64 ] || fail "the kernel is 64-bit, but the system is not" "install the 64-bit image"
    local tool missing=()
    for tool in "${tools[@]}"; do command -v "$tool" >/dev/null || missing+=("$tool"); done
    [ "${#missing[@]}" -eq 0 ] ||
        fail "required system tools are not installed here: ${missing[*]}" \
            "sudo apt install systemd passwd; without systemd, start Spotter manually: make setup, then .venv/bin/spotter run"
    free_mb=$(df --output=avail -m "$(dirname "$home")" | tail -1)
    [ "$free_mb" -gt 1500 ] || fail "not enough disk space in $(dirname "$home"): 1500 MB needed, $free_mb MB free"
}

# Sets python to a Python of at least 3.11.  Ubuntu 22.04 has 3.11 beside its own 3.10.
find_python() {
    local candidate
    for candidate in /usr/bin/python3 /usr/bin/python3.14 /usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11; do
        if "$candidate" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$candidate
            return
        fi
    done
    python=
}

# -- installation steps ----------------------------------------------------------------------------

# Uses the system's Python, or, on Ubuntu 22.04, the later one packaged beside it.
install_packages() {
    local packages
    mapfile -t packages < <(sh "$source_folder/systemd/packages.sh" --list station)
    add_packages "${packages[@]}"
    find_python
    case $python in
    /usr/bin/python3) ;;
    "") add_packages python3.11 python3.11-venv ;;
    *) add_packages "$(basename "$python")-venv" ;;
    esac
    find_python
    [ -n "$python" ] || fail "Python 3.11 or later is needed"
}

add_packages() {
    local missing=() package told
    for package in "$@"; do is_installed "$package" || missing+=("$package"); done
    [ "${#missing[@]}" -gt 0 ] || return 0
    say "installing ${missing[*]} ..."
    told=$(add_now "${missing[@]}" 2>&1 || { apt-get update -qq && add_now "${missing[@]}"; } 2>&1) ||
        fail "these packages could not be installed: ${missing[*]}
$(tail -n 2 <<<"$told")" "run: sudo apt update; without a network, install these packages beforehand"
}

# Never prompts, and waits for automatic updates that hold apt's lock after boot.
add_now() {
    DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

make_users_and_folders() {
    install -D -m 644 "$source_folder/systemd/sysusers.conf" /usr/lib/sysusers.d/spotter.conf
    install -D -m 644 "$source_folder/systemd/tmpfiles.conf" /usr/lib/tmpfiles.d/spotter.conf
    systemd-sysusers /usr/lib/sysusers.d/spotter.conf
    systemd-tmpfiles --create /usr/lib/tmpfiles.d/spotter.conf
    [ -e "$key" ] || install -g spotter -m 640 /dev/null "$key"
    if [ ! -s "$token" ]; then
        install -m 600 /dev/null "$token"
        od -An -N 24 -tx1 /dev/urandom | tr -d ' \n' >"$token"
    fi
    add_caller
}

add_caller() {
    case ${SUDO_USER:-root} in
    root) ;;
    *)
        ! id --name --groups "$SUDO_USER" | grep -qw spotter || return 0
        gpasswd --add "$SUDO_USER" spotter >/dev/null
        say "added $SUDO_USER to group spotter: log out and back in to use the commands"
        ;;
    esac
}

# Creates the new version in its own folder; the running one is not touched.
make_version() {
    local number identity
    number=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$source_folder/agent/__init__.py")
    identity=$(identity_of_release)
    if [ "$(cat "$home/current/share/release" 2>/dev/null)" = "$identity" ]; then
        version=$(readlink -f "$home/current")
        say "Spotter $number is installed from this release already"
        return
    fi
    changed=yes
    version=$home/versions/$number-$(date -u +%Y%m%dT%H%M%SZ)
    say "installing Spotter $number into $version (about 560 MB; a minute or two) ..."
    mkdir -p "$version"
    trap 'rm -rf "$version"' EXIT   # never leave a partial version
    "$python" -I -m venv "$version"
    local from=()
    if [ -d "$wheels" ]; then from=(--no-index --find-links "$wheels"); fi
    local pip=("$version/bin/python" -I -m pip --quiet --disable-pip-version-check)
    "${pip[@]}" install --no-deps "${from[@]}" --require-hashes -r "$source_folder/requirements.lock" ||
        fail "the dependencies could not be installed" "without a network: run make wheelhouse on another box and copy the folder here"
    local wheel=$wheels/spotter_agent-$number-py3-none-any.whl
    if [ ! -d "$wheels" ]; then
        build_wheel "$version/build"
        wheel=$version/build/spotter_agent-$number-py3-none-any.whl
    fi
    "${pip[@]}" install --no-deps --no-index "$wheel"
    rm -rf "$version/build"
    # However the command is started, it imports only what was installed.
    sed -i "1s|.*|#!$version/bin/python -I|" "$version/bin/spotter"
    install -D -m 755 "$source_folder/systemd/install.sh" "$version/share/install.sh"
    install -m 644 "$source_folder/config/hub.sample.toml" "$version/share/"
    mkdir -p "$version/docs"
    cp "$source_folder"/docs/*.md "$version/docs/"
    "$version/bin/spotter" --version >/dev/null || fail "the new version does not start; nothing was changed"
    echo "$identity" >"$version/share/release"
    trap - EXIT
}

# What a version is made of: the same twice need not be installed twice.
identity_of_release() {
    (
        cd "$source_folder"
        find agent analysis config docs systemd requirements.lock requirements-build.lock pyproject.toml \
            -type f ! -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
        find wheelhouse -name 'spotter_agent-*.whl' -exec sha256sum {} + 2>/dev/null || true
        "$python" --version
    ) | sha256sum | cut -c 1-64
}

# Builds the agent's wheel outside the release folder, with the setuptools that the release pins by hash.
build_wheel() {
    mkdir -p "$1/source" "$1/tools"
    cp -r "$source_folder"/{agent,analysis,pyproject.toml,README.md,LICENSE,NOTICE} "$1/source/"
    "${pip[@]}" install --no-deps --require-hashes --target "$1/tools" -r "$source_folder/requirements-build.lock" ||
        fail "setuptools, which builds the agent, could not be installed"
    PYTHONPATH=$1/tools "${pip[@]}" wheel --no-deps --no-index --no-build-isolation --wheel-dir "$1" "$1/source"
}

# The switch is one rename; the previous version stays for --rollback, older ones are removed.
switch_to_version() {
    local before=
    [ ! -e "$home/current" ] || before=$(readlink -f "$home/current")
    [ "$before" != "$version" ] || return 0
    point "$home/current" "$version"
    [ -z "$before" ] || point "$home/previous" "$before"
    local old
    for old in "$home"/versions/*; do
        [ "$old" = "$version" ] || [ "$old" = "$before" ] || rm -rf "$old"
    done
    ln -sfn "$home/current/bin/spotter" "$command"
}

point() {
    ln -sfn "$2" "$1.new"
    mv -T "$1.new" "$1"
}

make_settings() {
    if [ -e "$settings" ]; then
        chgrp spotter "$settings"   # an editor may have changed owner and mode
        chmod g+r "$settings"
        return
    fi
    install -g spotter -m 640 "$source_folder/config/station.sample.toml" "$settings"
    changed=yes
    # Settings, key or camera that were given say that nobody wants to be asked for them.
    [ -n "$new_settings$key_file$station_id$camera$setup" ] || setup=yes
    say "created $settings: configure the station there"
}

# Read before anything is changed.
check_provisions() {
    [ -z "$new_settings" ] || [ -s "$new_settings" ] || fail "--config $new_settings: no such file, or it is empty"
    [ -z "$key_file" ] || [ -s "$key_file" ] || fail "--key-file $key_file: no such file, or it is empty"
    case $station_id in
    *[!A-Za-z0-9_-]*) fail "--station-id $station_id: only letters, digits, underscores and hyphens" ;;
    esac
}

# Takes settings, id and key over.  Settings are validated before they get their place; what was there
# before stays beside it.
provision() {
    local next=$settings.next before=$changed
    if [ -n "$new_settings$station_id" ]; then
        install -g spotter -m 640 "${new_settings:-$settings}" "$next"
        [ -z "$station_id" ] || set_key "$next" station id "$station_id"
        ! opens_page || open_page "$next"    # before the comparison: the same words twice change nothing
        runuser -u spotter -- "$version/bin/spotter" config --check --config "$next" >/dev/null || {
            rm -f "$next"
            fail "the settings of ${new_settings:-$settings} are not valid (see above); they were not installed"
        }
        changed=$before
        take_over "$next" "$settings"
    fi
    if [ -n "$key_file" ]; then
        install -g spotter -m 640 "$key_file" "$key.next"
        take_over "$key.next" "$key"
    fi
}

take_over() {    # NEW PLACE
    if cmp --silent "$1" "$2"; then
        rm -f "$1"
        return
    fi
    changed=yes
    [ ! -s "$2" ] || cp -p "$2" "$2.before"
    mv "$1" "$2"
}

install_units() {
    local unit drop_in growing=no
    for unit in "${unit_files[@]}"; do install -C -m 644 "$source_folder/systemd/$unit" "$units/$unit"; done
    [ "$(systemctl --version | awk 'NR == 1 {print $2}')" -lt 254 ] || growing=yes
    for unit in "${unit_files[@]}"; do
        drop_in=$units/$unit.d
        mkdir -p "$drop_in"
        rm -f "$drop_in/restart-growing.conf" "$drop_in/clock-chrony.conf"
        [ "$growing" = no ] || install -m 644 "$source_folder/systemd/restart-growing.conf" "$drop_in/"
        ! is_installed chrony || install -m 644 "$source_folder/systemd/clock-chrony.conf" "$drop_in/"
    done
    ! systemd_runs || systemctl daemon-reload
}

start_service() {
    if ! systemd_runs; then
        say "systemd is not running: the units are installed, but nothing was started"
        return
    fi
    systemctl enable --quiet spotter.service
    # A start takes seconds, and may wait for a mount: let it finish before the doctor runs.
    local unit verb=start
    [ "$changed" = no ] || verb=restart
    timeout 60 systemctl "$verb" spotter.service 2>/dev/null || true
    [ "$changed" = yes ] || return 0
    for unit in $(systemctl list-units --plain --no-legend 'spotter@*.service' 'spotter-recorder@*.service' 'spotter-reader@*.service' 'spotter-hub.service' 'spotter-worker.service' | awk '{print $1}'); do
        systemctl restart --no-block "$unit"
    done
}

# -- the page and the camera -----------------------------------------------------------------------

opens_page() { [ "$page" = yes ] || [ "$setup" = yes ]; }

# Validated before they get their place: with settings that are not valid the service would not start again.
open_page_of_station() {
    local next=$settings.next before=$changed
    install -g spotter -m 640 "$settings" "$next"
    open_page "$next"
    changed=$before
    if ! runuser -u spotter -- "$home/current/bin/spotter" config --check --config "$next" >/dev/null; then
        rm -f "$next"
        say "The page was not opened to the network: the settings would not be valid (see above).  Correct $settings, or set
listen = \"0.0.0.0:8377\" and pin_file = \"/etc/spotter/pin\" in its table [web]; then run this again."
        page=no
        setup=no
        return
    fi
    take_over "$next" "$settings"
}

open_page() {    # SETTINGS
    if [ ! -s /etc/spotter/pin ]; then
        install -g spotter -m 640 /dev/null /etc/spotter/pin
        "$home/current/bin/python" -I -c 'import secrets; print(f"{secrets.randbelow(10**8):08}")' >/etc/spotter/pin
    fi
    # A network address that was configured before stays.
    case $(awk "$of_toml"'
        is_header() { table = header() }
        table == "[web]" && /^[ \t]*listen *=/' "$1") in
    "" | *[\"\']127.* | *[\"\']localhost* | *[\"\']"[::1]"* | *\"\"* | *\'\'*)
        set_key "$1" web listen 0.0.0.0:8377
        # Nobody else in the network may read the PIN, and the key that is typed there.
        set_key "$1" web tls auto
        ;;
    esac
    set_key "$1" web pin_file /etc/spotter/pin
}

# In awk: whether a line begins a table, which may be indented or end in a comment, and its plain form.
# shellcheck disable=SC2016  # $0 is awk's
readonly of_toml='
    function is_header() { return $0 ~ /^[ \t]*\[[ \t]*[A-Za-z_.-]+[ \t]*\][ \t]*(#.*)?$/ }
    function header(words) { words = $0; sub(/#.*/, "", words); gsub(/[ \t]/, "", words); return words }'

# Sets key = "value" in a table of a settings file, replacing an earlier value.
set_key() {
    local next
    next=$(mktemp "$1.XXXXXX")
    awk -v table="[$2]" -v key="$3" -v line="$3 = \"$4\"" "$of_toml"'
        function add() { if (inside && !done) { print line; done = 1 } }
        is_header() { add(); inside = (header() == table); seen = seen || inside }
        inside && !done && $0 ~ "^[ \t]*(# *)?" key " *=" { print line; done = 1; next }
        { print }
        END { add(); if (!seen) print "\n" table "\n" line }
    ' "$1" >"$next"
    chgrp spotter "$next"
    chmod 640 "$next"
    if cmp --silent "$next" "$1"; then rm "$next"; return; fi
    changed=yes
    mv "$next" "$1"
}

# A recorder that films what is chosen on the set-up page, where there is no other.
add_setup() {
    local recorders=(/etc/spotter/recorder-*.toml)
    [ ! -e "${recorders[0]}" ] || return 0
    write_recorder main assigned <<<"SOURCE=station:"
    enable_recorder main
}

show_setup() {
    say "
Set the station up in a browser: scan this code with a phone or tablet in the same network, within 30 minutes.
The browser warns once about the certificate, which is the station's own."
    as_spotter pair --setup || say "when the service runs: sudo -u spotter spotter pair --setup"
}

show_page() {
    say "PIN of the page: $(cat /etc/spotter/pin).  Or pair a tablet with this QR code, within ten minutes.
The browser warns once about the certificate, which is the station's own:"
    as_spotter pair || say "when the service runs: sudo -u spotter spotter pair"
}

# Checked before anything is changed; what is wrong inside an address the recorder's settings say.
check_camera() {
    case $camera in
    rtsp://?* | rtsps://?* | http://?* | https://?* | /?* | test:) ;;
    *) fail "--camera ${camera%%:*}: not a camera" "such as --camera rtsp://USER@192.168.1.20/stream or /dev/video0" ;;
    esac
    case $camera in
    *://*@*)
        [ -t 0 ] || return 0
        case ${camera#*://} in *:*@*) return 0 ;; esac
        IFS= read -r -s -p "password of the camera (none: Enter): " camera_password
        say
        ;;
    esac
}

# Addresses and passwords go through a pipe: a command line can be read by everybody.
write_recorder() {    # NAME ARM, and KEY=VALUE lines on standard input
    "$home/current/bin/python" -I -m agent.recorder.settings "$1" "$2"
}

add_camera() {
    write_recorder main assigned <<<"SOURCE=$camera${camera_password:+
PASSWORD=$camera_password}" || fail "the camera was not set up; Spotter itself is installed"
    enable_recorder main
    say "spotter-recorder@main films while an athlete is on the station: /etc/spotter/recorder-main.toml"
}

enable_recorder() {
    systemd_runs || return 0
    systemctl enable --quiet "spotter-recorder@$1.service"
    systemctl restart --no-block "spotter-recorder@$1.service"
}

# Cameras of a version that recorded with ffmpeg get a recorder, which films all the time as before.
# Their old settings and their unit are kept for --rollback.
migrate_cameras() {
    local file name place
    for file in /etc/spotter/camera-*.env; do
        [ -e "$file" ] || continue
        name=$(basename "${file#*/camera-}" .env)
        if [ ! -e "/etc/spotter/recorder-$name.toml" ] && ! write_recorder "$name" always <"$file"; then
            say "camera $name has no recorder: write /etc/spotter/recorder-$name.toml (docs/cameras.md)"
            continue    # its settings stay, and the doctor names them
        fi
        for place in "$units/$old_unit.d" "$units/spotter-camera@$name.service.d"; do
            [ -d "$place" ] || continue
            mkdir -p "${place/camera@/recorder@}"
            cp -r --no-clobber "$place/." "${place/camera@/recorder@}/"
        done
        ! systemd_runs || systemctl daemon-reload
        if turn_off "spotter-camera@$name.service"; then enable_recorder "$name"; fi
        mv "$file" "$file.before-recorder"
        say "camera $name: spotter-recorder@$name replaces spotter-camera@$name, and films all the time as that did"
    done
    [ ! -e "$units/$old_unit" ] || mv "$units/$old_unit" "$home/previous/share/$old_unit"
    ! systemd_runs || systemctl daemon-reload
}

# The version that is returned to records with ffmpeg.
return_cameras() {
    local file name
    [ ! -e "$home/current/share/$old_unit" ] || install -m 644 "$home/current/share/$old_unit" "$units/$old_unit"
    ! systemd_runs || systemctl daemon-reload
    for file in /etc/spotter/camera-*.env.before-recorder; do
        [ -e "$file" ] || continue
        name=$(basename "${file#*/camera-}" .env.before-recorder)
        mv "$file" "${file%.before-recorder}"
        if turn_off "spotter-recorder@$name.service"; then
            systemctl enable --quiet "spotter-camera@$name.service"
            systemctl restart --no-block "spotter-camera@$name.service"
        fi
        say "camera $name: spotter-camera@$name records again"
    done
}

# Stops and disables a unit; fails where it was not wanted, or systemd does not run.
turn_off() {
    systemd_runs || return 1
    systemctl is-enabled --quiet "$1" 2>/dev/null || systemctl is-active --quiet "$1" || return 1
    systemctl disable --now --quiet "$1"
}

# -- after the installation ------------------------------------------------------------------------

as_spotter() {
    runuser -u spotter -- "$home/current/bin/spotter" "$@" --config "$settings"
}

# The doctor's exit code is the installer's.
run_doctor() {
    say
    say "spotter doctor:"
    as_spotter doctor
}

show_next_steps() {
    cat <<WORDS

Installed.  Next steps, where the doctor below does not report OK already:
  1. configure the station:     in a browser: sudo $me --setup shows the link;
     or sudo nano $settings
  2. add the API key:           sudo nano /etc/spotter/api-key
  3. apply the changes:         sudo systemctl reload-or-restart spotter
  4. film with Spotter's recorder: sudo $me --camera SOURCE; or let another camera
     program write into /var/lib/spotter/capture, as a user of the group spotter
  5. verify the installation:   sudo spotter doctor
WORDS
}

# -- rolling back and uninstalling -----------------------------------------------------------------

roll_back() {
    [ -e "$home/previous" ] || fail "there is no previous version to return to"
    local current previous told
    current=$(readlink -f "$home/current")
    previous=$(readlink -f "$home/previous")
    # An older version refuses a database that a newer one has upgraded, and leaves it untouched.
    if [ -r "$settings" ] && ! told=$(runuser -u spotter -- "$previous/bin/spotter" status --config "$settings" 2>&1); then
        fail "the previous version cannot use the current data, so nothing was changed:
  $told" "keep this version; do not restore /var/lib/spotter/outbox.db.before-...: it lacks the deliveries made since, which would be sent again"
    fi
    point "$home/current" "$previous"
    point "$home/previous" "$current"
    if [ -x "$home/current/share/spotter-camera" ]; then return_cameras; else migrate_cameras; fi
    changed=yes
    start_service
    say "rolled back to $(basename "$previous"); --rollback again returns to $(basename "$current")"
}

uninstall() {
    local unit
    if systemd_runs; then
        for unit in $(systemctl list-units --all --plain --no-legend 'spotter.service' 'spotter@*' 'spotter-camera@*' 'spotter-recorder@*' 'spotter-reader@*' 'spotter-hub.service' 'spotter-worker.service' | awk '{print $1}'); do
            systemctl disable --now --quiet "$unit" || true
        done
    fi
    for unit in "${unit_files[@]}" "$old_unit"; do rm -rf "${units:?}/$unit" "${units:?}/$unit.d"; done
    rm -f "$command" /usr/lib/sysusers.d/spotter.conf /usr/lib/tmpfiles.d/spotter.conf
    rm -rf "$home"
    ! systemd_runs || systemctl daemon-reload
    if [ "$purge" = no ]; then
        say "uninstalled; settings (/etc/spotter), recordings and the outbox (/var/lib/spotter) were kept: --purge removes them"
        return
    fi
    rm -rf /etc/spotter /var/lib/spotter /var/lib/spotter-hub /var/lib/spotter-worker
    local folder
    for folder in /var/lib/spotter-*; do   # further stations of this box
        [ "$(stat --format %U "$folder" 2>/dev/null)" != spotter ] || rm -rf "$folder"
    done
    for unit in spotter-worker spotter-hub spotter-camera spotter; do
        # userdel warns about a group with members; the next line removes the group.
        ! getent passwd "$unit" >/dev/null || userdel "$unit" 2>/dev/null || say "user $unit was not removed"
        ! getent group "$unit" >/dev/null || groupdel "$unit"
    done
    say "uninstalled, with settings and recordings"
}

# Sets package to the one that was given, or that is in the folder of this script; to nothing where none is.
find_package() {
    [ "$packaged" = no ] || return 0
    if [ -n "$package" ]; then
        [ -r "$package" ] || fail "--package $package: no such file"
        return
    fi
    local found=("$(dirname "$script")"/spotter-agent_*_"$(dpkg --print-architecture)".deb)
    [ ! -e "${found[0]}" ] || package=${found[0]}
    [ "${#found[@]}" -eq 1 ] || fail "several packages are in the folder of this script" "choose one: sudo $0 --package FILE"
}

# dpkg does what is listed below for a release; a person's words go to the script that it brings.
install_package() {
    local is_first=no
    [ -e "$settings" ] || is_first=yes
    say "installing $(basename "$package") ..."
    { add_now "$package" || { apt-get update -qq && add_now "$package"; }; } ||
        fail "the package could not be installed (see above)" "an older version: sudo apt install --allow-downgrades $package"
    # Settings, key or camera that were given say that nobody wants to be asked for them.
    if [ "$is_first" = yes ] && [ "${#words[@]}" -eq 0 ]; then words=(--setup); fi
    [ ! -d "$callers_folder" ] || cd "$callers_folder"    # files are named from there
    exec /usr/sbin/spotter-setup "${words[@]}"
}

install_spotter() {
    find_package
    [ -z "$package" ] || install_package
    if [ "$packaged" = no ]; then
        check_not_packaged
        check_release
        check_system
    fi
    [ -z "$camera" ] || check_camera
    check_provisions
    if [ "$packaged" = no ]; then
        install_packages
        make_users_and_folders
        make_version
        make_settings
    else
        version=$(readlink -f "$home/current")
        add_caller
    fi
    provision
    if [ "$packaged" = no ]; then
        switch_to_version
        install_units
        migrate_cameras
    fi
    ! opens_page || open_page_of_station
    start_service
    [ -z "$camera" ] || add_camera
    [ "$setup" != yes ] || add_setup
    [ "$page" = no ] || show_page
    [ "$setup" != yes ] || show_setup
    show_next_steps
    [ "$changed" = yes ] || say "
Nothing was changed or restarted."
    run_doctor
}

words=()    # all but --package FILE
what=install
package=
page=no
setup=    # yes, no, or as fits
camera=
camera_password=
new_settings=
key_file=
station_id=
changed=no    # whether the service has to be restarted
purge=no
while [ $# -gt 0 ]; do
    [ "$1" = --package ] || words+=("$1")
    case $1 in
    --page) page=yes ;;
    --setup) setup=yes ;;
    --no-setup) setup=no ;;
    --camera)
        case ${2:-} in
        "" | -*) fail "--camera needs a source, as in: --camera /dev/video0" ;;
        esac
        camera=$2
        words+=("$2")
        shift
        ;;
    --config | --key-file | --station-id)
        case ${2:-} in
        "" | -*) fail "$1 needs a value: see --help" ;;
        esac
        case $1 in
        --config) new_settings=$(in_callers_folder "$2") ;;
        --key-file) key_file=$(in_callers_folder "$2") ;;
        --station-id) station_id=$2 ;;
        esac
        words+=("$2")
        shift
        ;;
    --package)
        [ "$packaged" = no ] || { usage >&2; exit 2; }
        case ${2:-} in
        "" | -*) fail "--package needs a file: see --help" ;;
        esac
        package=$(in_callers_folder "$2")
        shift
        ;;
    --rollback | --uninstall)
        case $what in
        install | "${1#--}") what=${1#--} ;;
        *) fail "--rollback and --uninstall exclude each other" "give the one that is meant" ;;
        esac
        ;;
    --purge) purge=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        echo "$(basename "$me"): unknown option $1" >&2
        usage >&2
        exit 2
        ;;
    esac
    shift
done

[ "$purge" = no ] || [ "$what" = uninstall ] ||
    fail "--purge is only valid with --uninstall" "sudo $0 --uninstall --purge"
check_root
case $what in
install) install_spotter ;;
*)
    check_not_packaged
    case $what in
    rollback) roll_back ;;
    uninstall) uninstall ;;
    esac
    ;;
esac
