"""How a command ends: its exit codes, and what was wrong with its use and how to mend it."""

import errno
import io
import math
import os
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

FINE, NOT_FINE, USAGE, UNREACHABLE, UNFORESEEN, INTERRUPTED = 0, 1, 2, 3, 70, 130
"""Exit codes; that of Ctrl+C is as shells have it."""

_SAID = {
    USAGE: "wrong usage, or what is asked for is not there or cannot be",
    UNREACHABLE: "the orchestrator cannot be asked, or its database cannot be opened",
    UNFORESEEN: "a fault of the program",
    INTERRUPTED: "given up with Ctrl+C",
}


class NotFine(click.exceptions.Exit):
    """Ends a command that went well, where what was asked about is not well."""

    def __init__(self) -> None:
        super().__init__(NOT_FINE)


def exit_codes(said: Mapping[int, str]) -> str:
    """The part of a command's help on how it ends: what it says of its own codes, and what is so of
    every command unless it says that otherwise."""
    codes = sorted({**_SAID, **said}.items())
    return "\n".join(["\b", "Exit codes:", *(f"  {code:<4} {text}" for code, text in codes)])


def fail(message: str, hint: str = "", code: int = USAGE) -> NoReturn:
    """Say what is wrong and how to mend it, on stderr, and exit with `code`."""
    try:
        click.echo(f"cortex: {message}", err=True)
        if hint:
            click.echo(f"  {hint}", err=True)
    except OSError:  # the code says it too
        _let_go(sys.stderr)
    sys.exit(code)


def _let_go(stream: TextIO) -> None:
    """Give what is still to be flushed to nobody: where that fails, Python ends with 120."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def make_streams() -> None:
    """Let there be an input and outputs, however the program was started: one that was closed is
    `/dev/null`. What the encoding of the output lacks is written as an escape."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def is_of_output(error: Exception) -> bool:
    """Whether `error` is that nothing more can be written to the output."""
    if isinstance(error, BrokenPipeError):
        return True
    reasons = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
    return isinstance(error, OSError) and error.filename is None and error.errno in reasons


def end_unwritten(error: OSError) -> NoReturn:
    """Exit where the output cannot be written: without a word where whoever reads it has read
    enough, as `head` has."""
    _let_go(sys.stdout)
    if isinstance(error, BrokenPipeError):
        sys.exit(FINE)
    fail(f"the output cannot be written: {error.strerror}", "Make room, or write it elsewhere.")


def fail_misused(error: click.UsageError) -> NoReturn:
    """The same of arguments that cannot be."""
    message, hint = error.format_message(), ""
    if isinstance(error, click.NoSuchOption):
        message = _misplaced(error) or error.message + _meant(error)
    parameter = error.param if isinstance(error, click.BadParameter) else None
    if parameter is not None and not isinstance(error, click.MissingParameter):
        message = f"{parameter.opts[0]}: {error.message}"
        if isinstance(parameter.type, Number | Whole):
            kind, least, most = parameter.type.name, parameter.type.min, parameter.type.max
            hint = f"Give a {kind} from {least:,} to {most:,}. "
    asked = error.ctx.command_path if error.ctx else "cortex"
    fail(message, f"{hint}See {asked} --help.")


def _misplaced(error: click.NoSuchOption) -> str:
    """What is said of an option of `cortex` itself that stands behind the command."""
    if error.ctx is None or error.ctx.parent is None:
        return ""
    command, option = error.ctx.info_name, error.option_name
    for known in error.ctx.parent.command.params:
        if isinstance(known, click.Option) and option in known.opts:
            value = "" if known.is_flag else " …"
            return f"{option!r} goes before the command: cortex {option}{value} {command}"
    return ""


def _meant(error: click.NoSuchOption) -> str:
    """Click counts the dashes, too, as what an option has in common with another."""
    asked = error.option_name.strip("-")
    for option in error.possibilities or ():
        if get_close_matches(asked, [option.strip("-")]):
            return f" Did you mean {option!r}?"
    return ""


class Number(click.FloatRange):
    """A number within limits, and no `nan`, which none excludes."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail("nan is no number", param, ctx)
        return number


class Whole(click.IntRange):
    """A whole number within limits."""

    name = "whole number"
