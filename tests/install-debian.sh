#!/bin/sh
# Installs the Debian packages that tests use: where apt and root are at hand. Elsewhere it prints the one command.
set -u

packages='libturbojpeg0 libimage-exiftool-perl chromium caddy faketime iproute2 strace prometheus'

missing=''
for each in $packages; do
    dpkg-query --show --showformat='${Status}' "$each" 2>/dev/null | grep -q 'ok installed' || missing="$missing $each"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing$missing"
    # One at a time: the container tests install packages, too.
    apt='flock --close /run/lock/veil-apt apt-get --quiet --quiet'
    install="$apt install --yes --no-install-recommends$missing"
    { $install || { $apt update && $install; }; } >/dev/null 2>&1 && exit 0
fi
echo "Some tests need packages that are missing. Install them with:" >&2
echo "    sudo apt install$missing" >&2
exit 1
