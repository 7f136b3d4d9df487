#!/bin/bash
# The README's two commands on a fresh minimal Debian: `make demo` and `make test`, in a clone of this tree.
#
#   sudo tests/systems/fresh_root.sh SUITE FOLDER [root|user] [COMMAND]
#
# SUITE is bookworm, trixie, ...; FOLDER gets the system (2 to 4 GB, kept for the next run; remove it by hand).
# As root there is no sudo; as a user there is.  COMMAND stands in the place of "make demo && make test", as in
#
#   sudo tests/systems/fresh_root.sh trixie /var/tmp/roots user 'make setup && .venv/bin/pytest tests/unit'
#
# Needs debootstrap, git and a network.  What this box needs to reach one goes along: its name servers, the
# proxy of apt, and, where PIP_CERT or pip's settings name one, the certificates that pip trusts.
# SPOTTER_ROOT_MIRROR names another mirror than debootstrap's own.

set -euo pipefail

suite=${1:?"a release of Debian, as in: fresh_root.sh bookworm /var/tmp/roots"}
folder=${2:?"a folder for the system, as in: fresh_root.sh bookworm /var/tmp/roots"}
who=${3:-root}
command=${4:-make demo && make test}
repository=$(cd "$(dirname "$0")/../.." && pwd)
pristine=$folder/$suite
root=$folder/$suite-$who
readonly trusted=/usr/local/share/trusted.pem

[ "$(id -u)" -eq 0 ] || { echo "only root can make a system: sudo $0 $*" >&2; exit 1; }
case $who in root | user) ;; *) echo "as root or as user, not as $who" >&2; exit 2 ;; esac

# Everything that is mounted or started below is gone with this process.
if [ -z "${SPOTTER_ROOT_INSIDE:-}" ]; then
    exec env SPOTTER_ROOT_INSIDE=1 unshare --mount --pid --fork --kill-child --propagation private "$0" "$@"
fi

make_pristine() {
    [ ! -e "$pristine.done" ] || return 0
    rm -rf --one-file-system "$pristine"
    mkdir -p "$pristine"
    # shellcheck disable=SC2086  # no mirror is no word
    debootstrap --variant=minbase "$suite" "$pristine" ${SPOTTER_ROOT_MIRROR:-} >"$pristine.log" 2>&1 ||
        { tail -n 5 "$pristine.log" >&2; exit 1; }
    touch "$pristine.done"
}

# What a box needs to reach its network, and Debian's python3, python3-venv and make; for the user sudo too.
make_fresh() {
    rm -rf --one-file-system "$root"
    cp -a "$pristine" "$root"
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    cp /etc/apt/apt.conf.d/*proxy* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
    local certificates=${PIP_CERT:-$(python3 -m pip config get global.cert 2>/dev/null || true)}
    [ -z "$certificates" ] || cp -L "$certificates" "$root$trusted"
    mount --bind "$root" "$root"    # a root is a mount, and may have others made of it
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    local basic=(python3 python3-venv make)
    [ "$who" = root ] || basic+=(sudo)
    within apt-get update -qq
    within env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${basic[@]}" >/dev/null
    [ "$who" = root ] || {
        within useradd --create-home --shell /bin/bash user
        echo 'user ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/user"
        chmod 440 "$root/etc/sudoers.d/user"
    }
}

within() {
    chroot "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb "$@"
}

make_pristine
make_fresh
home=/root
[ "$who" = root ] || home=/home/user
git -c safe.directory='*' clone --quiet --no-hardlinks "file://$repository" "$root$home/spotter"
[ "$who" = root ] || within chown -R user:user "$home/spotter"
environment=(HOME="$home" USER="$who")
[ ! -e "$root$trusted" ] || environment+=(PIP_CERT="$trusted")
words=(/bin/bash -c "cd $home/spotter && $command")
if [ "$who" = root ]; then
    within env "${environment[@]}" "${words[@]}"
else
    within setpriv --reuid user --regid user --init-groups env "${environment[@]}" "${words[@]}"
fi
echo "green on a fresh $suite as $who: $command"
