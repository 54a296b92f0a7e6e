"""spineviz list."""

import json
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from spineviz.cli.list_films import command
from spineviz.data.films import film, film_names


def test_json_holds_every_film_with_its_steps():
    result = CliRunner().invoke(command, ["--json"])
    assert result.exit_code == 0
    listed = json.loads(result.stdout)
    assert [found["name"] for found in listed] == list(film_names())
    for found in listed:
        clock = film(found["name"])
        assert set(found) == {"name", "title", "seconds", "steps", "views"}
        assert found["seconds"] == clock.seconds == found["steps"][-1]["end_s"]
        assert [step["name"] for step in found["steps"]] == [step.name for step in clock.steps]
        assert all(set(step) == {"name", "start_s", "end_s"} for step in found["steps"])


def test_the_plain_list_names_films_and_steps():
    result = CliRunner().invoke(command, [])
    for name in film_names():
        assert name in result.stdout
        assert all(step.name in result.stdout for step in film(name).steps)


def test_list_imports_nothing_heavy_and_answers_at_once():
    heavy = ("numpy", "manim", "scipy", "pyvista", "vtkmodules", "PIL", "av", "rich", "pydantic", "cairo")
    script = (
        "import sys; sys.argv = ['spineviz', 'list', '--json']\n"
        "from spineviz.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    took = []
    for _ in range(3):
        start = time.monotonic()
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        took.append(time.monotonic() - start)
        if took[-1] < 0.4:
            break
    assert done.stderr.strip() == "[]"
    assert min(took) < 0.4 or pytest.fail(f"spineviz list took {min(took):.2f} s")
