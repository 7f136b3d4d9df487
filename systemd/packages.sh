#!/bin/sh
# The Debian and Ubuntu packages that Spotter needs: the only list of them, and their installation.
#
#   packages.sh --list GROUP...   print their names
#   packages.sh --python          print the first Python of at least 3.11
#   packages.sh GROUP...          install what is missing, as root or through sudo
#
# Groups: station, needed on every box; test, needed by tests only.
# Exits with 1 if a needed package is missing and cannot be installed, after naming all of them.
# Packages that only tests need are named, and those tests are skipped.
set -u

# group, check, package
needs() {
    cat <<'LIST'
station python            python3-venv
station lib:libEGL.so.1   libegl1
station lib:libGLESv2.so.2 libgles2
test    cmd:make          make
test    cmd:chromium      chromium
test    cmd:mosquitto     mosquitto
test    cmd:ffmpeg        ffmpeg
test    cmd:bwrap         bubblewrap
test    cmd:cc            gcc
test    file:/usr/include/stdlib.h libc6-dev
test    gi                python3-gi
test    rtsp              gir1.2-gst-rtsp-server-1.0
test    rtp               gstreamer1.0-plugins-good
test    seccomp           python3-seccomp
test    cmd:faketime      faketime
test    cmd:prometheus    prometheus
test    cmd:shellcheck    shellcheck
test    cmd:strace        strace
test    cmd:systemd-analyze systemd
test    file:/usr/share/zoneinfo/Europe/Berlin tzdata
LIST
}

PATH="$PATH:/usr/sbin:/sbin"

can_run() { "$1" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# Sets found to the first suitable Python, or to nothing; only $PYTHON is tried where it is set.
find_python() {
    for found in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if can_run "$found"; then return; fi
    done
    found=
}

# Whether a requirement is met.
is_there() {
    case $1 in
    python) [ -n "$found" ] && "$found" -I -c 'import ensurepip, venv' 2>/dev/null ;;
    gi) /usr/bin/python3 -I -c 'import gi' 2>/dev/null ;;
    rtsp) ls /usr/lib/*/girepository-1.0/GstRtspServer-1.0.typelib >/dev/null 2>&1 ;;
    rtp) ls /usr/lib/*/gstreamer-1.0/libgstrtp.so >/dev/null 2>&1 ;;
    seccomp) /usr/bin/python3 -I -c 'import seccomp' 2>/dev/null ;;
    lib:*) ldconfig -p 2>/dev/null | grep -q -F "${1#lib:}" ;;
    file:*) [ -e "${1#file:}" ] ;;
    cmd:*) command -v "${1#cmd:}" >/dev/null ;;
    esac
}

# The package with the venv module of a Python; a later Python where the default is too old.
python_packages() {
    case $(command -v "${found:-none}") in
    /usr/bin/python3) echo python3-venv ;;
    /usr/bin/*) echo "$(basename "$found")-venv" ;;
    esac
    [ -z "$found" ] && [ -z "${PYTHON:-}" ] || return 0
    if command -v python3 >/dev/null; then
        echo python3.11 python3.11-venv # Ubuntu 22.04 has it beside its default 3.10
    else
        echo python3 python3-venv
    fi
}

# Joins lines into one line of unique words.
words() { sort -u | tr '\n' ' ' | sed 's/^ *//; s/ *$//'; }

# Sets lacking to the missing packages of the groups.
look() {
    find_python
    lacking=$(for wanted in "$@"; do
        needs | while read -r group need package; do
            if [ "$group" != "$wanted" ] || is_there "$need"; then continue; fi
            if [ "$need" = python ]; then python_packages; else echo "$package"; fi
        done
    done | words)
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Whether packages can be installed: sudo may prompt for a password only in a terminal.
may_install() {
    command -v apt-get >/dev/null || return 1
    [ "$(id -u)" -ne 0 ] || return 0
    command -v sudo >/dev/null || return 1
    sudo -n true 2>/dev/null || [ -t 0 ]
}

add() {
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a apt-get install -y -qq \
        --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" </dev/null >/dev/null 2>&1
}

# Installs all at once, or one by one where one of them is unavailable.
install_all() {
    echo "installing system packages: $* ..." >&2
    add "$@" && return
    as_root apt-get update -qq </dev/null >/dev/null 2>&1
    add "$@" && return
    for package in "$@"; do add "$package"; done
}

# Reports everything that is still missing; returns 1 if Spotter cannot work without it.
tell() {
    look "$@"
    if [ -z "$found" ]; then
        here=$("${PYTHON:-python3}" --version 2>/dev/null) || here="no ${PYTHON:-python3}"
        echo "Spotter needs Python 3.11 or later, found $here: sudo apt install python3-venv," \
            "on Ubuntu 22.04 python3.11-venv; or choose another: make PYTHON=python3.12" >&2
        lacking=$(echo "$lacking" | tr ' ' '\n' | grep -v '^python3' | words)
    fi
    [ -z "$lacking" ] || echo "missing system packages: sudo apt install $lacking" >&2
    for wanted in "$@"; do
        look "$wanted"
        [ -z "$lacking" ] || [ "$wanted" = test ] || return 1
    done
    [ -z "$lacking" ] || echo "tests that need them are skipped, each by name" >&2
    [ -n "$found" ]
}

case ${1:-} in
--list)
    shift
    for wanted in "$@"; do needs | awk -v group="$wanted" '$1 == group { print $3 }'; done
    ;;
--python)
    find_python
    echo "$found"
    ;;
*)
    look "$@"
    # shellcheck disable=SC2086  # a list of names
    if [ -n "$lacking" ] && may_install; then install_all $lacking; fi
    if [ -n "$lacking" ] || [ -z "$found" ]; then tell "$@"; fi
    ;;
esac
