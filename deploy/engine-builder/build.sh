#!/usr/bin/env bash
# Turns the exported models of /engines/source into the repository that Triton serves, /engines/current.
#
# With ENGINE=tensorrt each model.onnx becomes a TensorRT plan for the GPU and the TensorRT of this container; a plan
# that was made from the same file, configuration, image and GPU is taken again. With any other ENGINE the files are
# served as they are. The switch is one rename at the very end: whatever fails before leaves Triton's repository as it
# was, and nothing half-built is ever under a final name.
#
#   ENGINES  the volume (default /engines)      IMAGE  the image's reference, part of a plan's identity
set -euo pipefail
shopt -s nullglob
umask 022

engines=${ENGINES:-/engines}
engine=${ENGINE:-tensorrt}
source=$engines/source
plans=$engines/plans

say() { echo "engine-builder: $*"; }
fail() { say "$*" >&2; exit 1; }

exec 9> "$engines/.lock"
flock 9
rm -rf "$engines"/.partial-*
trap 'rm -rf "$engines"/.partial-*' EXIT

configurations=("$source"/*/config.pbtxt)
if [ ${#configurations[@]} = 0 ]; then
    fail "there are no exported models in $source; run the one-shot 'models' first"
fi

if [ "$engine" = tensorrt ]; then
    trtexec=$(PATH=$PATH:/usr/src/tensorrt/bin command -v trtexec) ||
        fail "this image has no trtexec; build the plans with a tritonserver image of the same release that has it"
    gpu=$(nvidia-smi --query-gpu=name,compute_cap --format=csv,noheader | head -n 1) || gpu=
    [ -n "$gpu" ] || fail "no GPU is visible in this container; without one use deploy/compose.cpu.yml"
    library=$(ldconfig -p | awk '/libnvinfer\.so/ { print $NF; exit }')
    # The library's real name ends in its version.
    tensorrt=$(basename "$(readlink -f "${library:-unknown}")")
    say "$gpu, $tensorrt, ${IMAGE:-unknown image}"
    mkdir -p "$plans"
fi

release=$(mktemp -d "$engines/.partial-XXXXXXXX")
chmod 0755 "$release"
wanted=()

build_plan() { # ONNX CONFIGURATION PLAN
    local onnx=$1 configuration=$2 plan=$3 size most partial
    # e.g. "TYPE_UINT8 dims: [ 640, 640, 3 ]" of the input, as "640x640x3"
    size=$(sed -n 's/.*name: "tiles".*dims: \[ *\([0-9, ]*[0-9]\) *\].*/\1/p' "$configuration" | head -n 1 | sed 's/, */x/g')
    most=$(sed -n 's/^max_batch_size: *\([0-9]\+\).*/\1/p' "$configuration")
    [ -n "$size" ] && [ -n "$most" ] || fail "$configuration: no input 'tiles' or no max_batch_size"
    partial=$(mktemp "$engines/.partial-XXXXXXXX")
    # Strongly typed: the precision is the ONNX file's own. trtexec also runs the plan it has built.
    "$trtexec" --onnx="$onnx" --saveEngine="$partial" \
        --minShapes="tiles:1x$size" --optShapes="tiles:$(((most + 1) / 2))x$size" --maxShapes="tiles:${most}x$size" ||
        fail "TensorRT refused $onnx"
    [ -s "$partial" ] || fail "TensorRT wrote no plan for $onnx"
    chmod 0644 "$partial"
    mv "$partial" "$plan"
}

for configuration in "${configurations[@]}"; do
    name=$(basename "$(dirname "$configuration")")
    mkdir "$release/$name"
    cp "$configuration" "$release/$name/"
    for folder in "$source/$name"/[0-9]*/; do
        version=$(basename "$folder")
        if [ "$engine" != tensorrt ]; then
            cp -r "$folder" "$release/$name/$version"
            continue
        fi
        onnx=${folder}model.onnx
        identity=$({ sha256sum < "$onnx"; sha256sum < "$configuration"; echo "$gpu $tensorrt ${IMAGE:-}"; } | sha256sum)
        plan=$plans/$name-$version-${identity%% *}.plan
        if [ -s "$plan" ]; then
            say "$name/$version: the plan is up to date"
        else
            say "$name/$version: building the plan, which takes minutes"
            build_plan "$onnx" "$configuration" "$plan"
        fi
        wanted+=("$plan")
        mkdir "$release/$name/$version"
        ln "$plan" "$release/$name/$version/model.plan"
    done
done

chmod -R a+rX "$release"
previous=$(readlink "$engines/current" || true)
final=release-$(date -u +%Y%m%dT%H%M%SZ)-${release##*-}
mv "$release" "$engines/$final"
ln -s "$final" "$engines/.partial-current"
mv -T "$engines/.partial-current" "$engines/current"
say "Triton's repository is now $final"

# Only after the switch: what nothing points to any more. The next export starts from an empty folder.
rm -rf "$source"
for old in "$engines"/release-*; do
    case $(basename "$old") in "$final" | "$previous") ;; *) rm -rf "$old" ;; esac
done
if [ "$engine" = tensorrt ]; then
    for plan in "$plans"/*.plan; do
        [[ " ${wanted[*]} " == *" $plan "* ]] || rm -f "$plan"
    done
fi
