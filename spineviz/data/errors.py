"""The two ways in which a command fails, told apart by exit code."""

from __future__ import annotations


class RequestError(Exception):
    """What was asked for is wrong or impossible: exit 2. The message names key or option, value and what is right."""


class FaultError(Exception):
    """The machine failed (disk, driver, library): exit 1. The message says what and, where there is one, the remedy."""
