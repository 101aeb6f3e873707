"""docs/INSTALLING.md and the help of verify.sh and install.sh say the same; refusals are documented."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import tomllib

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "packaging/bundle"
DOCUMENT = (ROOT / "docs/INSTALLING.md").read_text("utf-8")
SCRIPTS = ("verify.sh", "install.sh")


def shown(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["dash", str(FOLDER / script), *words], capture_output=True, text=True, check=False
    )


def options(text: str) -> set[str]:
    return set(re.findall(r"^  (?:-h, )?(--[a-z-]+)", text, re.MULTILINE))


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_option_of_the_help_is_documented_and_no_other(script: str) -> None:
    rows = re.findall(r"^\| `(--[a-z-]+)[^|]*\| (\S+) \|", DOCUMENT, re.MULTILINE)
    documented = {option for option, of in rows if of in ("both", script)}
    done = shown(script, "--help")
    assert done.returncode == 0
    assert options(done.stdout) == documented


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_option_of_the_help_is_taken(script: str) -> None:
    code = (FOLDER / script).read_text()
    for option in options(shown(script, "--help").stdout):
        assert re.search(rf"^ .*{option}\b[^\n]*\)", code, re.MULTILINE), option


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("words", [("--nosuch",), ("extra",), ("--fingerprint",)])
def test_a_wrong_request_ends_with_2_and_a_hint(script: str, words: tuple[str, ...]) -> None:
    done = shown(script, *words)
    assert done.returncode == 2
    assert "hint: " in done.stderr


def test_documented_refusals_are_those_of_the_scripts() -> None:
    code = "".join(path.read_text() for path in FOLDER.rglob("*.sh"))
    table = DOCUMENT.split("| refused |")[1]
    rows = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    texts = [row for row in rows if not row.startswith("---")]
    assert len(texts) > 10
    for text in texts:
        for part in text.split("..."):
            assert part.strip(" ,") in code, text


def test_every_refusal_has_a_cure() -> None:
    for path in FOLDER.rglob("*.sh"):
        joined = path.read_text().replace("\\\n", " ")
        for call in re.findall(r'(?<![\w-])refuse "[^\n]*(?:\n {4,}".*)?', joined):
            assert re.search(r'"\s+"', call), (path.name, call)


@pytest.mark.parametrize(("program", "family"), [("dpkg", "apt"), ("rpm", "rpm")])
def test_a_bundle_of_the_other_kind_of_packages_is_refused(
    tmp_path: Path, program: str, family: str
) -> None:
    bundle, root = tmp_path / "bundle", tmp_path / "root"
    shutil.copytree(FOLDER, bundle)
    (bundle / ("rpm" if family == "apt" else "apt")).mkdir()
    (root / "usr/bin").mkdir(parents=True)
    shutil.copy("/bin/true", root / "usr/bin" / program)
    call = ["dash", str(bundle / "install.sh"), "--list-roles", "--root", str(root)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert f"refused: this bundle holds no packages for {family}" in done.stderr
    assert "hint: get the bundle whose name has -linux- in it" in done.stderr


def test_the_scripts_are_executable() -> None:
    assert all((FOLDER / script).stat().st_mode & 0o100 for script in SCRIPTS)


@pytest.mark.parametrize(
    "text",
    [
        "[user]\nuid = 2_100 # ours\nname = 'svc'\n",
        'user = { uid = 2100, name = "svc" }\n',
        "user.uid = 2100\nuser.name = 'svc'\n",
        "[user]\n\"uid\" = 2100\n'name' = 'svc'\n",
        '[ "user" ]\n  uid=0x834\n  name="svc"\n[site]\nname = "x"\n',
        "\"user\" . \"uid\" = 2100\n'user'.'name' = 'svc'\n",
        "'user' = { 'uid' = 2100, \"name\" = 'svc' }\n[database]\nname = 'other'\n",
    ],
)
def test_the_account_of_a_site_file_is_seen_however_it_is_written(
    text: str, tmp_path: Path
) -> None:
    file = tmp_path / "site.toml"
    file.write_text(text)
    script = (
        f"here={tmp_path}; . {FOLDER}/lib/checks.sh; . {FOLDER}/lib/host.sh; site_file={file}\n"
        "of_user name bai; of_user uid 1100; of_user gid none; finished=yes"
    )
    done = subprocess.run(["dash", "-uc", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["svc", "2100", "none"]
    known = tomllib.loads(text)["user"]
    assert known == {"uid": 2100, "name": "svc"}


def _library(family: str, calls: str, folder: Path, **environment: str) -> str:
    """What functions of lib/FAMILY.sh print, outside an installation."""
    script = (
        f"here={folder}; . {FOLDER}/lib/checks.sh; . {FOLDER}/lib/host.sh\n"
        'in_root() { "$@"; }; no_recommends="" foreign="" other_sources=${OTHER:-}\n'
        f". {FOLDER}/lib/{family}.sh; {calls}; finished=yes"
    )
    argv = ["dash", "-uc", script]
    env = {**os.environ, **environment}
    return subprocess.run(argv, capture_output=True, text=True, check=True, env=env).stdout


@pytest.mark.skipif(not shutil.which("apt-config"), reason="needs apt")
def test_of_the_hosts_apt_settings_only_proxies_and_options_of_dpkg_stay(tmp_path: Path) -> None:
    host = tmp_path / "host.conf"
    host.write_text(
        'Dir::Etc::main "/dev/null";\nDir::Etc::parts "/dev/null";\n'
        'Acquire::http::Proxy "http://proxy.invalid:3128";\nDPkg::Options:: "--force-unsafe-io";\n'
        'APT::Default-Release "theirs";\nDPkg::Post-Invoke { "theirs"; };\n'
        'APT::Install-Recommends "false";\nDir::Etc::sourcelist "/theirs";\n'
    )
    calls = "host_settings; apt_settings /ours root"
    ours = tmp_path / "ours.conf"
    ours.write_text(_library("apt", calls, tmp_path, APT_CONFIG=str(host)))
    seen = subprocess.run(
        ["apt-config", "dump"],
        env={**os.environ, "APT_CONFIG": str(ours)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "theirs" not in seen
    for unread in ("main", "parts", "preferences", "preferencesparts", "sourcelist"):
        assert f'Dir::Etc::{unread} "/dev/null";' in seen
    assert 'Acquire::http::Proxy "http://proxy.invalid:3128";' in seen
    options = re.findall(r'^(?i:dpkg)::Options:: "(.*)";', seen, re.MULTILINE)
    assert options == ["--force-unsafe-io", "--force-confdef", "--force-confold"]  # the last counts
    assert 'APT::Install-Recommends "true";' in seen
    other = _library("apt", calls, tmp_path, APT_CONFIG=str(host), OTHER="yes")
    assert 'APT::Default-Release "theirs";' in other
    assert "Post-Invoke" not in other


def test_of_the_hosts_dnf_settings_only_proxies_and_certificates_stay(tmp_path: Path) -> None:
    (tmp_path / "etc/dnf").mkdir(parents=True)
    (tmp_path / "etc/dnf/dnf.conf").write_text(
        "[main]\nexcludepkgs=backendai-*\nproxy=http://proxy.invalid:3128\nsslcacert = /ca.crt\n"
        "tsflags=test\n[theirs]\nproxy=http://theirs.invalid\n"
    )
    said = _library("rpm", f"root={tmp_path}; host_settings", tmp_path)
    assert said.splitlines() == ["proxy=http://proxy.invalid:3128", "sslcacert = /ca.crt"]


HINT = "hint: install on Debian 12, Ubuntu 22.04, Enterprise Linux 9, or newer\n"


@pytest.mark.parametrize(
    ("name", "is_", "version", "systemd", "reason"),
    [
        ("debian", "Debian GNU/Linux", "11", 247, "Debian GNU/Linux 11 is too old"),
        # With systemd of its backports: its dpkg reads no package of ours all the same.
        ("debian", "Debian GNU/Linux", "11", 252, "Debian GNU/Linux 11 is too old"),
        ("ubuntu", "Ubuntu", "20.04", 245, "Ubuntu 20.04 is too old"),
        ("rocky", "Rocky Linux", "8.10", 239, "Rocky Linux 8.10 is too old"),
        ("rhel", "Red Hat Enterprise Linux", "8.4", 239, "Linux 8.4 is too old"),
        ("nosuch", "Other", "3", 248, "systemd here is 248, and"),
        ("debian", "Debian GNU/Linux", "12", 252, ""),
        ("debian", "Debian GNU/Linux", "", 260, ""),  # testing
        ("ubuntu", "Ubuntu", "22.04", 249, ""),
        ("ubuntu", "Ubuntu", "24.04", 255, ""),
        ("rocky", "Rocky Linux", "9.6", 252, ""),
        ("rhel", "Red Hat Enterprise Linux", "10.0", 257, ""),
        ("nosuch", "Other", "3", 249, ""),
    ],
)
def test_what_is_too_old_is_refused(
    name: str, is_: str, version: str, systemd: int, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "etc").mkdir()
    facts = f'NAME="{is_}"\nID={name}\n' + (f'VERSION_ID="{version}"\n' if version else "")
    (tmp_path / "etc/os-release").write_text(facts)
    script = (
        f"here={tmp_path}; . {FOLDER}/lib/checks.sh; . {FOLDER}/lib/host.sh\n"
        f". {FOLDER}/lib/packages.sh; root={tmp_path}\n"
        f"in_root() {{ echo 'systemd {systemd} ({systemd}.3-7)'; }}; check_age; finished=yes"
    )
    done = subprocess.run(["dash", "-uc", script], capture_output=True, text=True, check=False)
    if reason:
        assert done.returncode == 1
        assert reason in done.stderr and done.stderr.endswith(HINT)
    else:
        assert (done.returncode, done.stderr) == (0, "")
