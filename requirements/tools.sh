#!/usr/bin/env bash
# Installs tools that stand beside the project, pinned by hash, each in an environment of its own below .cache:
#   requirements/tools.sh supply-chain     lists and audits dependencies (CycloneDX, pip-audit)
#   requirements/tools.sh fuzz-test        atheris, for `make fuzz`
# Does nothing where the tool is there already.
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1
lock=requirements/$name.txt
target=.cache/$name
[ -x .venv/bin/python ] || { echo "requirements/tools.sh: there is no environment yet; run 'make test'" >&2; exit 1; }
cmp -s "$lock" "$target/installed.txt" && exit 0
echo "installing $name into $target"
rm -rf "$target"
install() { "$1" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps "${@:2}" -r "$lock"; }
if [ "$name" = fuzz-test ]; then
    # On the path of the project's own Python: what it instruments has to be importable beside it.
    install .venv/bin/python --only-binary :all: --target "$target"
else
    .venv/bin/python -m venv "$target"
    install "$target/bin/python"
fi
cp "$lock" "$target/installed.txt"
