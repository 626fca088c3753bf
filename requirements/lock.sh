#!/usr/bin/env bash
# Writes the hash-pinned locks from pyproject.toml. No registry address is recorded: pip uses the machine's own.
# Needs uv; pass --upgrade to move to the newest versions.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
    uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --no-header --no-annotate --quiet "$@"
}
compile "$@" -o requirements/dev.txt --extra build --group dev
compile "$@" -o requirements/build.txt --extra build --constraint requirements/dev.txt
compile "$@" -o requirements/runtime.txt --constraint requirements/dev.txt
compile "$@" -o requirements/training.txt --extra build --group training --constraint requirements/dev.txt
# What builds packages inside the image (this one, and dependencies that come as source): pip would fetch it unpinned.
printf '%s\n' hatchling setuptools wheel cffi pkgconfig | uv pip compile - --universal --python-version 3.11 \
    --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet "$@" \
    --constraint requirements/dev.txt -o requirements/backend.txt
# Tools beside the project, in environments of their own (requirements/tools.sh).
for tool in requirements/tools/*.in; do
    uv pip compile "$tool" --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --no-header --no-annotate --quiet "$@" -o "${tool%.in}.txt"
done
