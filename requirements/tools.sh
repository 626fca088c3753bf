#!/usr/bin/env bash
# Installs tools that stand beside the project, pinned by hash, each in an environment of its own, .cache/NAME:
#   requirements/tools.sh NAME...          requirements/tools/NAME.in says what it is and who needs it
# Does nothing where the tool is there already.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || { echo "requirements/tools.sh: there is no environment yet; run 'make test'" >&2; exit 1; }

# Most of what they bring is never imported: what is, Python compiles then.
install() {
    "$1" -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes --no-deps "${@:2}"
}

tool() {
    local name=$1 lock=requirements/tools/$1.txt target=.cache/$1
    cmp -s "$lock" "$target/installed.txt" && return
    echo "installing $name into $target"
    rm -rf "$target"
    if [ "$name" = fuzz ]; then
        # On the path of the project's own Python: what it instruments has to be importable beside it.
        install .venv/bin/python --only-binary :all: --target "$target" -r "$lock"
    else
        .venv/bin/python -m venv "$target"
        # Some come as source only: what builds them is pinned too, instead of fetched by pip on the way.
        install "$target/bin/python" --only-binary :all: -r requirements/backend.txt
        install "$target/bin/python" --no-build-isolation -r "$lock"
    fi
    [ "$name" != recognizer ] ||
        rm "$target"/lib/python*/site-packages/face_recognition_models/models/{shape_predictor_68*,mmod*}
    cp "$lock" "$target/installed.txt"
}

for name; do tool "$name"; done
