"""`python -m spineviz` is `spineviz`."""

from spineviz.cli import main

main(prog_name="spineviz")
