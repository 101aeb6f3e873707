"""What a release engineer can get wrong: each ends in an error that names the file, the key, the cure."""

from __future__ import annotations

from typing import Any

import pytest
from miniature import component
from pants.engine.internals.scheduler import ExecutionError


def fails(miniature: Any, target: str, kind: str) -> str:
    with pytest.raises(ExecutionError) as caught:
        miniature.build(target, kind)
    return str(caught.value)


def test_an_unknown_field_of_a_component_is_named_with_the_one_that_was_meant(
    miniature: Any,
) -> None:
    miniature.write({"c/one/BUILD": component("one", lisens={"api": 1})})
    error = fails(miniature, "c/one:backendai-one.deb", "deb")
    assert "unknown field `lisens`" in error
    assert "did you mean `listens`?" in error
    assert "c/one/BUILD" in error


@pytest.mark.parametrize("field", ["summary", "description"])
def test_a_package_that_says_nothing_of_itself_is_refused(miniature: Any, field: str) -> None:
    miniature.write({"c/one/BUILD": component("one", **{field: " "})})
    error = fails(miniature, "c/one:backendai-one.deb", "deb")
    assert f"backendai-one: `{field}` is empty" in error and "hint: " in error


@pytest.mark.parametrize("fields", [{"distributions": []}, {"runs": "two"}])
def test_a_component_that_is_made_of_nothing_or_twice_is_refused(
    miniature: Any, fields: dict[str, Any]
) -> None:
    miniature.write({"c/one/BUILD": component("one", **fields)})
    error = fails(miniature, "c/one:backendai-one.deb", "deb")
    assert "needs either `distributions` or `runs`" in error and "hint: " in error


def test_devices_of_no_plugin_are_refused(miniature: Any) -> None:
    miniature.write({"c/one/BUILD": component("one", devices=["char-kfd"])})
    error = fails(miniature, "c/one:backendai-one.deb", "deb")
    assert (
        "`devices`, `groups` and `libraries` are a plugin's" in error and 'extends="agent"' in error
    )


def test_a_release_of_another_version_than_the_lock_is_refused_before_anything_is_built(
    miniature: Any,
) -> None:
    miniature.lock_wheel("backend-ai-one", {"one/one.py": ""}, version="26.9.5")
    miniature.write({})
    error = fails(miniature, "c/one:backendai-one.deb", "deb")
    assert "packaging/release.toml and packaging/locks/python.lock disagree" in error
    assert '[release] has version = "26.9.6", the lock backend-ai-one 26.9.5' in error
    assert "hint: run scripts/lock-python" in error


def test_an_unknown_field_of_a_role_is_named(miniature: Any) -> None:
    miniature.write(
        {"r/BUILD": "backendai_role(name='x', summary='x', description='x', components=[], y=1)"}
    )
    error = fails(miniature, "r:backendai-x.deb", "deb")
    assert "backendai_role(name='x'): unknown field `y`" in error


def server(**fields: Any) -> dict[str, str]:
    """The BUILD file of a server in `s`."""
    given = {"summary": "x", "description": "x", "debian": ["one", "two"], "programs": ["bin/x"]}
    return {"s/BUILD": f"backendai_server(name='x', **{ {**given, **fields}!r})\n"}


def test_an_unknown_field_of_a_server_is_named_with_the_one_that_was_meant(miniature: Any) -> None:
    miniature.write(server(program=["bin/x"]))
    error = fails(miniature, "s:backendai-x.deb", "deb")
    assert "backendai_server(name='x'): unknown field `program`" in error
    assert "did you mean `programs`?" in error


def test_a_server_of_other_packages_than_the_lock_says_is_refused_before_anything_is_fetched(
    miniature: Any,
) -> None:
    miniature.debian["sets"]["x"] = ["trixie/two", "trixie/three"]
    miniature.write(server())
    error = fails(miniature, "s:backendai-x.deb", "deb")
    assert "s:tree: `debian` and packaging/locks/debian.lock differ: one, three" in error
    assert "hint: run scripts/lock-debian" in error


def test_a_server_that_was_never_locked_is_refused_with_the_same_cure(miniature: Any) -> None:
    miniature.write(server())
    error = fails(miniature, "s:backendai-x.deb", "deb")
    assert "s:tree: `debian` and packaging/locks/debian.lock differ: one, two" in error
    assert "hint: run scripts/lock-debian" in error


def test_a_template_variable_that_does_not_exist_is_named_with_its_template(miniature: Any) -> None:
    miniature.write(
        {
            "t/broken.j2": "first\n{{ no_such_thing }}\n",
            "c/one/BUILD": component("one", dependencies=[":x"], files={"x": "/etc/x"})
            + "rendered_file(name='x', template='t/broken.j2', output='x')\n",
        }
    )
    error = fails(miniature, "c/one:backendai-one.deb", "deb")
    assert "t/broken.j2" in error
    assert "'no_such_thing' is undefined" in error
    assert "c/one:x" in error


def test_a_template_that_does_not_exist_is_named(miniature: Any) -> None:
    miniature.write(
        {
            "c/one/BUILD": component("one", dependencies=[":x"], files={"x": "/etc/x"})
            + "rendered_file(name='x', template='t/none.j2', output='x')\n",
        }
    )
    error = fails(miniature, "c/one:backendai-one.deb", "deb")
    assert "t/none.j2" in error
    assert "the field `template` of c/one:x" in error


def test_a_component_without_lock_entry_is_named_with_the_lock(miniature: Any) -> None:
    miniature.write({"c/one/BUILD": component("one", distributions=["backend.ai-nothing"])})
    error = fails(miniature, "c/one:backendai-one.deb", "deb")
    assert (
        "packaging/locks/python.lock: no entry for the distribution `backend-ai-nothing`" in error
    )
    assert "the component backendai-one" in error
    assert "scripts/lock-python" in error


def test_a_wheel_with_another_hash_is_refused(miniature: Any) -> None:
    entry = miniature.packages["one"]
    path = miniature.cache / "files" / entry["sha256"] / entry["filename"]
    path.write_bytes(path.read_bytes() + b"tampered")
    error = fails(miniature, "c/one:backendai-one.deb", "deb")
    assert f"{entry['filename']}: " in error
    assert "the lock says" in error


def test_a_wheel_of_the_right_size_with_another_hash_is_refused(miniature: Any) -> None:
    entry = miniature.packages["one"]
    path = miniature.cache / "files" / entry["sha256"] / entry["filename"]
    path.write_bytes(b"\0" * entry["size"])
    error = fails(miniature, "c/one:backendai-one.deb", "deb")
    assert f"{entry['filename']}: sha256 is" in error
    assert entry["sha256"] in error


def test_a_wheel_that_is_not_in_the_cache_is_named_with_the_cure(miniature: Any) -> None:
    entry = miniature.packages["one"]
    (miniature.cache / "files" / entry["sha256"] / entry["filename"]).unlink()
    error = fails(miniature, "c/one:backendai-one.deb", "deb")
    assert f"{entry['filename']} (sha256 {entry['sha256']}) is not in the cache" in error
    assert "run ./pants once with a network" in error


def test_two_packages_that_own_one_file_are_both_named(miniature: Any) -> None:
    miniature.lock_wheel("two", {"one/__init__.py": "thief = True\n"}, ["shared"])
    builds = {f"c/{name}/BUILD": component(name, pex=False) for name in ("one", "two")}
    miniature.write({"BUILD": "backendai_release(name='release')\n", **builds})
    error = fails(miniature, ":release", "release")
    assert (
        "site-packages/one/__init__.py is in two packages: backendai-one and backendai-two" in error
    )
    assert "packaging/common/prune.toml" in error


def test_one_package_that_installs_a_path_twice_is_refused(miniature: Any) -> None:
    rendered = (
        "rendered_file(name='x', template='packaging/templates/sysctl.conf.j2', output='x')\n"
    )
    path = "/opt/backendai/26.9.6/lib/python3.13/site-packages/one/__init__.py"
    miniature.write(
        {"c/one/BUILD": component("one", dependencies=[":x"], files={"x": path}) + rendered}
    )
    error = fails(miniature, "c/one:backendai-one.deb", "deb")
    assert f"{path} comes from two of its dependencies" in error


def test_a_file_that_no_dependency_produces_is_named(miniature: Any) -> None:
    miniature.write({"c/one/BUILD": component("one", files={"nothing.conf": "/etc/nothing.conf"})})
    error = fails(miniature, "c/one:backendai-one.deb", "deb")
    assert "no dependency produces `nothing.conf`" in error


def test_a_path_placeholder_that_does_not_exist_is_named(miniature: Any) -> None:
    miniature.write({"c/one/BUILD": component("one", files={}) + LINK})
    error = fails(miniature, "c/one:xx.deb", "deb")
    assert "{elsewhere} is not in [paths] of packaging/release.toml" in error


LINK = """
backendai_package(
    name="xx", summary="x", description="x", links={"{elsewhere}/x": "y"},
)
"""
