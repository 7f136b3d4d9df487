# shellcheck shell=bash disable=SC2034,SC2154  # repository, suite, folder and root are the caller's, or root.sh's
# A station that is installed from its package, in the system of root.sh: for deb.sh, apt.sh and ansible.sh.

readonly settings=/etc/spotter/station.toml
readonly earlier=0.0.9    # what the release before is called here

say() { echo "$(date +%T) $suite: $*"; }
fail() {
    echo "FAILED on $suite: $*" >&2
    tail -n 5 "$root"/tmp/*.log >&2 || true
    exit 1
}

# A copy of this tree as another version, in `tree`.
copy_tree() {    # VERSION
    tree=$folder/tree-$1
    rm -rf "$tree"
    mkdir -p "$tree"
    tar -C "$repository" --exclude=__pycache__ --create Makefile README.md CHANGELOG.md LICENSE NOTICE pyproject.toml \
        requirements.lock agent analysis config docs systemd tests | tar --extract --directory "$tree"
    echo "__version__ = \"$1\"" >"$tree/agent/__init__.py"
    ln -s "$repository/.venv" "$tree/.venv"
}

# The package of a tree into $folder/packages; sets `built` to its name.
build_package() {    # TREE
    local version arch
    version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$1/agent/__init__.py")
    arch=$(dpkg --print-architecture)
    export SPOTTER_WHEELS=${SPOTTER_WHEELS:-$repository/build/wheels}
    "$1/config/debian/build.sh" "$arch" "$folder/packages"
    built=spotter-agent_${version}_$arch.deb
}

# This tree's package in `new`, its version in `number`; and the same as an earlier version in `old`.
build_both() {
    number=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$repository/agent/__init__.py")
    [ "$number" != "$earlier" ] || fail "this tree is version $earlier itself"
    build_package "$repository"
    new=$built
    copy_tree "$earlier"
    build_package "$tree"
    old=$built
}

file_of() { echo "spotter-agent_$1_$(dpkg --print-architecture).deb"; }    # VERSION

# The facility's repository in `rings`, which is served at 127.0.0.1:`served`.
make_rings() {
    rings=$folder/repository
    export GNUPGHOME=$folder/keys
    rm -rf "$rings" "$GNUPGHOME"
    mkdir -m 700 "$GNUPGHOME"
    local name
    for name in facility stranger; do
        gpg --batch --quiet --passphrase '' --quick-generate-key "$name" ed25519 sign 1y 2>/dev/null
    done
    "$repository/config/apt/repository.sh" init "$rings" facility
    gpg --batch --armor --export stranger >"$rings/stranger.asc"
    served=$(free_port)
    python3 -I -m http.server --bind 127.0.0.1 --directory "$rings" "$served" >"$folder/served.log" 2>&1 &
}

# Web servers and apt compare times by the second: two changes in one would be taken for one.
ring() {    # COMMAND OPTION...
    sleep 1
    "$repository/config/apt/repository.sh" "$1" "$rings" "${@:2}" >/dev/null
}

install_package() {    # FILE OPTION...
    local file=$1
    shift
    within env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" "/packages/$file" \
        >"$root/tmp/apt.log" 2>&1 || fail "apt install $file"
}

version_is() { [ "$(within spotter --version 2>&1)" = "spotter, version $1" ] || fail "spotter --version says $(within spotter --version 2>&1)"; }
# shellcheck disable=SC2016  # dpkg-query's own variable
status() { within dpkg-query --show --showformat='${db:Status-Status}' spotter-agent 2>/dev/null || true; }

# What a person does afterwards.  A package that was cut while it was unpacked is half-installed, or unpacked and to be
# installed again: dpkg refuses to configure it, whatever package it is, and it has to be given once more.
end_installation() {    # FILE
    within dpkg --configure -a >"$root/tmp/ended.log" 2>&1 || grep -q "inconsistent state" "$root/tmp/ended.log" || fail "dpkg --configure -a"
    [ "$(status)" = installed ] || within env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --reinstall "/packages/$1" \
        >>"$root/tmp/ended.log" 2>&1 || fail "apt install --reinstall $1"
    [ "$(status)" = installed ] || fail "the package is $(status)"
}

digest() { within sh -c "find $* -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum"; }

readonly own=(setpriv --reuid spotter --regid spotter --init-groups)
as_spotter() { within "${own[@]}" "$@"; }

free_port() { python3 -I -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

set_up_station() {
    port=$(free_port)
    cat >"$root$settings" <<WORDS
[station]
id = "deb"
activity = "weightlifting"
exercise = "snatch"
user_id = "someUserId123"
barbell_mass = 60

[api]
base_url = "http://127.0.0.1:$port"

[capture]
settle_s = 1.0
rescan_s = 5.0

[delivery]
send_delay_s = 0
reconcile_wait_s = 1

[web]
listen = ""
WORDS
    echo sandbox-key >"$root/etc/spotter/api-key"
    mkdir -p "$root/received"
}

# Each program replaces the one before, so that $! is the one that shall be ended.
in_background() {    # LOG COMMAND
    local log=$root/tmp/$1.log
    shift
    chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" >>"$log" 2>&1 &
}

start_sandbox() {
    in_background sandbox /opt/spotter/current/bin/spotter sandbox --port "$port" --processing 1 --keep /received
    sandbox=$!
}

start_daemon() {
    in_background daemon "${own[@]}" spotter run --config "$settings"
    daemon=$!
}

end_process() {    # PID
    kill "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

film() {    # FPS: recordings differ by it
    within /opt/spotter/current/bin/python -I -m agent.synthetic --storyboard demo --fps "$1" --out "/tmp/take-$1.mp4"
    within install -o spotter -g spotter -m 660 "/tmp/take-$1.mp4" "/var/lib/spotter/capture/take-$1.mp4"
}

count_state() { as_spotter spotter outbox list --all --json | python3 -I -c "import json, sys; print(sum(row['state'] == '$1' for row in json.load(sys.stdin)))"; }

wait_for() {    # COUNT STATE
    local tries
    for tries in $(seq 600); do
        [ "$(count_state "$2")" -lt "$1" ] || return 0
        sleep 1
    done
    fail "no $1 $2 after $tries s: $(as_spotter spotter outbox list --all)"
}

received() { find "$root/received" -type f -name '*.mp4' | wc -l; }
