"""The library is tried out before it is used, and nothing that goes wrong in a callback is lost or goes through C."""

import ctypes
import threading

import numpy as np
import pytest

from service.errors import CorruptImage
from service.imaging import turbojpeg
from service.imaging.turbojpeg import Edit, TurboJpeg, Unsupported, load
from tests.jpegs import coefficients, encoded, photo


@pytest.fixture(scope="module")
def library() -> TurboJpeg:
    found = load()
    assert found is not None, "libturbojpeg is missing: tests/install-debian.sh"
    return found


@pytest.fixture
def fresh_load():
    load.cache_clear()
    yield
    load.cache_clear()


def nothing(component, row, blocks):
    pass


def test_rows_are_read_and_written_where_they_are(library):
    data = encoded(photo(40, 56), "4:2:0")
    seen = {}

    def write(component, row, blocks):
        blocks[2] = 0
        blocks[2, 0] = 17

    rows = frozenset({(0, 3), (2, 1)})
    edit = Edit(rows, read=lambda c, r, blocks: seen.update({(c, r): blocks.copy()}), write=write)
    before, after = coefficients(data)[0], coefficients(library.transform(data, edit, progressive=False))[0]
    for component, row in rows:
        np.testing.assert_array_equal(seen[component, row][: before[component].shape[1]], before[component][row])
        assert after[component][row, 2].tolist() == [17] + [0] * 63
        after[component][row, 2] = before[component][row, 2]
    for was, now in zip(before, after, strict=True):
        np.testing.assert_array_equal(now, was)


@pytest.mark.parametrize("when", ["read", "write"])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, MemoryError])
def test_what_a_callback_raises_comes_out(library, when, error, capfd):
    def fail(component, row, blocks):
        raise error

    edit = Edit(frozenset({(0, 0)}), **({"read": nothing, "write": nothing} | {when: fail}))
    with pytest.raises(error):
        library.transform(encoded(photo(16, 16), "4:2:0"), edit, progressive=False)
    assert capfd.readouterr().err == ""
    assert library.transform(encoded(photo(16, 16), "4:2:0"), progressive=False)


@pytest.mark.parametrize("kind", ["4:2:0", "progressive"])
def test_damage_is_an_error_not_a_repair(library, kind):
    data = encoded(photo(200, 200), kind)
    with pytest.raises(CorruptImage):
        library.transform(data[: len(data) // 2], progressive=False)


def test_what_is_no_jpeg_or_none_that_is_known_is_unsupported(library):
    data = encoded(photo(16, 16), "4:2:0")
    lossless = data.replace(b"\xff\xc0", b"\xff\xc3", 1)
    twelve_bits = data.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c", 1)
    assert twelve_bits != data
    for file in (b"", b"no JPEG", lossless, twelve_bits):
        with pytest.raises((Unsupported, CorruptImage)):
            library.transform(file, progressive=False)


def test_a_progressive_file_with_a_thousand_scans_is_refused(library):
    data = encoded(photo(64, 64), "progressive")
    last = data.rindex(b"\xff\xda")
    bomb = data[:-2] + data[last:-2] * 1000 + b"\xff\xd9"
    with pytest.raises((Unsupported, CorruptImage)):
        library.transform(bomb, progressive=False)


def test_several_threads_at_once(library):
    files = [encoded(photo(160, 240, seed), "4:2:0") for seed in range(6)]
    alone = [library.transform(each, progressive=False) for each in files]
    together: list[bytes] = [b""] * len(files)
    edit = Edit(frozenset((c, r) for c in range(3) for r in range(20)), nothing, nothing)

    def work(i: int) -> None:
        together[i] = library.transform(files[i], edit, progressive=False)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(files))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert together == alone


def test_without_a_library_there_is_none(fresh_load, monkeypatch):
    monkeypatch.setattr(turbojpeg, "NAMES", ("libno-such-library.so.0",))
    assert load() is None


def test_another_library_is_not_taken_for_it(fresh_load, monkeypatch):
    monkeypatch.setattr(turbojpeg, "NAMES", ("libc.so.6", "libm.so.6"))
    assert ctypes.CDLL("libc.so.6")
    assert load() is None


def test_a_library_that_hands_out_other_numbers_is_not_used(fresh_load, monkeypatch):
    # As an interface with another meaning of rows or another order would: the probe's block would not be found.
    monkeypatch.setattr(turbojpeg, "PROBE", turbojpeg.PROBE.replace(b"\x0f\xff\xd9", b"\x1f\xff\xd9"))
    assert load() is None
