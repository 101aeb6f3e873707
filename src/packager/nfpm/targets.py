"""Target types of packages and of what they install."""

from __future__ import annotations

from pants.engine.target import COMMON_TARGET_FIELDS, Target

from packager.nfpm import fields as f

PACKAGE_FIELDS = (
    *COMMON_TARGET_FIELDS,
    f.NfpmDependencies,
    f.PackageNameField,
    f.SummaryField,
    f.DescriptionField,
    f.ArchField,
    f.DependsField,
    f.RequiresField,
    f.SuggestsField,
    f.ReplacesField,
    f.LicensesField,
)


class NfpmDebPackage(Target):
    alias = "nfpm_deb_package"
    core_fields = (
        *PACKAGE_FIELDS,
        f.ScriptsField,
        f.TriggersField,
        f.SectionField,
        f.BreaksField,
    )
    help = "A Debian package."


class NfpmRpmPackage(Target):
    alias = "nfpm_rpm_package"
    core_fields = (*PACKAGE_FIELDS, f.RpmScriptsField)
    help = "An rpm package."


class NfpmContentFile(Target):
    alias = "nfpm_content_file"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        f.ContentDependencies,
        f.ContentSrcField,
        f.ContentDstField,
    )
    help = "A file that packages install."


class NfpmContentFolder(Target):
    alias = "nfpm_content_folder"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        f.ContentDependencies,
        f.FolderSrcField,
        f.ContentDstField,
    )
    help = "A folder that packages own with all files that dependencies produce in one."


class NfpmContentSymlink(Target):
    alias = "nfpm_content_symlink"
    core_fields = (*COMMON_TARGET_FIELDS, f.ContentSrcField, f.ContentDstField)
    help = "A symbolic link that packages install: `dst` points to `src`."


TARGETS = (
    NfpmDebPackage,
    NfpmRpmPackage,
    NfpmContentFile,
    NfpmContentFolder,
    NfpmContentSymlink,
)
