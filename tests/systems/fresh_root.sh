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
# Needs debootstrap, git and a network; root.sh says what goes along.

set -euo pipefail

suite=${1:?"a release of Debian, as in: fresh_root.sh bookworm /var/tmp/roots"}
folder=${2:?"a folder for the system, as in: fresh_root.sh bookworm /var/tmp/roots"}
who=${3:-root}
command=${4:-make demo && make test}
repository=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/systems/root.sh
. "$repository/tests/systems/root.sh"

case $who in root | user) ;; *) echo "as root or as user, not as $who" >&2; exit 2 ;; esac
alone "$@"
make_root "$who"
add_packages python3 python3-venv make
[ "$who" = root ] || {
    add_packages sudo
    within useradd --create-home --shell /bin/bash user
    echo 'user ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/user"
    chmod 440 "$root/etc/sudoers.d/user"
}
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
