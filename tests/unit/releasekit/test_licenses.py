from __future__ import annotations

from pathlib import Path

import pytest

from releasekit.licenses import (
    copyright_file,
    expression,
    part_of_wheel,
    stated,
    without_common,
    write_doc,
)
from releasekit.model import Part
from releasekit.read_licenses import READ, key

APACHE = (
    "                 Apache License\n           Version 2.0, January 2004\n"
    "   TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION\n\n"
    "   1. Definitions.\n\n of your accepting any such warranty or additional liability.\n"
    "\n   END OF TERMS AND CONDITIONS"
)


def info(folder: Path, metadata: str, **texts: str) -> Path:
    (folder / "licenses").mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: a\nVersion: 1\n{metadata}\n")
    for name, text in texts.items():
        (folder / "licenses" / name).write_text(text)
    return folder


def test_a_wheel_tells_licence_author_and_texts(tmp_path: Path) -> None:
    folder = info(
        tmp_path, "License: MIT License\nAuthor: Some  One", LICENSE="the text\n", other="x"
    )
    assert part_of_wheel(folder) == Part("a", "1", "MIT", ("the text",), "Some One")


@pytest.mark.parametrize(
    ("expression", "field", "classifiers", "texts", "license"),
    [
        ("ISC", "MIT", ["MIT License"], (), "ISC"),
        ("", "MIT", ["ISC License (ISCL)"], (), "MIT"),
        ("", "", ["MIT License", "Apache License 2.0"], (), "MIT AND Apache-2.0"),
        ("", "BSD", ["MIT License"], (), "MIT"),
        # A part of a statement is not taken for all of it, and no text is guessed at.
        ("", "", ["MIT License", "BSD License"], (), "LicenseRef-unstated"),
        ("", "", [], ("Permission is hereby granted, free of charge",), "LicenseRef-unstated"),
        ("", "BSD", ["BSD License"], ("Redistributions in binary form",), "LicenseRef-unstated"),
        ("", "Dual License", ["BSD License"], (), "LicenseRef-unstated"),
        ("", "", [], (), "LicenseRef-unstated"),
        # Somebody has read these.
        ("", "", ["BSD License"], ("As they were read.",), "BSD-2-Clause"),
        ("", "As they were read.", [], (), "BSD-2-Clause"),
        ("", "MIT", ["BSD License"], ("As they were read.",), "MIT"),
    ],
)
def test_the_surest_statement_counts(
    expression: str,
    field: str,
    classifiers: list[str],
    texts: tuple[str, ...],
    license: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(READ, key(["As they were read."]), "BSD-2-Clause")
    assert stated(expression, field, classifiers, texts) == license


def test_the_copyright_file_is_machine_readable() -> None:
    parts = [Part("b", "2", "ISC", ("one\n\n  two  ",)), Part("A", "1", "MIT", (), "Some One")]
    text = copyright_file(package="p", homepage="https://h", own="LGPL-3.0-only", parts=parts)
    paragraphs = text.rstrip("\n").split("\n\n")
    assert paragraphs[0].startswith(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright"
    )
    assert paragraphs[2] == "Files: A-1\nCopyright: Some One\nLicense: MIT"
    assert paragraphs[3] == (
        "Files: b-2\nCopyright: the authors of b\nLicense: ISC\n one\n .\n   two"
    )


def test_a_common_text_is_replaced_by_a_reference_and_kept_once() -> None:
    parts = [
        Part("b", "1", "Apache-2.0", (f"{APACHE}\n\nCopyright B",)),
        Part("a", "1", "MIT", ("x",)),
    ]
    shortened, common = without_common(parts)
    assert list(common) == ["Apache-2.0.txt"]
    assert "1. Definitions." in common["Apache-2.0.txt"]
    assert shortened[0].texts == ("x",)
    (text,) = shortened[1].texts
    assert "Definitions" not in text and "Apache-2.0.txt beside this file" in text
    assert text.endswith("Copyright B"), "what the part says beyond the licence was lost"


def test_a_common_text_is_known_without_its_closing_line() -> None:
    text = APACHE.rsplit("\n\n", 1)[0]
    shortened, common = without_common([Part("b", "1", "Apache-2.0", (text,))])
    assert common and "Definitions" not in shortened[0].texts[0]


def test_documentation_is_readable_by_all(tmp_path: Path) -> None:
    parts = [Part("b", "1", "Apache-2.0", (APACHE,))]
    write_doc(tmp_path / "doc", package="p", homepage="h", own="MIT", parts=parts)
    files = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "doc").iterdir()}
    assert files == {"copyright": 0o644, "Apache-2.0.txt": 0o644}


def test_the_licence_of_a_package_covers_its_parts() -> None:
    parts = [Part("b", "1", "MIT OR ISC"), Part("a", "1", "LicenseRef-unstated")]
    assert expression("LGPL-3.0-only", parts) == "LGPL-3.0-only AND (MIT OR ISC)"
