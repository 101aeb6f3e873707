from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from devtools.reproduce import reasons, varied
from devtools.variants import Machine, Variant, enter, foreign_locale, script, variants

FULL = Machine(
    root=True,
    namespaces=True,
    cores=(0, 1),
    locales=("C", "C.utf8", "POSIX", "de_DE.utf8", "tr_TR.utf8"),
    compiler="/usr/bin/cc",
    old_kernel=True,
    python39="",
)
POOR = Machine(False, False, (0,), ("C",), "", False, "")


def _script(variant: Variant, machine: Machine) -> str:
    return script(variant, machine, Path("/s/copy"), Path("/s/clock.so"), Path("/s/probe"), ["::"])


def test_nothing_by_which_a_build_could_be_told_apart_is_equal_in_both_variants() -> None:
    first, second = variants(Path("/s"), FULL)
    for name in ("checkout", "cache", "home", "temporary", "umask", "host", "domain", "user"):
        assert getattr(first, name) != getattr(second, name), name
    assert len(str(first.checkout)) != len(str(second.checkout))
    for variable in ("PATH", "LC_ALL", "TZ", "PYTHONHASHSEED"):
        assert first.env[variable] != second.env[variable]
    assert (first.core, second.core) == (None, 1)


def test_a_machine_that_allows_little_is_not_asked_for_more() -> None:
    _, second = variants(Path("/s"), POOR)
    assert second.user is None and second.core is None
    text = _script(second, POOR)
    for word in ("mount", "hostname", "ld.so.preload", "setpriv", "uname-2.6"):
        assert word not in text


def test_a_variant_is_prepared_inside_namespaces_only() -> None:
    _, second = variants(Path("/s"), FULL)
    text = _script(second, FULL)
    assert text.index("mount --bind") < text.index("/etc/hosts")
    assert "chmod 0644 /etc/ld.so.preload" in text  # the umask would hide it from the user


@pytest.mark.parametrize("machine", [FULL, POOR])
def test_the_script_is_shell(machine: Machine) -> None:
    for variant in variants(Path("/a folder"), machine):
        text = _script(variant, machine)
        subprocess.run(["sh", "-n"], input=text, text=True, check=True)


def test_the_environment_is_given_whole_and_the_daemon_is_off() -> None:
    first, _ = variants(Path("/s"), FULL)
    argv = enter(first)
    given = argv[argv.index("-i") + 1 :]
    assert "PANTS_PANTSD=false" in given
    assert "BACKENDAI_CACHE=/s/a/cache" in given


def test_a_locale_of_a_language_is_preferred() -> None:
    assert foreign_locale(FULL.locales) == "tr_TR.utf8"
    assert foreign_locale(("C", "C.utf8", "POSIX")) == "C"


def test_what_was_not_varied_is_said_with_its_reason() -> None:
    first = {"cores": "1", "clock": "2026-11-23"}
    second = {"cores": "1", "clock": "2035-11-30"}
    text = varied(first, second, reasons(POOR))
    assert "not varied: there is but one" in text
    assert "2035-11-30" in text


def test_without_a_compiler_the_clock_is_said_to_stay() -> None:
    machine = dataclasses.replace(FULL, compiler="")
    _, second = variants(Path("/s"), machine)
    assert not second.moved_clock
    assert "cc" in reasons(machine)["clock"]


def test_a_passphrase_is_in_no_call() -> None:
    first, _ = variants(Path("/s"), FULL)
    text = _script(dataclasses.replace(first, passphrase=Path("/s/first/passphrase")), FULL)
    assert "./pants package :: 3</s/first/passphrase" in text
