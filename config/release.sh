#!/bin/bash
# Checks this tree and builds a release of it into dist/VERSION: source, sdist, wheel, Debian packages for both kinds
# of processor, an SBOM (CycloneDX), and SHA256SUMS.  `make release` calls it.
#
#   TESTED=yes     the suite has passed on this commit: leave it out
#   REHEARSAL=yes  accept changes that are not committed, and a section of the changelog without a date
#
# Everything is built twice, and the two must be equal to the byte.  It sets no tag: that is the last step, by hand.

set -euo pipefail
umask 022
export LC_ALL=C TZ=UTC

cd "$(dirname "$0")/.."
readonly python=$PWD/.venv/bin/python
number=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' agent/__init__.py)
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH

fail() {
    echo "release.sh: $1" >&2
    exit 1
}

check_tree() {
    local section
    section=$(grep -m 1 '^## ' CHANGELOG.md)
    if [ "${REHEARSAL:-}" != yes ]; then
        [ -z "$(git status --porcelain)" ] || fail "there are changes that are not committed"
        [[ $section =~ ^"## $number ("[0-9]{4}-[0-9]{2}-[0-9]{2}")"$ ]] ||
            fail "CHANGELOG.md must begin with the section \"## $number (YYYY-MM-DD)\", not \"$section\""
        ! git rev-parse --quiet --verify "refs/tags/v$number" >/dev/null || fail "the tag v$number exists"
    fi
    [[ $section == "## $number "* ]] || fail "CHANGELOG.md must begin with the section of $number, not \"$section\""
    make check
    [ "${TESTED:-}" = yes ] || make test
}

build() {    # FOLDER
    local out=$1 work arch
    work=$(mktemp -d)
    mkdir -p "$out"
    git archive --format=tar --prefix="spotter-$number/" HEAD | gzip -9n >"$out/spotter-$number.tar.gz"
    build_sdist "$work" "$out"
    for arch in amd64 arm64; do
        config/debian/build.sh "$arch" "$out"
        dpkg-deb --fsys-tarfile "$out/spotter-agent_${number}_$arch.deb" |
            tar --extract --directory "$work" ./usr/lib/spotter-agent/wheels
    done
    cp "$work/usr/lib/spotter-agent/wheels/spotter_agent-$number-py3-none-any.whl" "$out/"
    "$python" -m tests.tools.sbom "$work/usr/lib/spotter-agent/wheels" >"$out/spotter-agent-$number.cdx.json"
    rm -rf "$work"
    (cd "$out" && sha256sum -- *.tar.gz *.whl *.deb *.json >SHA256SUMS)
}

# Packed again, since setuptools leaves the moment of packing in it.
build_sdist() {    # WORK FOLDER
    local name=spotter_agent-$number copy=$1/source
    mkdir -p "$copy" "$1/sdist"
    git archive --format=tar HEAD agent analysis pyproject.toml README.md LICENSE NOTICE | tar --extract --directory "$copy"
    (cd "$copy" && "$python" -I -c "import setuptools.build_meta as build; build.build_sdist('$1/sdist')" >/dev/null)
    tar --extract --file "$1/sdist/$name.tar.gz" --directory "$1/sdist"
    tar --create --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
        --directory "$1/sdist" "$name" | gzip -9n >"$2/$name.tar.gz"
}

check_tree
rm -rf "dist/$number.new" "dist/$number.again"
build "dist/$number.new"
build "dist/$number.again"
cmp "dist/$number.new/SHA256SUMS" "dist/$number.again/SHA256SUMS" || fail "two builds of the same tree differ"
rm -rf "dist/$number.again" "dist/${number:?}"
mv "dist/$number.new" "dist/$number"
(cd "dist/$number" && sha256sum --check --quiet SHA256SUMS && ls -sh1)
echo "dist/$number is complete.  To publish it: git tag --sign v$number, and upload the folder"
