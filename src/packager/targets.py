"""Target types of the components: their PEX, their trees, and files made from templates."""

from __future__ import annotations

from pants.core.goals.package import OutputPathField
from pants.engine.target import (
    COMMON_TARGET_FIELDS,
    BoolField,
    MultipleSourcesField,
    SingleSourceField,
    StringField,
    StringSequenceField,
    Target,
)
from pants.util.strutil import help_text

from packager.values import ValuesField


class DistributionsField(StringSequenceField):
    alias = "distributions"
    help = help_text(
        """
        Python distributions that make up the component, as named in packaging/locks/python.lock;
        `name[extra]` asks for an extra. What they require follows from the lock.
        """
    )


class PexOutputField(OutputPathField):
    pass


class PexScriptField(StringField):
    alias = "script"
    default = "backend.ai"
    help = "The console script the PEX starts."


class BackendaiPex(Target):
    alias = "backendai_pex"
    core_fields = (*COMMON_TARGET_FIELDS, DistributionsField, PexScriptField, PexOutputField)
    help = "A self-contained PEX of a component, from exactly the wheels of the lock it needs."


class PackageField(StringField):
    alias = "package"
    required = True
    help = "The package that owns the tree, such as `backendai-agent`."


class SkeletonField(BoolField):
    alias = "skeleton"
    default = False
    help = "Whether the tree also makes the environment: pyvenv.cfg and bin/python."


class PrivateLoaderField(StringSequenceField):
    alias = "private_loader"
    default = ()
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


class DebianSetField(StringField):
    alias = "packages"
    required = True
    help = "The set of packaging/locks/debian.lock that is assembled."


class RuntimeSourceField(SingleSourceField):
    help = "The sitecustomize module of the runtime."


class BackendaiRuntimeTree(Target):
    alias = "backendai_runtime_tree"
    core_fields = (*COMMON_TARGET_FIELDS, PackageField, DebianSetField, RuntimeSourceField)
    help = "A private, relocated CPython assembled from locked Debian packages."


class RenderedSourceField(MultipleSourcesField):
    """Always empty: the template lies in a folder of its own and is named by `template`."""

    alias = "_sources"
    default = ()
    expected_num_files = 0
    uses_source_roots = False


class TemplateField(StringField):
    alias = "template"
    required = True
    help = "Path of the jinja2 template, from the root of the repository."


class RenderedOutputField(StringField):
    alias = "output"
    required = True
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


class GatewaySourcesField(MultipleSourcesField):
    required = True
    uses_source_roots = False
    help = "Sources of the gateway: its modules, package.json, licence texts."


class GatewayManagerField(StringField):
    alias = "manager"
    required = True
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
    core_fields = (*COMMON_TARGET_FIELDS, ReleaseMarkerField, OutputPathField)
    help = help_text(
        """
        The list of all artefacts with their sha256, where a file of two packages is found out, and
        where locked packages that had left the mirror are recorded.
        """
    )
