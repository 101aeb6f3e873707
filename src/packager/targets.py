"""Target types of the components: their PEX, their trees, and files made from templates."""

from __future__ import annotations

from pants.core.goals.package import OutputPathField
from pants.engine.target import (
    COMMON_TARGET_FIELDS,
    BoolField,
    MultipleSourcesField,
    SingleSourceField,
    Target,
)
from pants.util.strutil import help_text

from packager.fields import (
    MadeSources,
    RequiredString,
    RequiredStrings,
    Strings,
    StringTable,
)
from packager.values import ValuesField


class DistributionsField(Strings):
    alias = "distributions"
    help = help_text(
        """
        Python distributions that make up the component, as named in packaging/locks/python.lock;
        `name[extra]` asks for an extra. What they require follows from the lock.
        """
    )


class PexOutputField(OutputPathField):
    pass


class BackendaiPex(Target):
    alias = "backendai_pex"
    core_fields = (*COMMON_TARGET_FIELDS, DistributionsField, PexOutputField)
    help = "A self-contained PEX of a component, from exactly the wheels of the lock it needs."


class PackageField(RequiredString):
    alias = "package"
    help = "The package that owns the tree, such as `backendai-agent`."


class SkeletonField(BoolField):
    alias = "skeleton"
    default = False
    help = "Whether the tree also makes the environment: pyvenv.cfg and bin/python."


class PrivateLoaderField(Strings):
    alias = "private_loader"
    help = help_text(
        """
        Programs inside the wheels, relative to site-packages, that must run on the private loader
        and libraries of the runtime instead of the host's.
        """
    )


class BackendaiTree(Target):
    alias = "backendai_tree"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        PackageField,
        DistributionsField,
        SkeletonField,
        PrivateLoaderField,
    )
    help = help_text(
        """
        The share of the environment that one package owns: the distributions that it alone needs
        (without `distributions`: those that several need), pruned and compiled.
        """
    )


class DebianSetField(RequiredString):
    alias = "packages"
    help = "The set of packaging/locks/debian.lock that is assembled."


class RuntimeSourceField(SingleSourceField):
    help = "The sitecustomize module of the runtime."


class BackendaiRuntimeTree(Target):
    alias = "backendai_runtime_tree"
    core_fields = (*COMMON_TARGET_FIELDS, PackageField, DebianSetField, RuntimeSourceField)
    help = "A private, relocated CPython assembled from locked Debian packages."


class DebianPackagesField(RequiredStrings):
    alias = "debian"
    help = "The Debian packages that the set holds; scripts/lock-debian writes it by this list."


class TreePrefixField(RequiredString):
    alias = "prefix"
    help = "Where the tree is used; `{name}` is a path of packaging/release.toml."


class TreeProgramsField(RequiredStrings):
    alias = "programs"
    help = help_text(
        """
        Programs, as patterns of paths below usr/ of the Debian packages. They get the loader and the
        libraries of the runtime, and those of the tree.
        """
    )


class TreeDataField(Strings):
    alias = "data"
    help = "Files and folders that programs read or load, as patterns of paths below usr/."


class TreeLibrariesField(Strings):
    alias = "libraries"
    help = "Libraries that programs load by name; those that headers ask for are found."


class TreeLinksField(StringTable):
    alias = "links"
    help = "Links in the tree: {path: file beside it}."


class LeftOutField(StringTable):
    alias = "left_out"
    help = "What of that is left out: {pattern of paths in the tree: reason}."


class BackendaiServerTree(Target):
    alias = "backendai_server_tree"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        PackageField,
        DebianSetField,
        DebianPackagesField,
        TreePrefixField,
        TreeProgramsField,
        TreeDataField,
        TreeLibrariesField,
        TreeLinksField,
        LeftOutField,
    )
    help = help_text(
        """
        Programs out of locked Debian packages, moved below `prefix`, where they run on the loader and
        the libraries of the runtime, whatever the host has.
        """
    )


class RenderedSourceField(MadeSources):
    """The template lies in a folder of its own and is named by `template`."""


class TemplateField(RequiredString):
    alias = "template"
    help = "Path of the jinja2 template, from the root of the repository."


class RenderedOutputField(RequiredString):
    alias = "output"
    help = "Name of the file it makes, beside the BUILD file."


class RenderedFile(Target):
    alias = "rendered_file"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        RenderedSourceField,
        TemplateField,
        RenderedOutputField,
        ValuesField,
    )
    help = help_text(
        """
        A file made from a jinja2 template, `values` and the table packaging/release.toml. A variable
        that does not exist is an error.
        """
    )


class WheelDistributionField(RequiredString):
    alias = "distribution"
    help = "The name of the distribution."


class SummaryLineField(RequiredString):
    alias = "summary"
    help = "One line: what it is."


class WheelPackagesField(RequiredStrings):
    alias = "packages"
    help = "Top-level Python packages below src/ that are in the wheel."


class ImportsField(Strings):
    alias = "imports"
    help = "Distributions of packaging/locks/python.lock that it imports."


class WheelScriptsField(StringTable):
    alias = "scripts"
    help = "Console scripts: {name: module:function}."


class BackendaiWheel(Target):
    alias = "backendai_wheel"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        WheelDistributionField,
        SummaryLineField,
        WheelPackagesField,
        ImportsField,
        WheelScriptsField,
    )
    help = help_text(
        """
        Our own Python as a distribution of the release's version. Trees take it by its name like one
        of the lock.
        """
    )


class ComponentFacts(Target):
    alias = "component_facts"
    core_fields = (*COMMON_TARGET_FIELDS, ValuesField)
    help = "What backendai-ctl must know of a component: its unit, configuration, ports, health."


class ServerFacts(Target):
    alias = "server_facts"
    core_fields = (*COMMON_TARGET_FIELDS, ValuesField)
    help = "What backendai-ctl must know of a server: its unit, account, files, ports, health."


class RoleFacts(Target):
    alias = "role_facts"
    core_fields = (*COMMON_TARGET_FIELDS, ValuesField)
    help = "What backendai-ctl must know of a role: its package, components and servers."


class ShareSourcesField(MadeSources):
    """Everything is gathered from elsewhere."""


class UnpackedWheelField(RequiredString):
    alias = "unpacked_wheel"
    help = "A distribution among `unpacked` of packaging/locks/python.lock."


class ShareFilesField(StringTable):
    alias = "files"
    help = "What is taken out of that wheel: {pattern: folder below share/}."


class BackendaiShare(Target):
    alias = "backendai_share"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        ShareSourcesField,
        UnpackedWheelField,
        ShareFilesField,
    )
    help = help_text(
        """
        The folder `share` that backendai-ctl works with: the facts of the release and of every
        component, the templates of their configuration (CONFIG.j2 beside their BUILD files), and
        files of a wheel that is not installed. And `licenses.json` for the latter.
        """
    )


class GatewaySourcesField(MultipleSourcesField):
    required = True
    uses_source_roots = False
    help = "Sources of the gateway: its modules, package.json, licence texts."


class GatewayManagerField(RequiredString):
    alias = "manager"
    help = "Address of the manager's PEX, which dumps the GraphQL schemas."


class GatewayBundle(Target):
    alias = "gateway_bundle"
    core_fields = (*COMMON_TARGET_FIELDS, GatewaySourcesField, GatewayManagerField)
    help = help_text(
        """
        The GraphQL gateway as one file, `gateway.mjs`, the supergraph of the manager's own schemas,
        `supergraph.graphql`, and `licenses.json` for what is bundled.
        """
    )


class ReleaseMarkerField(BoolField):
    alias = "covers_everything"
    default = True
    help = "A release covers every package of the repository."


class BackendaiRelease(Target):
    alias = "backendai_release"
    core_fields = (*COMMON_TARGET_FIELDS, ReleaseMarkerField)
    help = help_text(
        """
        The list of all artefacts with their sha256, where a file of two packages is found out, and
        where locked packages that had left the mirror are recorded.
        """
    )
