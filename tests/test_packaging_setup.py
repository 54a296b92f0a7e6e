"""The set-up script, with an apt and a Python that only write down how they were called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="on Windows pip alone suffices; there is no sh")

PYTHON = """#!/bin/sh
case "$*" in
    *"sys.exit(sys.version_info"*) exit {too_old} ;;
    *--version*) echo "Python {version}" ;;
    *"python%d.%d"*) echo python3.12 ;;
    *"import ensurepip"*) exit {no_venv} ;;
    *Python.h*) exit {no_headers} ;;
    *"import cairo"*) exit 1 ;;
    *"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *"-m pip"*) echo "pip $*" >> "$RECORD" ;;
esac
"""
APT = '#!/bin/sh\necho "apt $*" >> "$RECORD"\n'
DPKG = "#!/bin/sh\nprintf '{status}'\n"


class Machine:
    """A folder with a checkout's set-up script and the few commands that a machine has."""

    def __init__(self, folder: Path, user: int = 0, **python: int | str) -> None:
        self.checkout, self.commands, self.record = folder / "checkout", folder / "bin", folder / "record"
        (self.checkout / ".ci").mkdir(parents=True)
        self.commands.mkdir()
        shutil.copy(ROOT / ".ci" / "setup", self.checkout / ".ci" / "setup")
        for name in ("sh", "dirname", "rm", "touch", "mkdir", "cp", "grep", "env"):
            found = shutil.which(name)
            assert found
            (self.commands / name).symlink_to(found)
        self.add("id", f"#!/bin/sh\necho {user}\n")
        values = {"too_old": 0, "version": "3.12.3", "no_venv": 0, "no_headers": 0, **python}
        self.add("python3", PYTHON.format(**values))

    def add(self, name: str, words: str) -> None:
        path = self.commands / name
        path.write_text(words)
        path.chmod(0o755)

    def set_up(self, extras: str = "[test]") -> subprocess.CompletedProcess:
        environment = {"PATH": str(self.commands), "RECORD": str(self.record)}
        call = [str(self.commands / "sh"), ".ci/setup", extras, ".venv/ready"]
        return subprocess.run(call, cwd=self.checkout, env=environment, capture_output=True, text=True, check=False)

    def calls(self) -> list[str]:
        return self.record.read_text().splitlines() if self.record.exists() else []


def test_an_old_python_is_named_with_what_is_needed(tmp_path):
    machine = Machine(tmp_path, too_old=1, version="3.9.2")
    done = machine.set_up()
    assert done.returncode == 1
    assert "spineviz needs Python 3.11 or newer; found Python 3.9.2" in done.stderr
    assert not (machine.checkout / ".venv").exists()


def test_missing_packages_are_installed_as_root_and_only_those(tmp_path):
    machine = Machine(tmp_path, no_venv=1, no_headers=1)
    machine.add("apt-get", APT)
    machine.add("dpkg-query", DPKG.format(status="unknown ok not-installed"))
    machine.add("gcc", "#!/bin/sh\n")
    done = machine.set_up()
    assert done.returncode == 0, done.stderr
    update, install, pip = (call for call in machine.calls() if "--version" not in call)
    assert update == "apt update -q"
    wanted = {"python3.12-venv", "python3.12-dev", "pkg-config", "libcairo2-dev", "libpango1.0-dev"}
    if not Path("/usr/include/stdio.h").exists():
        wanted.add("libc6-dev")
    wanted |= {"libegl1", "libgl1", "libgl1-mesa-dri"}
    assert set(install.split()) - {"apt", "install", "-q", "-y", "--no-install-recommends"} == wanted
    assert pip.endswith("-e .[test]")
    assert (machine.checkout / ".venv" / "ready").exists()


def test_without_root_sudo_is_used_and_without_sudo_the_command_is_told(tmp_path):
    machine = Machine(tmp_path / "plain", user=1000)
    machine.add("apt-get", APT)
    machine.add("dpkg-query", DPKG.format(status="unknown ok not-installed"))
    done = machine.set_up()
    assert done.returncode == 1
    assert "run: apt-get install gcc pkg-config" in done.stderr
    assert machine.calls() == []
    helped = Machine(tmp_path / "sudo", user=1000)
    helped.add("apt-get", APT)
    helped.add("dpkg-query", DPKG.format(status="unknown ok not-installed"))
    helped.add("sudo", '#!/bin/sh\necho "sudo $*" >> "$RECORD"\nexec "$@"\n')
    assert helped.set_up().returncode == 0
    assert [call.split()[0] for call in helped.calls()][:4] == ["sudo", "apt", "sudo", "apt"]


def test_a_complete_machine_installs_no_package(tmp_path):
    machine = Machine(tmp_path)
    machine.add("apt-get", APT)
    machine.add("dpkg-query", DPKG.format(status="install ok installed"))
    for name in ("gcc", "pkg-config"):
        machine.add(name, "#!/bin/sh\n")
    done = machine.set_up("")
    assert done.returncode == 0, done.stderr
    # the C library's headers are looked for where they always are, on the machine that runs this test
    wanted = [] if Path("/usr/include/stdio.h").exists() else ["libc6-dev"]
    assert [call.split()[-1] for call in machine.calls() if call.startswith("apt install")] == wanted


def test_a_system_without_apt_goes_straight_to_pip(tmp_path):
    machine = Machine(tmp_path)
    done = machine.set_up("")
    assert done.returncode == 0, done.stderr
    assert next(call for call in machine.calls() if "--version" not in call).endswith("-e .")


def test_make_targets_and_ci_are_there():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in ("film", "test", "lint", "bench"):
        assert f"\n{target}:" in makefile
    run = ROOT / ".ci" / "run"
    assert os.access(run, os.X_OK)
    assert "make --no-print-directory test" in run.read_text("utf-8")
