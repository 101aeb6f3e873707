"""Fields of nfpm packages and contents, named as in the nfpm backend of later Pants versions.

Ours alone are `requires`, `licenses` and `summary` on debs. What all packages share is taken from
packaging/release.toml: version, maintainer, homepage, license, time stamp, changelog.
"""

from __future__ import annotations

import re
from typing import Optional

from pants.engine.addresses import Address
from pants.engine.target import (
    Dependencies,
    DictStringToStringSequenceField,
    InvalidFieldException,
)
from pants.util.frozendict import FrozenDict
from pants.util.strutil import help_text

from packager.fields import DefaultString, RequiredString, Strings, StringTable

# `./pants help TARGET` evaluates these, by CPython 3.9, which knows no `X | None`.
Text = Optional[str]
Texts = Optional[dict[str, str]]
FrozenTexts = Optional[FrozenDict[str, str]]


class PackageNameField(RequiredString):
    alias = "package_name"
    help = "The name of the package."

    @classmethod
    def compute_value(cls, raw_value: Text, address: Address) -> Text:
        value = super().compute_value(raw_value, address)
        if value and not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", value):
            raise InvalidFieldException(
                f"{address}: field `package_name`: {value!r} is no name for a deb: "
                "lower-case letters, digits and + - . only"
            )
        return value


class SummaryField(RequiredString):
    alias = "summary"
    help = "One line: what it is. The first line of a deb's description."


class DescriptionField(DefaultString):
    alias = "description"
    help = "What it is for, in a few sentences."


class ArchField(DefaultString):
    alias = "arch"
    default = "amd64"
    valid_choices = ("amd64", "all")
    help = "Architecture, in Debian's words; nfpm translates it for rpm."


class DependsField(Strings):
    alias = "depends"
    help = "Packages of others that it needs, in the package manager's own words."


class RequiresField(Strings):
    alias = "requires"
    help = help_text(
        """
        Packages of ours that it needs; pinned to the exact version. What a tree builds on is added.
        """
    )


class SuggestsField(Strings):
    alias = "suggests"
    help = "Packages that may be of use with it."


class ReplacesField(Strings):
    alias = "replaces"
    help = "Packages whose files it takes over: deb `Replaces`, rpm `Obsoletes`."


class ScriptsField(StringTable):
    alias = "scripts"
    help = help_text(
        """
        Maintainer scripts: {preinstall, postinstall, preremove, postremove: path of a file that a
        dependency produces, relative to the BUILD file}.
        """
    )
    known: tuple[str, ...] = ("preinstall", "postinstall", "preremove", "postremove")

    @classmethod
    def compute_value(cls, raw_value: Texts, address: Address) -> FrozenTexts:
        value = super().compute_value(raw_value, address)
        for key in value or ():
            if key not in cls.known:
                raise InvalidFieldException(
                    f"{address}: field `scripts`: unknown script `{key}`; known are: {', '.join(cls.known)}"
                )
        return value


class RpmScriptsField(ScriptsField):
    help = help_text(
        """
        Maintainer scripts as of a deb, and `posttrans`: what runs once the whole transaction is done.
        """
    )
    known = (*ScriptsField.known, "posttrans")


class TriggersField(DictStringToStringSequenceField):
    alias = "triggers"
    default = FrozenDict()
    value: FrozenDict[str, tuple[str, ...]]
    help = (
        "Triggers of dpkg: {interest_noawait, activate_noawait, ...: names}; see deb-triggers(5)."
    )


class LicensesField(DefaultString):
    alias = "licenses"
    help = "A licenses.json among the files of its dependencies: works bundled outside of a tree."


class NfpmDependencies(Dependencies):
    help = "Trees and nfpm_content_* targets: what the package installs; and its scripts."


class SectionField(DefaultString):
    alias = "section"
    default = "admin"
    help = "Section of the Debian archive it would belong to."


class BreaksField(Strings):
    alias = "breaks"
    help = "Packages that it breaks until they are upgraded."


class ContentSrcField(RequiredString):
    alias = "src"
    help = "For files: the path a dependency produces, relative to the BUILD file. For links: the target."


class FolderSrcField(RequiredString):
    alias = "src"
    help = "A folder in which dependencies produce files, relative to the BUILD file."


class ContentDstField(RequiredString):
    alias = "dst"
    help = "Absolute path on the host; `{name}` is filled from [paths] of packaging/release.toml."


class ContentDependencies(Dependencies):
    help = "The targets that produce the file."
