#!/usr/bin/env bash
# From annotated photographs to a model repository with a new plate detector, and its figures beside the released one's.
# Usage: training/make.sh OPEN_IMAGES WORK [options of `python -m training train`]
# OPEN_IMAGES: folder with train/, trainlabels/, valid/, validlabels/. WORK: folder for about 8 GB; keep it out of
# repositories. What is there already is not made again, a second run starts from the last checkpoint.
set -euo pipefail
open_images=$1 work=$2
shift 2
mkdir -p "$work"
python=${PYTHON:-python}
[[ -e $work/cache/photographs.pickle ]] || "$python" -m training decode "$open_images" "$work/cache"
start=()
[[ -e $work/details.pt ]] && start=(--start "$work/details.pt")
"$python" -m training train "$work/cache" "$work/details.pt" "${start[@]}" "$@"
context=()
[[ -e $work/context.pt ]] && context=(--start "$work/context.pt")
"$python" -m training train "$work/cache" "$work/context.pt" --context --synthetic 0.36 "${context[@]}" "$@"
# What is shipped has learned from both.
taught="$work/context.pt"
[[ -e $work/plate.pt ]] && taught="$work/plate.pt"
"$python" -m training train "$work/cache" "$work/plate.pt" --synthetic 0.36 --start "$taught" \
    --teacher "$work/details.pt" --teacher "$work/context.pt" --rate 5e-4 "$@"
"$python" -m training export "$work/first" --first "$work/plate.pt" --odds 4
[[ -e $work/places ]] ||
    "$python" -m training propose "$work/cache" "$work/places" --model "$work/first/plate"
"$python" -m training train-second "$work/places" "$work/judge.pt"
# Again, without what the first run takes for plates that nobody annotated.
"$python" -m training train-second "$work/places" "$work/judge2.pt" --start "$work/judge.pt" --doubt "$work/judge.pt"
"$python" -m training average "$work/judge3.pt" "$work/judge.pt" "$work/judge2.pt" --share 0.4 --share 0.6
"$python" -m training export "$work/repository" --first "$work/plate.pt" --odds 4 --second "$work/judge3.pt"
"$python" -m training threshold "$open_images" --repository "$work/repository"
for each in model_repository "$work/repository"; do
    "$python" -m training evaluate --open-images "$open_images" --repository "$each" --at 0.35 --at 0.45 --at 0.55
done
