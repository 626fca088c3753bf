#!/usr/bin/env bash
# Unpacks the tritonserver of the tests into .cache/triton; does nothing if it is there. Run it after `make` has made
# the environment: the python backend runs the models with that environment's NumPy and ONNX Runtime.
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHON=.venv/bin/python
TARGET=.cache/triton
LIBRARY=.cache/libpython
LOCK=requirements/triton-test.txt

fail() { echo "tests/triton/install.sh: $*" >&2; exit 1; }

[ -x "$PYTHON" ] || fail "there is no environment yet; run 'make check' or 'make test'"
VERSION=$("$PYTHON" -c 'import sys; print("{}.{}".format(*sys.version_info))')

if ! cmp -s "$LOCK" "$TARGET/installed.txt"; then
    echo "unpacking tritonserver for the tests (55 MB)"
    rm -rf "$TARGET" "$TARGET.part"
    mkdir -p "$TARGET.part"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
        --target "$TARGET.part" -r "$LOCK"
    cp "$LOCK" "$TARGET.part/installed.txt"
    mv "$TARGET.part" "$TARGET"
fi

[ -d "$TARGET/pytriton/tritonserver/python_backend_stubs/$VERSION" ] ||
    fail "tritonserver's python backend has no stub for Python $VERSION; make the environment with 3.11, 3.12 or 3.13"

# The backend embeds Python, so it needs the shared library, which Debian packages apart from the interpreter.
finds_library() {
    LD_LIBRARY_PATH="$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))'):$PWD/$LIBRARY" \
        "$PYTHON" -c "import ctypes; ctypes.CDLL('libpython$VERSION.so.1.0')" 2>/dev/null
}
if ! finds_library; then
    command -v apt-get >/dev/null || fail "the shared library of Python $VERSION is missing (libpython$VERSION.so.1.0)"
    echo "unpacking libpython$VERSION for the tests"
    rm -rf "$LIBRARY" && mkdir -p "$LIBRARY/package"
    fetch() { apt-get download -qq "libpython$VERSION"; }
    (cd "$LIBRARY/package" && { fetch || { flock --close /run/lock/veil-apt apt-get update -qq && fetch; }; } &&
        dpkg -x ./*.deb . && find . -name 'libpython*.so.1.0' -exec mv -t .. {} +) ||
        fail "libpython$VERSION could not be unpacked; install the package libpython$VERSION"
    rm -rf "$LIBRARY/package"
    finds_library || fail "the shared library of Python $VERSION cannot be loaded; install libpython$VERSION"
fi
