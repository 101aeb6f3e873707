# BUILD prelude: what a role expands to. It builds on macros.py.


def backendai_role(
    *,
    name,
    summary,
    description,
    components,
    depends=None,
    servers=(),
    brings=(),
    takes=False,
    **unknown,
):
    """A metapackage: what a node of this role needs, by component and by package of the distribution.

    Where one is installed, packages configure the host; see /usr/share/backendai/roles. Site files
    name the role without `-node`; servers: which of the site's own servers run where the role is;
    brings: further servers whose programs are needed; takes: nodes of other roles leave its components
    to nodes of this one.
    """
    known = (
        "name summary description components depends servers brings takes"
    ).split()
    _refuse_unknown("backendai_role", name, unknown, known)
    role_facts(
        name=f"{name}.facts",
        values={
            "name": name[: -len("-node")] if name.endswith("-node") else name,
            "package": f"backendai-{name}",
            "summary": summary,
            "components": list(components),
            "servers": list(servers),
            "takes": takes,
        },
    )
    rendered_file(
        name=f"{name}.role",
        template="packaging/templates/role.j2",
        output=f"roles/{name}",
        values={"summary": summary, "components": list(components)},
    )
    backendai_package(
        name=f"backendai-{name}",
        summary=summary,
        description=description,
        dependencies=[f":{name}.role"],
        files={f"roles/{name}": f"/usr/share/backendai/roles/{name}"},
        requires=[
            "backendai-ctl",
            *(f"backendai-{name}" for name in (*components, *servers, *brings)),
        ],
        depends=depends,
        arch="all",
        section="metapackages",
        configured=True,
    )
