# shellcheck shell=bash disable=SC2154  # suite and folder are the caller's
# A fresh minimal Debian to try things in, for the scripts beside this one.  They set `suite` and `folder`, and
# then call `alone "$@"`, `make_root NAME` and `within COMMAND`.
#
# Needs debootstrap and a network.  What this box needs to reach one goes along: its name servers, the proxy of
# apt, and, where PIP_CERT or pip's settings name one, the certificates that pip trusts.
# SPOTTER_ROOT_MIRROR names another mirror than debootstrap's own.

readonly trusted=/usr/local/share/trusted.pem

# Everything that is mounted or started afterwards is gone with this process.
alone() {
    [ "$(id -u)" -eq 0 ] || { echo "only root can make a system: sudo $0 $*" >&2; exit 1; }
    [ -n "${SPOTTER_ROOT_INSIDE:-}" ] || exec env SPOTTER_ROOT_INSIDE=1 \
        unshare --mount --pid --fork --kill-child --mount-proc --propagation private "$0" "$@"
}

make_pristine() {
    [ ! -e "$pristine.done" ] || return 0
    rm -rf --one-file-system "$pristine"
    mkdir -p "$pristine"
    # shellcheck disable=SC2086  # no mirror is no word
    debootstrap --variant=minbase "$suite" "$pristine" ${SPOTTER_ROOT_MIRROR:-} >"$pristine.log" 2>&1 ||
        { tail -n 5 "$pristine.log" >&2; exit 1; }
    touch "$pristine.done"
}

# A copy of the system as it was made, mounted as a root of its own.
make_root() {    # NAME
    pristine=$folder/$suite
    root=$folder/$suite-$1
    make_pristine
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
    within apt-get update -qq
}

add_packages() { within env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }

within() {
    chroot "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb "$@"
}
