"""Fields of nfpm packages and contents, named as in the nfpm backend of later Pants versions.

Ours alone are `requires`, `licenses` and `summary` on debs. What a package leaves out is taken from
packaging/release.toml: version, maintainer, homepage, licence, time stamp, changelog.
"""

from __future__ import annotations

import re
from typing import Optional

from pants.core.goals.package import OutputPathField
from pants.engine.addresses import Address
from pants.engine.target import (
    Dependencies,
    DictStringToStringField,
    DictStringToStringSequenceField,
    IntField,
    InvalidFieldException,
    StringField,
    StringSequenceField,
)
from pants.util.frozendict import FrozenDict
from pants.util.strutil import help_text

# `./pants help TARGET` evaluates these, by CPython 3.9, which knows no `X | None`.
Text = Optional[str]
Texts = Optional[dict[str, str]]
FrozenTexts = Optional[FrozenDict[str, str]]


class PackageNameField(StringField):
    alias = "package_name"
    required = True
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


class SummaryField(StringField):
    alias = "summary"
    required = True
    help = "One line: what it is. The first line of a deb's description."


class DescriptionField(StringField):
    alias = "description"
    help = "What it is for, in a few sentences."


class ArchField(StringField):
    alias = "arch"
    default = "amd64"
    valid_choices = ("amd64", "all")
    help = "Architecture, in Debian's words; nfpm translates it for rpm."


class VersionField(StringField):
    alias = "version"
    help = "Version; that of the release when left out."


class VersionReleaseField(IntField):
    alias = "version_release"
    help = "Revision of the packaging; that of the release when left out."


class VersionEpochField(IntField):
    alias = "version_epoch"
    help = "Epoch, only where versions went backwards."


class HomepageField(StringField):
    alias = "homepage"
    help = "URL of the project; that of the release when left out."


class LicenseField(StringField):
    alias = "license"
    help = "SPDX expression of our own part; those of bundled works are added by the build."


class MaintainerField(StringField):
    alias = "maintainer"
    help = "`Name <address>`; that of the release when left out."


class DependsField(StringSequenceField):
    alias = "depends"
    default = ()
    help = "Packages of others that it needs, in the package manager's own words."


class RequiresField(StringSequenceField):
    alias = "requires"
    default = ()
    help = help_text(
        """
        Packages of ours that it needs; pinned to the exact version. What a tree builds on is added.
        """
    )


class RecommendsField(StringSequenceField):
    alias = "recommends"
    default = ()
    help = "Packages that are normally installed with it."


class SuggestsField(StringSequenceField):
    alias = "suggests"
    default = ()
    help = "Packages that may be of use with it."


class ConflictsField(StringSequenceField):
    alias = "conflicts"
    default = ()
    help = "Packages that cannot be installed with it."


class ReplacesField(StringSequenceField):
    alias = "replaces"
    default = ()
    help = "Packages whose files it takes over: deb `Replaces`, rpm `Obsoletes`."


class ProvidesField(StringSequenceField):
    alias = "provides"
    default = ()
    help = "Virtual packages that it provides."


class ScriptsField(DictStringToStringField):
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
    help = (
        "Triggers of dpkg: {interest_noawait, activate_noawait, ...: names}; see deb-triggers(5)."
    )


class LicensesField(StringField):
    alias = "licenses"
    default = ""
    help = "A licenses.json among the files of its dependencies: works bundled outside of a tree."


class NfpmDependencies(Dependencies):
    help = "Trees and nfpm_content_* targets: what the package installs; and its scripts."


class DebOutputField(OutputPathField):
    help = "Where the deb goes below dist/; the usual file name when left out."


class RpmOutputField(OutputPathField):
    help = "Where the rpm goes below dist/; the usual file name when left out."


class SectionField(StringField):
    alias = "section"
    default = "admin"
    help = "Section of the Debian archive it would belong to."


class PriorityField(StringField):
    alias = "priority"
    default = "optional"
    valid_choices = ("required", "important", "standard", "optional")
    help = "Priority, as in Debian policy."


class BreaksField(StringSequenceField):
    alias = "breaks"
    default = ()
    help = "Packages that it breaks until they are upgraded."


class RpmGroupField(StringField):
    alias = "group"
    default = "System Environment/Daemons"
    help = "Group of the rpm."


class ContentSrcField(StringField):
    alias = "src"
    required = True
    help = "For files: the path a dependency produces, relative to the BUILD file. For links: the target."


class FolderSrcField(StringField):
    alias = "src"
    required = True
    help = "A folder in which dependencies produce files, relative to the BUILD file."


class ContentDstField(StringField):
    alias = "dst"
    required = True
    help = "Absolute path on the host; `{name}` is filled from [paths] of packaging/release.toml."


class ContentTypeField(StringField):
    alias = "content_type"
    default = ""
    valid_choices = ("", "config", "config|noreplace")
    help = "`config|noreplace` keeps what the operator changed."


class FileOwnerField(StringField):
    alias = "file_owner"
    default = "root"
    help = "Owner of the file."


class FileGroupField(StringField):
    alias = "file_group"
    default = "root"
    help = "Group of the file."


class FileModeField(IntField):
    alias = "file_mode"
    default = 0o644
    help = "Mode of the file, as in 0o640."


class DirModeField(FileModeField):
    default = 0o755


class ContentDependencies(Dependencies):
    help = "The targets that produce the file."
