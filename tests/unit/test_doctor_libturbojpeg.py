"""The doctor says whether JPEGs are patched, and what to install if they are not."""

from service.doctor import _libturbojpeg
from service.imaging import turbojpeg


def test_the_library_that_is_there_is_named():
    finding = _libturbojpeg()
    assert finding.ok
    assert finding.text.startswith(("2.x", "3.x"))


def test_a_missing_library_is_a_finding_with_its_package(monkeypatch):
    monkeypatch.setattr(turbojpeg, "load", lambda: None)
    finding = _libturbojpeg()
    assert not finding.ok
    assert "libturbojpeg0" in finding.text
