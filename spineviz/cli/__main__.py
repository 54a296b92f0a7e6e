"""`python -m spineviz.cli` is `spineviz`."""

from spineviz.cli import main

main(prog_name="spineviz")
