#!/usr/bin/env bash
# Writes service/page/vendor/ from the packages that requirements/page.txt pins: the files that the page uses, and each
# license. The result is committed, so neither the build nor the service needs npm. `--check` compares instead.
# One thing is changed: browsers do not find a bare "three", so the viewer's imports name the file.
set -euo pipefail
cd "$(dirname "$0")/.."
TARGET=service/page/vendor
LIST=requirements/page.txt

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fetch() { # NAME FOLDER FILE…: the files of package NAME into FOLDER
    local name=$1 folder=$work/vendor/$2 version sha512 file
    shift 2
    read -r _ version sha512 < <(grep --fixed-strings "$name " "$LIST")
    bash requirements/npm-package.sh "$name" "$version" "$sha512" "$work/package"
    mkdir -p "$folder"
    for file in "$@"; do cp "$work/package/$file" "$folder/"; done
    cp "$work/package/LICENSE" "$folder/LICENSE.txt"
    echo "$name $version" >>"$work/vendor/VERSIONS.txt"
}

mkdir -p "$work/vendor"
fetch @photo-sphere-viewer/core photo-sphere-viewer index.module.js index.css
fetch three three build/three.module.min.js build/three.core.min.js
fetch fflate fflate esm/browser.js
fetch @noble/hashes noble-hashes sha2.js _md.js _u64.js utils.js
fetch @noble/ed25519 noble-ed25519 index.js
sed --in-place --expression 's#from "three"#from "../three/three.module.min.js"#' \
    --expression '/^\/\/# sourceMappingURL=/d' "$work/vendor/photo-sphere-viewer/index.module.js"
sed --in-place '/sourceMappingURL=/d' "$work/vendor/photo-sphere-viewer/index.css"
chmod -R u=rwX,go=rX "$work/vendor"

if [ "${1:-}" = --check ]; then
    diff --recursive --brief "$work/vendor" "$TARGET" && echo "the vendored files are those of the pinned packages"
else
    rm -rf "$TARGET"
    cp -R "$work/vendor" "$TARGET"
fi
