"""The manual pages say what the commands and the site file's schema say, in roff that has no warnings."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import click
import pytest

from backendai_ctl.cli import manual
from backendai_ctl.cli.main import NOUNS, commands
from backendai_ctl.errors import EXIT_STATUSES
from backendai_ctl.site import reference

FOLDER = Path(__file__).resolve().parents[4] / "packaging/ctl"
PAGES = {
    "backendai-ctl.1": manual.of_commands(),
    "backendai-site.toml.5": manual.of_site_file(),
}
every_page = pytest.mark.parametrize("name", PAGES)


def plain(name: str) -> str:
    """The page as a reader has it, without bold, on one line."""
    argv = ["groff", "-man", "-Tutf8", "-P-cbou", "-rLL=2000n"]
    done = subprocess.run(argv, input=PAGES[name], capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split())


@every_page
def test_the_written_page_is_current(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == PAGES[name], "run scripts/write-reference"


@every_page
def test_a_page_has_a_name_a_section_and_no_date(name: str) -> None:
    title = next(line for line in PAGES[name].splitlines() if line.startswith(".TH "))
    page, section = name.rsplit(".", 1)
    escaped = page.upper().replace("-", "\\-")
    assert title == f'.TH "{escaped}" "{section}" "" "Backend.AI" "Backend.AI"'


@every_page
@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed (apt install groff)")
def test_groff_has_nothing_to_say(name: str) -> None:
    argv = ["groff", "-man", "-Tutf8", "-ww", "-z"]
    done = subprocess.run(argv, input=PAGES[name], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed (apt install groff)")
def test_every_command_and_option_is_told_with_its_example() -> None:
    page = plain("backendai-ctl.1")
    told = dict(commands())
    assert {words.split()[0] for words in told} == {*NOUNS} - {"hook"}
    for words, command in told.items():
        assert f" {words} [OPTIONS]" in page
        for option in command.params:
            if isinstance(option, click.Option):
                assert f" {option.opts[0]}" in page
                assert " ".join((option.help or "").replace("`", "").split()) in page
        if not isinstance(command, click.Group):
            assert (command.epilog or "").splitlines()[-1].strip() in page


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed (apt install groff)")
def test_the_exit_statuses_are_told() -> None:
    page = plain("backendai-ctl.1")
    for status, meaning in EXIT_STATUSES.items():
        assert f" {status} {meaning}" in page


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed (apt install groff)")
def test_every_key_of_the_site_file_is_told() -> None:
    page = plain("backendai-site.toml.5")
    for table in reference.tables():
        assert f" {table.name} " in page
        for key in table.keys:
            assert f" {key.name} {key.kind.replace('`', '')}; " in page
            assert " ".join(key.meaning.replace("`", "").split()) in page


def test_what_would_be_a_request_is_text() -> None:
    assert manual._inline(".x `a-b` 'c' \\") == "\\&.x \\fBa\\-b\\fR \\(aqc\\(aq \\e"
    assert manual._literal("`x`") == "\\(gax\\(ga"
