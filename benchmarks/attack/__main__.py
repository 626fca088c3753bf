"""Every attack on every mode, as the tables of the page on privacy: `python -m benchmarks.attack [--count N]`."""

import argparse
from pathlib import Path

import cv2
import numpy as np

from benchmarks.attack import deconvolution, faces, people, plates, recognition
from benchmarks.attack.recognizer import MissingRecognizer, Recognizer
from benchmarks.attack.views import Seen, frames, gaussian, mosaic, requests, shown, veil
from service.policy import Obscure

MODES: tuple[tuple[str, dict[str, object]], ...] = (
    ("`blur` (default)", {}),
    ("`pixelate`", {"obscure": Obscure.PIXELATE}),
    ("`blur`, `strength=2`", {"strength": 2.0}),
    ("`fill`", {"obscure": Obscure.FILL}),
)


def template_rows(count: int) -> None:
    print(
        "\n| mode | characters, ideal | plates, ideal | characters, realistic | plates, realistic | faces, same"
        " photograph | faces, another |"
    )
    print("|---|---|---|---|---|---|---|")
    box, height, side = plates.box(), plates.HEIGHT, faces.BOX[2] - faces.BOX[0]
    pairs = [
        (f"Gaussian, σ = height / {k}", gaussian(height / k, box), gaussian(side / k, faces.BOX)) for k in (8, 4, 2)
    ]
    pairs += [
        (f"mosaic, {k} cells per height", mosaic(height / k, box), mosaic(side / k, faces.BOX)) for k in (8, 4, 2)
    ]
    pairs += [
        (name, veil("plate", box, plates.SIZE, **way), veil("face", faces.BOX, faces.SIZE, **way))  # type: ignore[arg-type]
        for name, way in MODES
    ]
    for name, plate, face in pairs:
        row(name, plate, face, count)
    print(f"| chance | {plates.CHANCE:.3f} | 0 | {plates.CHANCE:.3f} | 0 | {faces.CHANCE:.3f} | {faces.CHANCE:.3f} |")


def row(name: str, plate: Seen, face: Seen, count: int) -> None:
    ideal = plates.recovered(plate, count, np.random.default_rng(1))
    real = plates.recovered(plate, count, np.random.default_rng(2), shift=1, light=0.03)
    rounds = max(1, count // 50)
    known = [faces.recognized(face, owned, np.random.default_rng(3), rounds) for owned in (faces.same, faces.another)]
    print("| " + " | ".join([name, *(f"{share:.3f}" for share in (*ideal, *real, *known))]) + " |", flush=True)


def repeated_rows(count: int) -> None:
    print("\n| of one object | characters | plates | faces |\n|---|---|---|---|")
    for kind, of in (("results of one picture, options varied", requests), ("photographs, masked once each", frames)):
        for results in (5, 20):
            rng = np.random.default_rng(results)
            plate = of("plate", plates.box(), plates.SIZE, results, rng)
            face = of("face", faces.BOX, faces.SIZE, results, rng)
            read = plates.recovered(plate, count, rng)
            named = faces.recognized(face, faces.another, rng, max(1, count // 50))
            print(f"| {results} {kind} | {read[0]:.3f} | {read[1]:.3f} | {named:.3f} |", flush=True)


def deconvolution_rows(count: int) -> None:
    rng = np.random.default_rng(4)
    texts = rng.integers(0, len(plates.ALPHABET), (count, plates.LENGTH))
    sigmas = [plates.HEIGHT / k for k in (12, 8, 4, 2)]
    print("\n| deconvolved | characters |\n|---|---|")
    for k in (12, 8, 4):
        blurry = [deconvolution.blurred(plates.picture(text), plates.HEIGHT / k) for text in texts]
        print(f"| Gaussian, σ = height / {k} | {deconvolution.recovered(blurry, texts, sigmas):.3f} |", flush=True)
    for name, way in MODES:
        masked = [shown("plate", plates.box(), plates.picture(t), rng.bytes(16), **way) for t in texts]  # type: ignore[arg-type]
        print(f"| {name} | {deconvolution.recovered(masked, texts, sigmas):.3f} |", flush=True)


def recognition_rows(folder: Path | None, rounds: int) -> None:
    try:
        recognizer = Recognizer()
    except MissingRecognizer as error:
        print(f"\nNo trained recognizer takes part: {error}")
        return
    known = people.annotated(recognizer, folder) if folder else people.shipped(recognizer)
    recognition.rows(recognition.Attack(recognizer, known, np.random.default_rng(5)), rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=Path, metavar="FOLDER", help="annotated photographs for the trained recognizer")
    parser.add_argument("--only-recognizer", action="store_true", help="run the trained recognizer alone")
    parser.add_argument("--count", type=int, default=500, help="plates per row; a row of faces takes twice as many")
    options = parser.parse_args()
    count = options.count
    cv2.setNumThreads(1)
    if not options.only_recognizer:
        template_rows(count)
        repeated_rows(max(count // 5, 10))
        deconvolution_rows(max(count // 10, 10))
    recognition_rows(options.faces, max(1, count // 100))


if __name__ == "__main__":
    main()
