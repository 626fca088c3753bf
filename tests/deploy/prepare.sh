#!/usr/bin/env bash
# Readies this machine for the container tests: podman and buildah from the distribution, podman-compose, a base image
# from the distribution's mirror in place of the registry's, stand-ins for PostgreSQL and Triton, and the service's own
# image from the Dockerfile. Everything stays under .cache/containers, so that the next time only what changed is built.
#
# Needs root and Debian's or Ubuntu's apt. Exits with 75 and the reason if the machine cannot do it at all. A second one
# waits for the first, and then finds everything done.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PATH=$PATH:/usr/sbin:/sbin
cache=$PWD/.cache/containers
stand_ins=tests/deploy/stand_ins

unable() { echo "$*" >&2; exit 75; }
say() { echo "prepare: $*"; }

[ "$(id -u)" = 0 ] || unable "containers need root"
command -v apt-get > /dev/null || unable "containers need apt (Debian or Ubuntu)"
[ "$(uname -m)" = x86_64 ] || unable "the tritonserver that stands in is for x86-64"

mkdir -p "$cache/networks"
if [ -z "${PREPARING:-}" ]; then
    PREPARING=1 exec flock --close "$cache/lock" bash "${BASH_SOURCE[0]}"
fi

packages="podman buildah runc iptables iproute2 netavark aardvark-dns catatonit debootstrap"
missing=
for tool in podman buildah runc debootstrap catatonit; do command -v $tool > /dev/null || missing=$tool; done
if [ -n "$missing" ]; then
    say "installing $packages"
    export DEBIAN_FRONTEND=noninteractive
    apt="flock --close /run/lock/veil-apt apt-get" # other scripts of the tests install packages, too
    { $apt update && $apt install --yes --no-install-recommends $packages; } > /dev/null ||
        unable "apt cannot install $packages"
fi

# --- a podman of our own: its images, containers and networks are apart from the machine's
export CONTAINERS_STORAGE_CONF=$cache/storage.conf CONTAINERS_CONF=$cache/containers.conf
state=/run/veil-tests-$(printf %s "$cache" | cksum | cut -d ' ' -f 1) # short: sockets live here
write_storage() {
    printf '[storage]\ndriver = "%s"\ngraphroot = "%s/storage"\nrunroot = "%s"\n' "$1" "$cache" "$state" > "$cache/storage.conf"
}
cat > "$cache/containers.conf" << END
[containers]
# The usual defaults are above what root may set on some machines.
default_ulimits = ["nofile=1024:4096", "nproc=1024:1024"]
[engine]
# crun fails where the two versions of cgroups are mixed.
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
network_config_dir = "$cache/networks"
END
if [ ! -f "$cache/storage.conf" ]; then
    write_storage overlay
    podman info > /dev/null 2>&1 || write_storage vfs
fi
podman info > /dev/null || unable "podman does not run on this machine"

# --- the base image
if ! podman image exists localhost/base:bookworm; then
    mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE)' 'Created-By: Packages' |
        awk '$2 == "bookworm" { print $1; exit }')
    say "making the base image"
    root=$(mktemp -d "$cache/base-XXXXXX")
    trap 'rm -rf "$root"' EXIT
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv,libturbojpeg0 \
        bookworm "$root" ${mirror:+"$mirror"} > "$cache/debootstrap.log" ||
        unable "debootstrap failed; see $cache/debootstrap.log"
    tar -C "$root" -c . | podman import --quiet - localhost/base:bookworm > /dev/null
fi

# --- images: the machine's own way to the package registries is lent to the build, and stays out of the layers
lent=()
for file in /etc/ssl/certs/ca-certificates.crt /etc/pip.conf /etc/resolv.conf /etc/hosts; do
    [ ! -e "$file" ] || lent+=(--volume "$file:$file:ro")
done
build() { # NAME CONTEXT [OPTION...]
    local name=$1 context=$2 log
    shift 2
    log=$cache/build-${name//[:\/]/-}.log
    say "building localhost/$name"
    # Docker's format: the other one has no HEALTHCHECK.
    buildah bud --layers --format docker --isolation chroot --network host --build-arg BASE=localhost/base:bookworm \
        "${lent[@]}" --tag "localhost/$name" "$@" "$context" > "$log" 2>&1 || { tail -n 40 "$log" >&2; exit 1; }
}
build postgres:stand-in $stand_ins/postgres --file $stand_ins/postgres/Containerfile
build triton:stand-in $stand_ins/triton --file $stand_ins/triton/Containerfile
build veil:stand-in .

if [ ! -x "$cache/compose/bin/podman-compose" ]; then
    say "installing podman-compose"
    "${PYTHON:-python3}" -m venv "$cache/compose"
    "$cache/compose/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
        -r tests/deploy/podman-compose.txt
fi
