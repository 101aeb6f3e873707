"""Completion for bash and zsh, made from the commands: shells know the words without asking us.

`scripts/write-reference` writes them. Nothing of ours runs when somebody presses Tab, as root or not:
what a host has is taken from the names of its units, and from its site file by those who may read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import click

from backendai_ctl.cli.main import NOUNS, commands, group
from backendai_ctl.steps.plan import STEPS

_HEAD = "Completion of backendai-ctl. Made by scripts/write-reference from its commands."
# For both shells: services of this host, databases of its release, and names of tables of its site file.
# Shells expand what they are given here, so that it has no other characters than names have.
_ASK = r"""
_backendai_ctl_services() {
    find /usr/lib/systemd/system -maxdepth 1 -name 'backendai-*.service' 2>/dev/null |
        sed -n '/nft\|reconfigure\|upkeep/!s!.*/backendai-\([a-z0-9-]*\)\.service$!\1!p'
}
_backendai_ctl_databases() {
    sed -n '/"database": {/,/}/s/.*"name": "\([a-z0-9-]*\)".*/\1/p' \
        /usr/share/backendai/components/*.json 2>/dev/null
}
_backendai_ctl_schemas() {
    _backendai_ctl_databases | sed 's/.*/migrate-&-schema/'
}
_backendai_ctl_tables() {
    sed -n "s/^\[$1\.\([A-Za-z0-9_-]*\)\]\$/\1/p" /etc/backendai/site.toml 2>/dev/null
}
"""
_SERVICES = "_backendai_ctl_services"
_NODES, _VOLUMES = "_backendai_ctl_tables nodes", "_backendai_ctl_tables storage.volumes"
_ASKED = {  # command and parameter: what prints its values
    "start components": _SERVICES,
    "stop components": _SERVICES,
    "restart components": _SERVICES,
    "logs components": _SERVICES,
    "db backup which": "_backendai_ctl_databases",
    "db migrate which": "_backendai_ctl_databases",
    "reconfigure only": "_backendai_ctl_schemas",
    "node export name": _NODES,
    "storage mount name": _VOLUMES,
    "storage check name": _VOLUMES,
    "purge named": _VOLUMES,
}


@dataclass(frozen=True)
class Place:
    """A place of the command line: a pattern of what is before it, and what may follow.

    `words`: each with what it is for; `ask`: a shell's command that prints more of them.
    """

    pattern: str
    words: dict[str, str] = field(default_factory=dict)
    ask: str = ""

    def all(self, words: Iterable[str]) -> str:
        """These words and those that are asked for, as a shell has them."""
        return " ".join([*words, *([f"$({self.ask})"] if self.ask else [])])


def bash() -> str:
    """The script for /usr/share/bash-completion/completions/backendai-ctl."""
    cases = "\n".join(f'        {p.pattern}) words="{p.all(p.words)}" ;;' for p in _places())
    return f"""\
# {_HEAD}
{_ASK}
_backendai_ctl() {{
    local at='' word words=''
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$at $word" in
            {_known()}) at="$at $word" ;;
        esac
    done
    case "$at:${{COMP_WORDS[COMP_CWORD-1]}}" in
{cases}
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}")
}}
complete -o default -F _backendai_ctl backendai-ctl
"""


def zsh() -> str:
    """The script for the file _backendai-ctl in a folder of zsh's fpath."""
    cases = "\n".join(f"    {p.pattern}) found=({p.all(_described(p))}) ;;" for p in _places())
    return f"""\
#compdef backendai-ctl
# {_HEAD}
{_ASK}
local at='' word
local -a found
for word in "${{(@)words[2,CURRENT-1]}}"; do
    case "$at $word" in
        {_known()}) at="$at $word" ;;
    esac
done
case "$at:$words[CURRENT-1]" in
{cases}
esac
(( $#found )) && _describe backendai-ctl found || _files
"""


def _places() -> Iterator[Place]:
    """What is more special comes first."""
    files = []  # and whatever else no shell can know
    for words, option in _valued():
        pattern = "|".join(f'" {words}:{name}"' for name in option.opts)
        place = Place(pattern, _values(option), _ASKED.get(f"{words} {option.name}", ""))
        if place.words or place.ask:
            yield place
        else:
            files.append(pattern)
    yield Place("|".join(files))
    for words, command in commands():
        arguments = (param for param in command.params if isinstance(param, click.Argument))
        asked = [_ASKED.get(f"{words} {argument.name}", "") for argument in arguments]
        yield Place(f'" {words}:"*', _next(command), "".join(asked))
    yield Place("*", _next(group))


def _valued() -> Iterator[tuple[str, click.Option]]:
    """Options that take a value, with the words of their command."""
    for words, command in commands():
        for option in command.params:
            if isinstance(option, click.Option) and not option.is_flag:
                yield words, option


def _values(option: click.Option) -> dict[str, str]:
    if option.name == "only":
        return {step.name: step.title for step in STEPS if hasattr(step, "name")}
    return dict.fromkeys(option.type.choices, "") if isinstance(option.type, click.Choice) else {}


def _next(command: click.Command) -> dict[str, str]:
    """The words that may follow a command's own."""
    ctx = click.Context(command, **command.context_settings)
    found = {}
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            if verb := command.get_command(ctx, name):
                found[name] = NOUNS[name] if command is group else _first_sentence(verb.help)
    for option in command.get_params(ctx):
        if isinstance(option, click.Option):
            names = sorted(option.opts, key=len)  # click keeps those of --help in a set
            found |= dict.fromkeys(names, _first_sentence(option.help))
    return found


def _first_sentence(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].partition(". ")[0].split()).rstrip(".")


def _known() -> str:
    return "|".join(f'" {words}"' for words, _ in commands())


def _described(place: Place) -> list[str]:
    """Words as zsh's _describe reads them."""
    pairs = (f"{word}:{about}" if about else word for word, about in place.words.items())
    return ["'" + pair.replace("'", "'\\''") + "'" for pair in pairs]
