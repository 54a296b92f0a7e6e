"""The stand-in film, in whose worker something goes wrong: FAULT=NAME@SECOND says what, and when in the film."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from spineviz.film.opening import SceneSource, load_scene

Flat: Any = load_scene(SceneSource(Path(__file__).with_name("standin.py"), "Flat"))


def want_memory() -> None:
    """Ask for more than the system lets this process have."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 2**26
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    np.ones(2**27)


def be_killed() -> None:
    """What the kernel does to a process that takes the last memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def write_no_more() -> None:
    """No file may grow any further, as with a quota that is used up."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


def lack_a_library() -> None:
    """What Python says where a system library is missing."""
    raise ImportError("libGL.so.1: cannot open shared object file", name="vtkmodules.vtkRenderingOpenGL2")


def fill_the_disk() -> None:
    """Somebody else takes all the room that is left, in the file that FILL names."""
    with Path(os.environ["FILL"]).open("ab", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(4096))
        except OSError:
            return


def stop() -> None:
    """Nothing more comes."""
    time.sleep(600)


def go_slowly() -> None:
    """So that there is time to be interrupted."""
    time.sleep(0.02)


FAULTS: dict[str, Callable[[], None]] = {
    "memory": want_memory,
    "kill": be_killed,
    "quota": write_no_more,
    "library": lack_a_library,
    "fill": fill_the_disk,
    "stop": stop,
    "slow": go_slowly,
}


class Faulty(Flat):  # type: ignore[misc]
    """You should see: one grey stage, until the fault."""

    def fingerprint(self, time_s: float) -> Any:
        fault, _, second = os.environ.get("FAULT", "").partition("@")
        if fault and time_s >= float(second):
            FAULTS[fault]()
        return super().fingerprint(time_s)
