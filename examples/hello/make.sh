#!/bin/sh
# Makes the OCI image layout beside this script from the hand-written files in src/.
#
#   make.sh           writes oci-layout, index.json and blobs/
#   make.sh --check   makes them elsewhere and compares with what is checked in
#
# The result is the same bytes on every machine: names are sorted, times, owners and modes are fixed,
# and the layer is a plain tar, because compressors differ from version to version.
# Needs a POSIX shell, coreutils and GNU tar.
set -eu
LC_ALL=C
export LC_ALL

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

# Moves the file $1 among the blobs of the layout $2 and sets $digest and $size.
add_blob() {
    digest=$(sha256sum "$1" | cut -d' ' -f1)
    size=$(($(wc -c <"$1")))
    mv "$1" "$2/blobs/sha256/$digest"
    digest=sha256:$digest
}

make_layout() {
    out=$1
    mkdir -p "$out/blobs/sha256"

    tar --create --file "$out/layer" --directory "$here/src/rootfs" \
        --format=ustar --sort=name --mtime=@1767225600 \
        --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
        etc hello.txt
    add_blob "$out/layer" "$out"
    layer_digest=$digest layer_size=$size

    sed "s/@LAYER_DIGEST@/$layer_digest/" "$here/src/config.json.in" >"$out/config"
    add_blob "$out/config" "$out"
    config_digest=$digest config_size=$size

    sed -e "s/@CONFIG_DIGEST@/$config_digest/" -e "s/@CONFIG_SIZE@/$config_size/" \
        -e "s/@LAYER_DIGEST@/$layer_digest/" -e "s/@LAYER_SIZE@/$layer_size/" \
        "$here/src/manifest.json.in" >"$out/manifest"
    add_blob "$out/manifest" "$out"

    sed -e "s/@MANIFEST_DIGEST@/$digest/" -e "s/@MANIFEST_SIZE@/$size/" \
        "$here/src/index.json.in" >"$out/index.json"
    printf '%s' '{"imageLayoutVersion":"1.0.0"}' >"$out/oci-layout"
}

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
make_layout "$made"

case ${1-} in
--check)
    for part in oci-layout index.json blobs; do
        diff -r "$made/$part" "$here/$part" || {
            echo "make.sh: $part is not what src/ makes: run examples/hello/make.sh" >&2
            exit 1
        }
    done
    ;;
'')
    rm -rf "$here/blobs"
    cp -R "$made/oci-layout" "$made/index.json" "$made/blobs" "$here/"
    ;;
*)
    echo "usage: make.sh [--check]" >&2
    exit 2
    ;;
esac
