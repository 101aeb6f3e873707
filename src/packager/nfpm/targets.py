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
    f.VersionField,
    f.VersionReleaseField,
    f.VersionEpochField,
    f.HomepageField,
    f.LicenseField,
    f.MaintainerField,
    f.DependsField,
    f.RequiresField,
    f.RecommendsField,
    f.SuggestsField,
    f.ConflictsField,
    f.ReplacesField,
    f.ProvidesField,
    f.LicensesField,
)


class NfpmDebPackage(Target):
    alias = "nfpm_deb_package"
    core_fields = (
        *PACKAGE_FIELDS,
        f.ScriptsField,
        f.TriggersField,
        f.SectionField,
        f.PriorityField,
        f.BreaksField,
        f.DebOutputField,
    )
    help = "A Debian package."


class NfpmRpmPackage(Target):
    alias = "nfpm_rpm_package"
    core_fields = (*PACKAGE_FIELDS, f.RpmScriptsField, f.RpmGroupField, f.RpmOutputField)
    help = "An rpm package."


OWNERSHIP = (f.FileOwnerField, f.FileGroupField)


class NfpmContentFile(Target):
    alias = "nfpm_content_file"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        f.ContentDependencies,
        f.ContentSrcField,
        f.ContentDstField,
        f.ContentTypeField,
        f.FileModeField,
        *OWNERSHIP,
    )
    help = "A file that packages install."


class NfpmContentFolder(Target):
    alias = "nfpm_content_folder"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        f.ContentDependencies,
        f.FolderSrcField,
        f.ContentDstField,
        f.FileModeField,
        *OWNERSHIP,
    )
    help = "A folder that packages own with all files that dependencies produce in one."


class NfpmContentSymlink(Target):
    alias = "nfpm_content_symlink"
    core_fields = (*COMMON_TARGET_FIELDS, f.ContentSrcField, f.ContentDstField)
    help = "A symbolic link that packages install: `dst` points to `src`."


class NfpmContentDir(Target):
    alias = "nfpm_content_dir"
    core_fields = (*COMMON_TARGET_FIELDS, f.ContentDstField, f.DirModeField, *OWNERSHIP)
    help = "A folder that packages own, empty or not."


TARGETS = (
    NfpmDebPackage,
    NfpmRpmPackage,
    NfpmContentFile,
    NfpmContentFolder,
    NfpmContentSymlink,
    NfpmContentDir,
)
