"""Half a minute of `benchmarks.soak`: every answer at the admission limit is a picture or a 429, every picture has one
receipt and its faces hidden, and descriptors and threads stay. `make soak` takes half an hour, and looks at memory."""

import pytest

from benchmarks.soak import soak

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def test_half_a_minute_at_the_admission_limit() -> None:
    figures, wrong = soak(0.5, distributed=False)
    # Half a minute says nothing about a slope: caches of the decoders still fill.
    assert [each for each in wrong if not each.startswith("memory grows")] == [], figures
    assert figures["receipts"]
    assert "429 overloaded" in figures["answers"], "it was not at its limit"  # type: ignore[operator]
