#!/bin/bash
# Builds the Debian package of Spotter for one kind of processor, from any machine: nothing is compiled.
#
#   config/debian/build.sh amd64|arm64 [FOLDER]   build FOLDER/spotter-agent_VERSION_ARCH.deb (default: dist)
#   config/debian/build.sh --tree ARCH FOLDER     only what the package holds, without the dependencies
#
# `make deb` calls it, with the .venv that `make setup` has made.  Inside are the wheels of requirements.lock
# for each Python of $pythons: the box makes its environment of them without a network.  Wheels are kept in
# build/wheels for the next time.  The same sources give the same bytes (SOURCE_DATE_EPOCH, by default the
# time of the last commit).

set -euo pipefail
umask 022
export LC_ALL=C TZ=UTC

readonly pythons=(3.11 3.12 3.13)    # Debian 12, Ubuntu 24.04, Debian 13
# What wheels may ask of a system's C library, newest first.
readonly libraries=(manylinux_2_28 manylinux_2_27 manylinux_2_26 manylinux_2_24 manylinux_2_17 manylinux2014
    manylinux_2_12 manylinux2010 manylinux_2_5 manylinux1)

here=$(cd "$(dirname "$0")" && pwd)
source_folder=$(cd "$here/../.." && pwd)
readonly here source_folder
callers_folder=$PWD
cd "$source_folder"
readonly python=$source_folder/.venv/bin/python
number=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' agent/__init__.py)
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || stat --format %Y CHANGELOG.md)}"
export SOURCE_DATE_EPOCH

fail() {
    echo "build.sh: $1" >&2
    exit 1
}

machine_of() {
    case $1 in
    amd64) echo x86_64 ;;
    arm64) echo aarch64 ;;
    *) fail "amd64 or arm64, not $1" ;;
    esac
}

pip() { "$python" -I -m pip --quiet --disable-pip-version-check "$@"; }

# The dependencies' wheels of every Python, into a folder; from the folder alone where it has them already.
fetch_wheels() {    # MACHINE FOLDER
    local python_version library
    for python_version in "${pythons[@]}"; do
        local words=(--only-binary :all: --no-deps --require-hashes -r requirements.lock --dest "$2"
            --implementation cp --python-version "$python_version")
        for library in "${libraries[@]}"; do words+=(--platform "${library}_$1"); done
        pip download --no-index --find-links "$2" "${words[@]}" 2>/dev/null || pip download "${words[@]}" ||
            fail "the wheels for Python $python_version on $1 could not be had"
    done
}

# Built from a copy: what an earlier build has left in the tree is not in it.
build_agent() {    # FOLDER
    local copy=$work/source
    mkdir -p "$copy"
    tar --exclude=__pycache__ --create agent analysis pyproject.toml README.md LICENSE NOTICE | tar --extract --directory "$copy"
    chmod -R u=rwX,go=rX "$copy"
    pip wheel --no-deps --no-index --no-build-isolation --wheel-dir "$1" "$copy"
}

make_tree() {    # ARCH ROOT
    local root=$2 share=$2/usr/share/spotter-agent lib=$2/usr/lib/spotter-agent
    local doc=$2/usr/share/doc/spotter-agent
    mkdir -p "$root/DEBIAN" "$share/docs" "$lib/wheels" "$lib/units" "$doc" "$root/usr/bin" \
        "$root/usr/lib/systemd/system" "$root/usr/lib/sysusers.d" "$root/usr/lib/tmpfiles.d"
    install -m 644 systemd/spotter*.service systemd/spotter*.timer "$root/usr/lib/systemd/system/"
    install -m 644 systemd/restart-growing.conf systemd/clock-chrony.conf "$lib/units/"
    install -m 644 systemd/sysusers.conf "$root/usr/lib/sysusers.d/spotter.conf"
    install -m 644 systemd/tmpfiles.conf "$root/usr/lib/tmpfiles.d/spotter.conf"
    install -m 644 config/station.sample.toml config/hub.sample.toml "$share/"
    cp -R config/monitoring "$share/monitoring"
    install -m 644 docs/*.md "$share/docs/"
    install -m 755 config/debian/environment.sh "$lib/environment"
    build_agent "$lib/wheels"
    {
        cat requirements.lock
        local wheel=$lib/wheels/spotter_agent-$number-py3-none-any.whl
        echo "spotter-agent==$number --hash=sha256:$(sha256sum "$wheel" | cut -c 1-64)"
    } >"$lib/requirements.txt"
    echo "$number" >"$lib/version"
    ln -s /opt/spotter/current/bin/spotter "$root/usr/bin/spotter"
    install -D -m 755 systemd/install.sh "$root/usr/sbin/spotter-setup"
    install -m 755 systemd/update.py "$root/usr/sbin/spotter-update"
    sed 's/^/ /; s/^ $/ ./' NOTICE | sed '1i Files: *\nLicense: Apache-2.0\nComment: the licence is in /usr/share/common-licenses/Apache-2.0' >"$doc/copyright"
    gzip -9n <CHANGELOG.md >"$doc/changelog.gz"
    add_helps "$root/usr/share"
    make_control "$1" "$root"
}

# Man page and completions, as the commands themselves tell them.
add_helps() {    # SHARE
    mkdir -p "$1/man/man1" "$1/bash-completion/completions" "$1/zsh/vendor-completions" "$1/fish/vendor_completions.d"
    PYTHONPATH=$source_folder "$python" -m tests.tools.manual | gzip -9n >"$1/man/man1/spotter.1.gz"
    local shell place
    for shell in bash:bash-completion/completions/spotter zsh:zsh/vendor-completions/_spotter \
        fish:fish/vendor_completions.d/spotter.fish; do
        place=$1/${shell#*:}
        _SPOTTER_COMPLETE=${shell%%:*}_source "$source_folder/.venv/bin/spotter" >"$place"
        [ -s "$place" ] || fail "no completion for ${shell%%:*}"
    done
}

make_control() {    # ARCH ROOT
    local script next=${pythons[-1]}
    next=3.$((${next#3.} + 1))
    sed "s/@VERSION@/$number/; s/@ARCH@/$1/; s/@FIRST@/${pythons[0]}/; s/@NEXT@/$next/" "$here/control" >"$2/DEBIAN/control"
    for script in postinst prerm postrm; do install -m 755 "$here/$script" "$2/DEBIAN/$script"; done
    install -m 644 "$here/triggers" "$2/DEBIAN/triggers"
}

# What is known once everything is there.
seal() {    # ROOT
    (cd "$1" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$1/DEBIAN/md5sums"
    local size_kb
    size_kb=$(find "$1/usr" -type f -printf '%s\n' | awk '{ bytes += $1 } END { print int(bytes / 1024) + 1 }')
    sed -i "s/@SIZE@/$size_kb/" "$1/DEBIAN/control"
    chmod -R u=rwX,go=rX "$1"
}

[ -x "$python" ] || fail "run make setup first"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case ${1:-} in
--tree)
    cd "$callers_folder" && mkdir -p "${3:?a folder}" && root=$(realpath "$3") && cd "$source_folder"
    machine_of "$2" >/dev/null
    make_tree "$2" "$root"
    seal "$root"
    ;;
*)
    arch=${1:-}
    machine=$(machine_of "$arch")
    cd "$callers_folder" && mkdir -p "${2:-$source_folder/dist}" && out=$(realpath "${2:-$source_folder/dist}") && cd "$source_folder"
    wheels=${SPOTTER_WHEELS:-build/wheels}/$arch
    mkdir -p "$wheels"
    fetch_wheels "$machine" "$wheels"
    make_tree "$arch" "$work/root"
    cp "$wheels"/*.whl "$work/root/usr/lib/spotter-agent/wheels/"
    seal "$work/root"
    package=$out/spotter-agent_${number}_$arch.deb
    # Wheels are compressed already: xz saves 6 % of them, and takes three minutes.
    dpkg-deb --root-owner-group -Znone --build "$work/root" "$package" >/dev/null
    echo "$package: $(du -h "$package" | cut -f 1)"
    ;;
esac
