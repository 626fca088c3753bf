#!/bin/sh
# Installs libturbojpeg, with which JPEGs are changed under their masks only: where apt and root are at hand. Elsewhere
# it prints the one command. Quick where it is there already. Never fails: the service works without, and says so.
set -u

found() { ldconfig -p 2>/dev/null | grep -q 'libturbojpeg\.so\.0'; }

found && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing libturbojpeg0"
    install='apt-get install --quiet --quiet --yes --no-install-recommends libturbojpeg0'
    { $install || { apt-get update --quiet --quiet && $install; }; } >/dev/null 2>&1
    found && exit 0
fi
echo "libturbojpeg is missing: JPEGs will be encoded anew, not only changed under their masks. Install it with:" >&2
echo "    sudo apt install libturbojpeg0     (Fedora: sudo dnf install turbojpeg; Alpine: apk add libjpeg-turbo)" >&2
