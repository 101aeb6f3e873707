"""Whatever is in the site file: it is a site, or each fault is told by its line. Nothing else comes up."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from backendai_ctl.errors import BadRequest
from backendai_ctl.facts import Facts
from backendai_ctl.rendering.render import toml
from backendai_ctl.site import schema
from backendai_ctl.site.faults import SiteFaults
from backendai_ctl.validation.load import parse

HOUSE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
names = st.sampled_from(["n1", "n2", "manager", "api", "volume1", "x" * 63, "a b", "", "Ü", "-"])
fits = st.sampled_from(
    [
        *("local", "external", "own", "off", "on", "verify", "nfs", "vfs", "vast", "site-ca"),
        *("127.0.0.1", "0.0.0.0", "::1", "10.0.0.1", "10.0.0.0/8", "ai.example.org", "localhost"),
        *("10.0.0.1:6379", "[::1]:8100", "/vfroot/a", "/etc/x.pem", "n1", "n2", "compute"),
        *("storage", "management", "all-in-one", "1G", "a@b", "", " ", "\n", "ü", "x" * 300),
        *(0, 1, -1, 8081, 30000, 70000, 2**64, 1.5, float("inf"), True, False),
        *(["management"], ["compute", "storage"], [30000, 31000], [3, 1]),
    ]
)
values = st.recursive(
    fits,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=2),
    max_leaves=3,
)


def table(model: type[BaseModel], **inside: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Some keys of a table with values that may fit, perhaps one that it has not, perhaps no table."""
    known = {key: inside.get(key, fits | values) for key in model.model_fields}
    made = st.fixed_dictionaries({}, optional={**known, "colour": values})
    return st.one_of(made, made, made, values)


tables = {
    name: table(field.annotation)
    for name, field in schema.Site.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}
tables["storage"] = table(
    schema.Storage, volumes=st.dictionaries(names, table(schema.Volume), max_size=2)
)
tables["agent"] = table(
    schema.Agent, docker=st.dictionaries(st.sampled_from(["a", "bip", "Ü"]), fits | values)
)
tables["nodes"] = st.dictionaries(names, table(schema.Node), max_size=2)
documents = table(schema.Site, **tables)


def read(facts: Facts, text: str) -> schema.Site:
    """The site; of its faults each is in the text and says what to do."""
    try:
        return parse(facts.paths.site_file, text, facts)
    except SiteFaults as wrong:
        for fault in wrong.faults:
            assert 1 <= fault.line <= max(1, len(text.splitlines()))
            assert fault.message and fault.hint
        raise


@settings(HOUSE, max_examples=200)
@given(documents)
def test_values_of_any_kind(facts: Facts, document: dict[str, Any]) -> None:
    if not isinstance(document, dict):
        return
    rows = (f"{toml(str(key))} = {toml(value)}\n" for key, value in document.items())
    text = "".join(rows).replace("Infinity", "inf")
    with contextlib.suppress(BadRequest):
        read(facts, text)


@HOUSE
@given(
    st.text(max_size=60) | st.lists(st.sampled_from("[]{}=\"',\n.#ab1 "), max_size=30).map("".join)
)
def test_texts_of_any_kind(facts: Facts, text: str) -> None:
    with contextlib.suppress(BadRequest):
        read(facts, text)
