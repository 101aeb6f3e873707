"""The manual pages, made from the commands and from the schema of the site file; see man(7).

`scripts/write-reference` writes them. There is no date in them: the same sources give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from backendai_ctl.cli.main import commands, group
from backendai_ctl.errors import EXIT_STATUSES
from backendai_ctl.site import reference

PROGRAM, SITE_FILE = "backendai-ctl", "backendai-site.toml"
_JSON = """\
With `--json` a command prints one JSON object, even if it fails. `ok` is true exactly if the exit status
is 0.
`errors` is a list of what went wrong. Each error has a `message` and a `hint` that says what to do; an
error in the site file also has `file`, `line` and `key`. All other members depend on the command. Where a
list shows the state of things, each entry has `ok` and `message` as well. With `--dry-run`, `dry_run` is
true: the changes listed were not made. `logs` prints what `journalctl --output=json` prints."""
_FILES = {
    "/etc/backendai/site.toml": f"The site file; see {SITE_FILE}(5).",
    "/var/lib/backendai/ctl/journal.jsonl": "The log of all changes, one event per line.",
}


def of_commands() -> str:
    """backendai-ctl(1)."""
    about = (group.help or "").rstrip(".")
    page = [*_head(PROGRAM, 1, about[0].lower() + about[1:]), ".SH SYNOPSIS"]
    page.append(_literal(f"{PROGRAM} [--debug] COMMAND [OPTIONS] [ARGUMENTS]"))
    page += [".SH OPTIONS", *_options(group, hidden=()), ".SH COMMANDS"]
    for words, command in commands():
        page += _command(words, command)
    page += [".SH JSON", *_prose(_JSON), ".SH EXIT STATUS"]
    for status, meaning in EXIT_STATUSES.items():
        page += _item(str(status), meaning)
    page.append(".SH FILES")
    for path, meaning in _FILES.items():
        page += _item(path, meaning)
    page += [".SH SEE ALSO", f".BR {_literal(SITE_FILE)} (5),", ".BR journalctl (1)"]
    return "\n".join(page) + "\n"


def of_site_file() -> str:
    """backendai-site.toml(5)."""
    page = [*_head(SITE_FILE, 5, "what a Backend.AI site is like"), ".SH DESCRIPTION"]
    page += [*_prose(reference.INTRODUCTION), ".SH TABLES"]
    for table in reference.tables():
        page += [f".SS {_literal(table.name)}", *_prose(table.meaning)]
        for key in table.keys:
            default = f"default {key.default}" if "`" in key.default else key.default
            page += _item(key.name, f"{key.kind}; {default}")
            page += [".br", _inline(key.meaning)]
    page += [".SH FILES", _literal("/etc/backendai/site.toml")]
    page += [".SH SEE ALSO", f".BR {_literal(PROGRAM)} (1)"]
    return "\n".join(page) + "\n"


def _head(name: str, section: int, about: str) -> list[str]:
    return [
        '.\\" Made by scripts/write-reference.',
        f'.TH "{_literal(name.upper())}" "{section}" "" "Backend.AI" "Backend.AI"',
        ".nh",  # names of files and keys stay whole
        ".SH NAME",
        f"{_literal(name)} \\- {_inline(about)}",
    ]


def _command(words: str, command: click.Command) -> Iterator[str]:
    ctx = click.Context(command, info_name=words)
    usage = " ".join([words, *command.collect_usage_pieces(ctx)])
    yield f".SS {_literal(usage)}"
    yield from _prose(command.help or "")
    if not isinstance(command, click.Group):
        yield from _options(command, hidden=("--help",))
        calls = (command.epilog or "").splitlines()[2:]  # see output.example
        yield from _prose("Example:\n\n" + "\n".join(f"    {call.strip()}" for call in calls))


def _options(command: click.Command, hidden: tuple[str, ...]) -> Iterator[str]:
    ctx = click.Context(command, **command.context_settings)
    for option in command.get_params(ctx):
        record = option.get_help_record(ctx)
        if record and not {*option.opts} & {*hidden}:
            yield from _item(*record)


def _item(term: str, meaning: str) -> list[str]:
    """What begins with a dash is typed as it is; what stands for something else is set apart."""
    shown = re.sub(r"(?<![\w-])(--?[\w-]+)", r"`\1`", term)
    return [".TP", _inline(shown if "`" in shown else f"`{term}`"), _inline(meaning)]


def _prose(text: str) -> Iterator[str]:
    """Paragraphs, and blocks that are indented by four as examples."""
    for block in text.strip("\n").split("\n\n"):
        yield ".PP"
        lines = block.splitlines()
        if lines and all(line.startswith("    ") for line in lines):
            yield from (".RS 4", ".EX", *(_literal(line[4:]) for line in lines), ".EE", ".RE")
        else:
            yield _inline(" ".join(line.strip() for line in lines))


def _inline(text: str) -> str:
    """A line of text; what stands between backticks is set bold."""
    parts = _escaped(text).split("`")
    made = "".join(f"\\fB{part}\\fR" if number % 2 else part for number, part in enumerate(parts))
    return _unlike_a_request(made)


def _literal(text: str) -> str:
    """A line as it is typed."""
    return _unlike_a_request(_escaped(text).replace("`", "\\(ga"))


def _escaped(text: str) -> str:
    for char, escape in (
        *(("\\", "\\e"), ("-", "\\-"), ("'", "\\(aq")),
        *(("~", "\\(ti"), ("^", "\\(ha"), ('"', "\\(dq")),
    ):
        text = text.replace(char, escape)
    return text


def _unlike_a_request(line: str) -> str:
    return f"\\&{line}" if line.startswith(".") else line
