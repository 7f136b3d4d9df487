#!/bin/bash
# The facility's package repository, with two rings: canary gets a release first, stable after it was promoted.
#
#   config/apt/repository.sh init FOLDER KEY        create it, signed with a GPG key of this machine
#   config/apt/repository.sh add FOLDER PACKAGE...  put a release's packages into canary
#   config/apt/repository.sh promote FOLDER         what canary has gets into stable, too
#   config/apt/repository.sh remove FOLDER RING     take the package out of a ring: nobody updates from it
#   config/apt/repository.sh list FOLDER            show what each ring has
#
# FOLDER is served by any web server, dists/ and pool/ to everybody, conf/ and db/ to nobody.  Needs reprepro and
# gpg.  docs/fleet.md has the whole course.

set -euo pipefail
umask 022

readonly package=spotter-agent
readonly rings=(canary stable)

fail() {
    echo "repository.sh: $1" >&2
    [ $# -lt 2 ] || echo "  $2" >&2
    exit 1
}
usage() {
    sed -n '4,8s/^#  *//p' "$0" >&2
    exit 2
}
in_repository() { reprepro --silent --basedir "$folder" "$@"; }
is_made() { [ -e "$folder/conf/distributions" ] || fail "$folder is not a repository" "$0 init $folder KEY"; }

init() {    # KEY
    local fingerprint ring
    [ ! -e "$folder/conf/distributions" ] || fail "$folder is a repository already"
    fingerprint=$(gpg --batch --with-colons --list-secret-keys "$1" 2>/dev/null | awk -F : '$1 == "fpr" { print $10; exit }')
    [ -n "$fingerprint" ] ||
        fail "no secret key $1 on this machine" "gpg --quick-generate-key 'Gym packages' ed25519 sign 5y"
    mkdir -p "$folder/conf"
    for ring in "${rings[@]}"; do
        cat <<WORDS
Origin: Spotter
Label: Spotter
Suite: $ring
Codename: $ring
Components: main
Architectures: amd64 arm64
Description: Spotter, ring $ring
SignWith: $fingerprint

WORDS
    done >"$folder/conf/distributions"
    gpg --batch --armor --export "$fingerprint" >"$folder/spotter.asc"
    in_repository export
    echo "$folder is a repository with the rings ${rings[*]}; stations trust $folder/spotter.asc"
}

add() {    # PACKAGE...
    local file
    [ $# -gt 0 ] || usage
    for file in "$@"; do
        [ "$(dpkg-deb --field "$file" Package 2>/dev/null)" = "$package" ] || fail "$file is not a package of Spotter"
    done
    for file in "$@"; do in_repository includedeb canary "$file"; done
    list
}

promote() {
    [ -n "$(in_repository list canary "$package")" ] || fail "canary has no package"
    in_repository copy stable canary "$package"
    list
}

remove() {    # RING
    case " ${rings[*]} " in
    *" ${1:-} "*) ;;
    *) usage ;;
    esac
    in_repository remove "$1" "$package"
    list
}

list() {
    local ring
    for ring in "${rings[@]}"; do
        in_repository --list-format "$ring: \${\$architecture} \${version}\n" list "$ring" "$package" | grep . || echo "$ring: nothing"
    done
}

command=${1:-}
[ $# -ge 2 ] || usage
folder=$(realpath "$2")
shift 2
command -v reprepro >/dev/null || fail "reprepro is not installed" "sudo apt install reprepro gpg"
case $command in
init)
    [ $# -eq 1 ] || usage
    init "$1"
    ;;
add | promote | remove | list)
    is_made
    "$command" "$@"
    ;;
*) usage ;;
esac
