# shellcheck shell=bash disable=SC2034,SC2154  # repository, suite, folder and root are the caller's, or root.sh's
# A machine made of the system of root.sh, with systemd as process 1 and a disk of its own, for machine.sh.
#
# Two kinds.  `vm` is a virtual machine with Debian's kernel; it needs qemu-system-x86, qemu-utils and an SSH client, and
# KVM, without which it takes ten times as long.  `container` is systemd-nspawn (package systemd-container) on the
# kernel of this box, with processes, users, network and disk of its own.  SPOTTER_GUEST chooses; without it a box with
# KVM makes a virtual machine, others a container.
#
# Neither has a network beyond this box: of the ports of this box, those that are named are reached from inside.

check_tools() {
    local tool missing=() needed=(debootstrap mkfs.ext4)
    # A hypervisor that lends /dev/kvm without the processor's own support runs only kernels made for it.
    # A box that does other work, too, may take several times as long for everything.
    acceleration=(-accel kvm -cpu host) patience=5 kind=${SPOTTER_GUEST:-vm}
    { grep -qw 'vmx\|svm' /proc/cpuinfo && : </dev/kvm; } 2>/dev/null || {
        acceleration=(-accel "tcg,thread=multi" -cpu max)
        kind=${SPOTTER_GUEST:-container}
        [ "$kind" = container ] || patience=20
        echo "no KVM with hardware support on this box: a $kind$([ "$kind" = container ] || echo ", emulated, which takes ten times as long")" >&2
    }
    if [ "$kind" = vm ]; then needed+=(qemu-system-x86_64 qemu-img ssh); else needed+=(systemd-nspawn nsenter ip); fi
    for tool in "${needed[@]}"; do command -v "$tool" >/dev/null || missing+=("$tool"); done
    [ "${#missing[@]}" -eq 0 ] || {
        echo "missing: ${missing[*]}; sudo apt install debootstrap e2fsprogs qemu-system-x86 qemu-utils openssh-client systemd-container iproute2" >&2
        exit 1
    }
    up=$folder/$suite-up net=$folder/$suite-net
}

# A disk with the system, a kernel, SSH, and what the package of Spotter depends on in apt's cache, not installed.
make_guest() {    # PACKAGE...: files to put into /root
    make_root guest
    add_packages systemd-sysv dbus udev bsdutils
    [ "$kind" = container ] || {
        add_packages linux-image-cloud-amd64 initramfs-tools openssh-server
        [ -e "$folder/guest-key" ] || ssh-keygen -q -t ed25519 -N '' -f "$folder/guest-key"
        install -D -m 600 "$folder/guest-key.pub" "$root/root/.ssh/authorized_keys"
        printf '[Match]\nName=en*\n[Network]\nDHCP=yes\nLinkLocalAddressing=no\n' >"$root/etc/systemd/network/wired.network"
        within systemctl enable --quiet systemd-networkd
        kernel_file=$folder/$suite-vmlinuz initrd=$folder/$suite-initrd
        cp -L "$root/vmlinuz" "$kernel_file"
        cp -L "$root/initrd.img" "$initrd"
    }
    # What they recommend, too: nobody who installs a package by hand leaves that out.
    within env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --download-only python3-venv libegl1 libgles2 >/dev/null
    echo "$suite-station" >"$root/etc/hostname"
    printf '127.0.0.1 localhost %s-station\n' "$suite" >"$root/etc/hosts"
    rm -f "$root/etc/apt/apt.conf.d/"*proxy*
    echo 'Acquire::http::Timeout "5"; Acquire::Retries "0";' >"$root/etc/apt/apt.conf.d/90alone"
    mkdir -p "$root/root/packages"
    cp "$@" "$root/root/packages/"
    umount --recursive "$root/proc" "$root/sys" "$root/dev"
    disk=$folder/$suite-guest.img
    rm -f "$disk"
    truncate --size 10G "$disk"
    mkfs.ext4 -q -L root -d "$root" "$disk"
    umount "$root"
    rm -rf --one-file-system "$root"
}

# -- start and end ---------------------------------------------------------------------------------

# Runs a program of this box where the machine reaches its ports: a container has a network of its own.
beside() {    # COMMAND
    if [ "$kind" = vm ]; then exec "$@"; fi
    exec nsenter --net="$net" "$@"
}

make_network() {
    [ "$kind" = container ] || return 0
    touch "$net"
    unshare --net="$net" ip link set lo up
}

boot() {    # PORT...: of this box, reached from inside by the same number
    if [ "$kind" = vm ]; then start_vm "$@"; else start_container; fi
}

start_vm() {
    local port forwards=()
    guest_port=$(free_port)
    qemu-system-x86_64 -name spotter-guest "${acceleration[@]}" -machine q35 -smp 2 -m 3072 \
        -nodefaults -no-user-config -display none -no-reboot -device virtio-rng-pci \
        -kernel "$kernel_file" -initrd "$initrd" -append "root=/dev/vda rw console=ttyS0 panic=-1" \
        -drive "file=$disk,format=raw,if=none,id=disk,cache=unsafe,discard=unmap" -device virtio-blk-pci,drive=disk \
        -netdev "user,id=net,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:$guest_port-:22" -device virtio-net-pci,netdev=net \
        -serial "file:$disk.console" >"$disk.log" 2>&1 &
    guest=$!
    wait_until "SSH answers" inside true
    for port in "$@"; do forwards+=(-R "127.0.0.1:$port:127.0.0.1:$port"); done
    connect -n -N "${forwards[@]}" &
}

# With the one hierarchy of control groups that every systemd knows, and in groups of its own: it takes whatever group
# it is started in for the top.
start_container() {
    local hierarchy
    mkdir -p "$up"
    mount -o loop "$disk" "$up"
    (
        for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
            [ -e "$hierarchy/cgroup.procs" ] || continue
            mkdir -p "$hierarchy/spotter-guest"
            echo "$BASHPID" >"$hierarchy/spotter-guest/cgroup.procs"
        done
        export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
        exec systemd-nspawn --quiet --register=no --keep-unit --boot --console=pipe --directory "$up" \
            --network-namespace-path="$net"
    ) >"$disk.log" 2>&1 </dev/null &
    guest=$!
    wait_until "systemd is there" find_leader
    wait_until "systemd answers" inside systemctl is-active dbus
}

# Process 1 of the container, a child of systemd-nspawn.
find_leader() {
    leader=$(pgrep --parent "$guest" --exact systemd) && [ -n "$leader" ]
}

reboot_guest() {    # PORT...
    inside systemctl "$([ "$kind" = vm ] && echo reboot || echo poweroff)" || true
    wait "$guest" || true
    [ "$kind" = vm ] || take_down
    boot "$@"
}

# What a power cut leaves is what had reached the disk.
cut_power() {
    if [ "$kind" = vm ]; then
        kill -KILL "$guest"
        wait "$guest" 2>/dev/null || true
    else
        lose_memory "$up"
        kill -KILL "$leader"
        wait "$guest" 2>/dev/null || true
        take_down
    fi
}

# FS_IOC_SHUTDOWN of ext4, without flushing its journal: what is only in memory never reaches the disk.
lose_memory() {    # MOUNT
    python3 -I - "$1" <<'PYTHON'
import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 2))
PYTHON
}

# What a container leaves of its control groups.
remove_groups() {
    find /sys/fs/cgroup/spotter-guest /sys/fs/cgroup/systemd/spotter-guest /sys/fs/cgroup/unified/spotter-guest \
        -depth -type d -exec rmdir {} \; 2>/dev/null || true
}

# What was killed may take a moment to let go.
take_down() {
    local tries
    for tries in $(seq 100); do
        ! umount "$up" 2>/dev/null || return 0
        sleep 0.1
    done
    fail "$up is still in use"
}

# -- commands inside -------------------------------------------------------------------------------

connect() {    # COMMAND, of one shell's words
    if [ "$kind" = vm ]; then
        ssh -o User=root -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=20 \
            -o ServerAliveInterval=10 -o ServerAliveCountMax=30 -i "$folder/guest-key" -p "$guest_port" 127.0.0.1 "$@"
    else
        nsenter --target "$leader" --mount --uts --ipc --net --pid --cgroup -- \
            /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb /bin/sh -c "cd /; $*"
    fi
}
inside() { connect "$@" </dev/null; }
give() { connect "cat >'$1'"; }    # FILE, from standard input

# Waits for a command to succeed; its words are what is waited for.
wait_until() {    # WORDS COMMAND...
    local what=$1 end=$((SECONDS + 180 * patience))
    shift
    until "$@" >/dev/null 2>&1; do
        kill -0 "$guest" 2>/dev/null || fail "the machine ended: $(tail -n 20 "$disk.log")"
        [ "$SECONDS" -lt "$end" ] || fail "not in $((180 * patience)) s: $what"
        sleep 1
    done
}
