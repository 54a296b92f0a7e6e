"""The doctor finds what is missing and names the command that mends it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import namedtuple

import pytest
from click.testing import CliRunner

from spineviz.cli import doctor, main

Usage = namedtuple("Usage", "total used free")


def test_a_machine_that_runs_these_tests_can_render():
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == "this machine can render"
    for name in ("cairo", "Pango", "off-screen OpenGL", "fonts", "libx264", "disk space", "cache folder"):
        assert name in result.output
    assert "MISSING" not in result.output


def hide(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.parametrize(
    ("module", "check", "package"),
    [
        ("cairo", doctor.check_cairo, "pycairo"),
        ("manimpango", doctor.check_pango, "manimpango"),
        ("font_source_sans_pro", doctor.check_fonts, "font-source-sans-pro"),
        ("av", doctor.check_encoder, "av"),
    ],
)
def test_a_missing_library_is_named_with_its_remedy(monkeypatch, module, check, package):
    hide(monkeypatch, module)
    finding = check()
    assert not finding.ok
    assert finding.remedy.endswith(f"-m pip install --force-reinstall {package}")


def test_an_encoder_that_pyav_lacks_is_found(monkeypatch):
    import av.codec

    def no_codec(name, mode):
        raise ValueError(f"no codec {name}")

    monkeypatch.setattr(av.codec, "Codec", no_codec)
    assert not doctor.check_encoder().ok


def test_no_opengl_means_exit_1_and_the_packages_that_mend_it(monkeypatch):
    monkeypatch.setattr(doctor, "OPENGL_PROBE", "raise OSError('no EGL here; spineviz doctor names it')")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(shutil, "which", lambda tool: "/usr/bin/apt" if tool == "apt" else None)
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    lines = result.output.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("MISSING"))
    assert lines[at] == "MISSING off-screen OpenGL: no EGL here"
    assert lines[at + 1].strip().endswith("apt install libegl1 libgl1 libgl1-mesa-dri")
    assert lines[-1] == "rendering would fail here"


def test_a_driver_that_crashes_or_hangs_does_not_take_the_doctor_along(monkeypatch):
    monkeypatch.setattr(doctor, "OPENGL_PROBE", "import os; os.abort()")
    assert "crashed" in doctor.check_opengl().detail
    monkeypatch.setattr(doctor, "OPENGL_PROBE", "import time; time.sleep(60)")
    monkeypatch.setattr(doctor, "OPENGL_TIMEOUT_S", 0.3)
    assert "no picture within 0.3 s" in doctor.check_opengl().detail


def test_a_full_disk_and_a_locked_cache_are_found(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**9, 10**9, 5 * 10**6))
    full = doctor.check_disk(tmp_path)
    assert not full.ok
    assert "195 MB" in full.remedy
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    cache = doctor.check_cache(blocked / "cache")
    assert not cache.ok
    assert "SPINEVIZ_CACHE" in cache.remedy
    assert doctor.check_cache(tmp_path / "new").ok
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("platform", "what", "words"),
    [
        ("darwin", "cairo", "brew install cairo"),
        ("darwin", "opengl", "macOS"),
        ("win32", "cairo", "pip install"),
        ("win32", "opengl", "driver"),
    ],
)
def test_remedies_fit_the_platform(monkeypatch, platform, what, words):
    monkeypatch.setattr(sys, "platform", platform)
    assert words in doctor.install_command(what)


def test_remedies_on_other_linuxes(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(shutil, "which", lambda tool: "/usr/bin/dnf" if tool == "dnf" else None)
    assert doctor.install_command("cairo").endswith("dnf install cairo")
    monkeypatch.setattr(shutil, "which", lambda tool: None)
    assert "libcairo2" in doctor.install_command("cairo")


def test_the_probe_draws_in_a_process_of_its_own():
    done = subprocess.run([sys.executable, "-c", doctor.OPENGL_PROBE], capture_output=True, text=True, check=True)
    assert "OpenGL" in done.stdout
