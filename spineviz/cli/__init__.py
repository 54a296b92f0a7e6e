"""The command line: one module a command, imported only when it is called.

Results go to standard output, progress and messages to standard error. Exit 0 done, 1 the work failed, 2 the request
was wrong, 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click

from spineviz import __version__
from spineviz.data.errors import FaultError, RequestError

COMMANDS: dict[str, tuple[str, str]] = {
    "list": ("spineviz.cli.list_films", "The films: name, title, seconds, steps, views."),
    "render": ("spineviz.cli.render", "Render films to video files."),
    "still": ("spineviz.cli.still", "One frame of a film as PNG."),
    "storyboard": ("spineviz.cli.storyboard", "Every step's key frame on one sheet, with its caption."),
    "case": ("spineviz.cli.case", "Write, check or show a case file."),
    "state": ("spineviz.cli.state", "Every number of a moment of a film."),
    "measure": ("spineviz.cli.measure", "The healthy anatomy set against the published measurements."),
    "export": ("spineviz.cli.export", "A structure as STL, OBJ, PLY or GLB."),
    "batch": ("spineviz.cli.batch", "Many films from one table."),
    "cache": ("spineviz.cli.cache", "What is kept between runs: show it, clear it."),
    "doctor": ("spineviz.cli.doctor", "Check that this machine can render."),
}
"""Name -> (module whose `command` it is, one line for --help). The modules load when they are called, not before."""

# numpy's threads only get in each other's way on arrays of three columns; they must be told before numpy loads
for _library in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_library, "1")

MOST_LINES = 3
INTERRUPTED = 130


class LazyGroup(click.Group):
    """A click group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command `cmd_name`, imported now; None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but an unknown name is answered with the names that there are."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no command {args[0]!r}; there is {', '.join(COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list for --help, from `COMMANDS` alone, so that help imports nothing."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> NoReturn:
        """Run a command and leave with its exit code; whatever it raises becomes a few lines on standard error."""
        extra["standalone_mode"] = False
        sys.exit(exit_code_of(lambda: super(LazyGroup, self).main(args, *rest, **extra)))


def exit_code_of(run: Callable[[], Any]) -> int:
    """The exit code of `run()`, whose failures are told on standard error.

    click's usage errors and RequestError give 2; FaultError, a full or broken disk, a library that does not load and
    want of memory give 1; Ctrl-C gives 130; a reader that went away gives 1 in silence. Any other exception is a defect
    of the program and passes through.
    """
    try:
        code = run()
        sys.stdout.flush()  # a pipe that the reader has closed shows itself here and not at the interpreter's end
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.UsageError as error:
        where = f"see {error.ctx.command_path} --help" if error.ctx else ""
        tell(error.format_message(), where)
        return 2
    except click.ClickException as error:
        tell(error.format_message())
        return error.exit_code
    except RequestError as error:
        tell(str(error))
        return 2
    except FaultError as error:
        tell(str(error))
        return 1
    except (click.Abort, KeyboardInterrupt):
        tell("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        hush_standard_output()
        return 1
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        tell(f"{name}{error.strerror or error}")
        return 1
    except ImportError as error:
        if (error.name or "").startswith("spineviz"):
            raise
        tell(str(error), "spineviz doctor names what is missing and how to mend it")
        return 1
    except MemoryError:
        tell("not enough memory; choose a lower --quality or fewer --jobs")
        return 1
    return code if type(code) is int else 0


def tell(message: str, hint: str = "") -> None:
    """Write an error of one to three lines, `hint` last, on standard error."""
    lines = [line for line in f"error: {message}".splitlines() if line.strip()]
    lines = lines[: MOST_LINES - bool(hint)] + [hint] * bool(hint)
    click.echo("\n".join(lines), err=True)


def hush_standard_output() -> None:
    """Point standard output at nothing, so that the interpreter's last flush cannot complain."""
    import os

    with open(os.devnull, "w") as nothing:  # noqa: PTH123 - a device, not a file to be found
        os.dup2(nothing.fileno(), 1)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="spineviz", message="%(prog)s %(version)s")
def main() -> None:
    """Films of spine-tumour procedures, drawn from one true geometry.

    For education; not for clinical use.
    """
