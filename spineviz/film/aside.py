"""Pictures that are made by a copy of this process while this one draws others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spineviz.data import aside


class Aside(aside.Aside[NDArray[np.uint8]]):
    """For one frame drawn in a process that has nothing else to do; the copy must not draw with OpenGL."""

    def picture(self, index: int) -> NDArray[np.uint8]:
        """Picture `index`; made here where the copy failed, so that what is wrong is said here."""
        return self.result(index)
