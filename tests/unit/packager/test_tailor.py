"""Promise: `./pants tailor` begins the BUILD file of a component that has templates alone, and no other."""

from __future__ import annotations

from pants.core.goals.tailor import AllOwnedSources, PutativeTargets
from pants.testutil.rule_runner import QueryRule, RuleRunner

from packager import tailor


def test_a_folder_with_templates_and_no_build_file_is_given_one() -> None:
    runner = RuleRunner(
        rules=[
            *tailor.rules(),
            QueryRule(PutativeTargets, [tailor.NewComponentsRequest, AllOwnedSources]),
        ]
    )
    runner.write_files(
        {
            "packaging/components/new/new.toml.j2": "",
            "packaging/components/old/old.toml.j2": "",
            "packaging/components/old/BUILD": "",
            "packaging/templates/other.j2": "",
            "packaging/servers/db/db.conf.j2": "",
        }
    )
    folders = (
        *("packaging/components/new", "packaging/components/old"),
        *("packaging/templates", "packaging/servers/db"),
    )
    request = tailor.NewComponentsRequest(folders)
    (found,) = runner.request(PutativeTargets, [request, AllOwnedSources()])
    text = found.generate_build_file_stanza("    ")
    assert (found.path, found.type_alias) == ("packaging/components/new", "backendai_component")
    assert 'config="new.toml"' in text and '"backend.ai-new"' in text
    assert "./pants help backendai_component" in text
