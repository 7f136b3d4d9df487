#!/bin/sh
# The environment that Spotter runs in, made of the wheels in this package; the maintainer scripts call it.
#
#   environment make    make the one of this package and this Python where it is missing, and switch to it
#   environment prune   remove all others
#
# A new one is made beside the one that runs, written to the disk, marked complete, and only then switched to
# by renaming a link.  Ended at any moment, the station has the old one or the new one, whole.

set -eu
umask 022
unset PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE || true

readonly lib=/usr/lib/spotter-agent
readonly home=/opt/spotter    # versions/..., current -> one of them
readonly needed_mb=900

# dpkg may be killed and started again while a child of its first run still works.
one_at_a_time() {
    mkdir -p "$home/versions"
    exec 9>"$home/.lock"
    flock 9
}

current() { readlink -f "$home/current" || true; }

make() {
    python=$(readlink -f /usr/bin/python3)
    minor=$(basename "$python")
    identity=$({ cat "$lib/requirements.txt" "$lib/environment"; echo "$minor"; } | sha256sum | cut -c 1-12)
    environment=$home/versions/$(cat "$lib/version")-$minor-$identity
    is_whole || build
    [ "$(current)" = "$environment" ] || switch
}

# Whether it is complete, and every file is as its wheel had it: installing again restores what a disk has lost.
is_whole() {
    [ "$(cat "$environment/share/release" 2>/dev/null)" = "$identity" ] || return 1
    "$python" -I - "$environment" <<'PYTHON'
import base64, csv, hashlib, pathlib, sys

for record in pathlib.Path(sys.argv[1]).glob("lib/python*/site-packages/*.dist-info/RECORD"):
    for name, digest, _ in csv.reader(record.read_text().splitlines()):
        if not digest or name.startswith(".."):
            continue
        try:
            content = (record.parents[1] / name).read_bytes()
        except OSError:
            sys.exit(1)
        found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        if digest != f"sha256={found}":
            sys.exit(1)
PYTHON
}

build() {
    rm -rf "$environment"
    free_mb=$(df --output=avail -m "$home" | tail -n 1)
    if [ "$free_mb" -lt "$needed_mb" ]; then
        echo "spotter-agent: $needed_mb MB are needed in $home, $free_mb MB are free" >&2
        exit 1
    fi
    echo "Making Spotter's environment in $environment (about 560 MB; a minute or two) ..."
    trap 'rm -rf "$environment"' EXIT
    trap 'exit 1' INT TERM HUP
    "$python" -I -m venv "$environment"
    "$environment/bin/python" -I -m pip --isolated --quiet --disable-pip-version-check --no-cache-dir install \
        --no-index --find-links "$lib/wheels" --no-deps --require-hashes -r "$lib/requirements.txt"
    # However the command is started, it imports only what was installed.
    sed -i "1s|.*|#!$environment/bin/python -I|" "$environment/bin/spotter"
    ln -s /usr/share/spotter-agent/docs "$environment/docs"
    "$environment/bin/spotter" --version >/dev/null
    mkdir -p "$environment/share"
    sync -f "$environment"
    echo "$identity" >"$environment/share/release.new"
    sync "$environment/share/release.new"
    mv "$environment/share/release.new" "$environment/share/release"
    trap - EXIT INT TERM HUP
}

switch() {
    ln -sfn "$environment" "$home/current.new"
    mv -T "$home/current.new" "$home/current"
    sync -f "$home"
}

prune() {
    kept=$(current)
    for old in "$home"/versions/*; do
        [ "$old" = "$kept" ] || rm -rf "$old"
    done
    rm -f "$home/previous"    # of an installation without the package
}

case ${1:-} in
make | prune)
    one_at_a_time
    "$1"
    ;;
*)
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
