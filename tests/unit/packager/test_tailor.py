"""Promise: `./pants tailor` begins the BUILD file of a component that has none, and no other.

Its folder holds templates, or the wheel of a plugin.
"""

from __future__ import annotations

from pants.core.goals.tailor import AllOwnedSources, PutativeTargets
from pants.testutil.rule_runner import QueryRule, RuleRunner

from packager import tailor


def tailored(files: dict[str, str], *folders: str) -> PutativeTargets:
    runner = RuleRunner(
        rules=[
            *tailor.rules(),
            QueryRule(PutativeTargets, [tailor.NewComponentsRequest, AllOwnedSources]),
        ]
    )
    runner.write_files(files)
    request = tailor.NewComponentsRequest(folders)
    return runner.request(PutativeTargets, [request, AllOwnedSources()])


def test_a_folder_with_templates_and_no_build_file_is_given_one() -> None:
    (found,) = tailored(
        {
            "packaging/components/new/new.toml.j2": "",
            "packaging/components/old/old.toml.j2": "",
            "packaging/components/old/BUILD": "",
            "packaging/templates/other.j2": "",
            "packaging/servers/db/db.conf.j2": "",
        },
        *("packaging/components/new", "packaging/components/old"),
        *("packaging/templates", "packaging/servers/db"),
    )
    text = found.generate_build_file_stanza("    ")
    assert (found.path, found.type_alias) == ("packaging/components/new", "backendai_component")
    assert 'config="new.toml"' in text and '"backend.ai-new"' in text
    assert "./pants help backendai_component" in text


def test_a_folder_with_a_plugins_wheel_is_given_one_that_builds_on_the_agent() -> None:
    folder = "packaging/components/npu"
    (found,) = tailored({f"{folder}/acme_npu-1.0-py3-none-any.whl": ""}, folder)
    text = found.generate_build_file_stanza("    ")
    assert '"backend.ai-agent"' in text and '"acme-npu"' in text and 'extends="agent"' in text
    assert "command" not in text and "config" not in text
