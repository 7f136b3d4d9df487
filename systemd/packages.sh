#!/bin/sh
# The packages of Debian and Ubuntu that Spotter needs: the one list of them, and what installs them.
#
#   packages.sh --list GROUP...   print their names
#   packages.sh --python          print the Python that serves, as 3.11 or later is needed
#   packages.sh GROUP...          install what is missing, as root or through sudo
#
# Groups: station, what every box needs; camera, what records on it; test, what the tests use besides.
# It ends with 1 where a box lacks something and it cannot be installed, and says all of it at once.
# What the tests alone lack is named, and they do without it.
set -u

# group, what shows that it is there, package
needs() {
    cat <<'LIST'
station python            python3-venv
station lib:libEGL.so.1   libegl1
station lib:libGLESv2.so.2 libgles2
camera  cmd:ffmpeg        ffmpeg
test    cmd:make          make
test    cmd:chromium      chromium
test    cmd:mosquitto     mosquitto
test    cmd:ffmpeg        ffmpeg
test    cmd:bwrap         bubblewrap
test    cmd:cc            gcc
test    file:/usr/include/stdlib.h libc6-dev
test    seccomp           python3-seccomp
test    cmd:faketime      faketime
test    cmd:prometheus    prometheus
test    cmd:shellcheck    shellcheck
test    cmd:strace        strace
test    cmd:openssl       openssl
test    cmd:systemd-analyze systemd
test    file:/usr/share/zoneinfo/Europe/Berlin tzdata
LIST
}

PATH="$PATH:/usr/sbin:/sbin"

can_run() { "$1" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# Sets found to the first Python that serves, or to nothing; one that is named stands alone.
find_python() {
    for found in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if can_run "$found"; then return; fi
    done
    found=
}

# Whether a need is met.
is_there() {
    case $1 in
    python) [ -n "$found" ] && "$found" -I -c 'import ensurepip, venv' 2>/dev/null ;;
    seccomp) /usr/bin/python3 -I -c 'import seccomp' 2>/dev/null ;;
    lib:*) ldconfig -p 2>/dev/null | grep -q -F "${1#lib:}" ;;
    file:*) [ -e "${1#file:}" ] ;;
    cmd:*) command -v "${1#cmd:}" >/dev/null ;;
    esac
}

# The package that gives a Python its venv module; a later Python beside one that is too old.
python_packages() {
    case $(command -v "${found:-none}") in
    /usr/bin/python3) echo python3-venv ;;
    /usr/bin/*) echo "$(basename "$found")-venv" ;;
    esac
    [ -z "$found" ] && [ -z "${PYTHON:-}" ] || return 0
    if command -v python3 >/dev/null; then
        echo python3.11 python3.11-venv # Ubuntu 22.04 has it beside its own 3.10
    else
        echo python3 python3-venv
    fi
}

# One line of words of what stands in lines, each once.
words() { sort -u | tr '\n' ' ' | sed 's/^ *//; s/ *$//'; }

# Sets lacking to what the groups lack now.
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

# Whether packages can be installed from here: sudo may ask for a password in a terminal alone.
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

# Installs all at once, or, where one of them cannot be had, one by one.
install_all() {
    echo "installing packages of the system: $* ..." >&2
    add "$@" && return
    as_root apt-get update -qq </dev/null >/dev/null 2>&1
    add "$@" && return
    for package in "$@"; do add "$package"; done
}

# Says everything that is still missing; returns 1 where Spotter cannot work without it.
tell() {
    look "$@"
    if [ -z "$found" ]; then
        here=$("${PYTHON:-python3}" --version 2>/dev/null) || here="no ${PYTHON:-python3}"
        echo "Spotter needs Python 3.11 or later, and here is $here: sudo apt install python3-venv," \
            "on Ubuntu 22.04 python3.11-venv; or name another: make PYTHON=python3.12" >&2
        lacking=$(echo "$lacking" | tr ' ' '\n' | grep -v '^python3' | words)
    fi
    [ -z "$lacking" ] || echo "packages of the system are missing: sudo apt install $lacking" >&2
    for wanted in "$@"; do
        look "$wanted"
        [ -z "$lacking" ] || [ "$wanted" = test ] || return 1
    done
    [ -z "$lacking" ] || echo "the tests that want them are skipped, each by its name" >&2
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
