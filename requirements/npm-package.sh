#!/usr/bin/env bash
# requirements/npm-package.sh NAME VERSION SHA512 FOLDER: fetches one npm package, checks it, unpacks it into FOLDER.
# SHA512 is the package's integrity value without "sha512-". Nothing of the package is run.
set -euo pipefail
NAME=$1 VERSION=$2 SHA512=$3 FOLDER=$4

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent --ignore-scripts "$NAME@$VERSION" >/dev/null 2>&1) || {
    echo "npm-package.sh: $NAME $VERSION cannot be fetched with npm" >&2
    exit 1
}
found=$(openssl dgst -sha512 -binary "$work"/*.tgz | base64 --wrap=0)
[ "$found" = "$SHA512" ] || { echo "npm-package.sh: $NAME $VERSION is not what was pinned: $found" >&2; exit 1; }
rm -rf "$FOLDER"
mkdir -p "$FOLDER"
tar --extract --gzip --file "$work"/*.tgz --directory "$FOLDER" --strip-components=1 --no-same-owner
