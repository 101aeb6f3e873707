# BUILD prelude: what a component, a package and a role expand to. Facts about the release are not here
# but in packaging/release.toml; `{name}` in a path is filled from its [paths] table by the backend.


def _refuse_unknown(macro, name, unknown, known):
    if unknown:
        field = sorted(unknown)[0]
        near = [word for word in known if word[:3] == field[:3]]
        cure = f"did you mean `{near[0]}`?" if near else f"known fields: {', '.join(sorted(known))}"
        raise ValueError(f"{macro}(name={name!r}): unknown field `{field}`\nhint: {cure}")


def backendai_package(
    *,
    name,
    summary,
    description,
    dependencies=(),
    files=None,
    links=None,
    requires=(),
    suggests=(),
    replaces=(),
    arch="amd64",
    services=(),
    has_user=False,
    licenses="",
    section="admin",
):
    """One deb and one rpm with the same contents, scripts and relations.

    dependencies: the tree and the targets that produce files; files: {path produced: where it goes};
    links: {link: target}; requires, replaces: packages of ours (the version is pinned by the backend);
    services: the units it owns; licenses: a licences.json among the files produced; section: of Debian.
    """
    rendered_file(
        name=f"{name}.lintian",
        template="packaging/templates/lintian-overrides.j2",
        output=f"{name}.lintian",
        values={"package": name, "services": list(services), "role": section == "metapackages"},
    )
    nfpm_content_file(
        name=f"{name}.lintian-file",
        src=f"{name}.lintian",
        dst=f"/usr/share/lintian/overrides/{name}",
        dependencies=[f":{name}.lintian"],
    )
    contents = list(dependencies)
    for number, (src, dst) in enumerate(sorted((files or {}).items())):
        nfpm_content_file(
            name=f"{name}.file{number}", src=src, dst=dst, dependencies=list(dependencies)
        )
        contents.append(f":{name}.file{number}")
    for number, (dst, src) in enumerate(sorted((links or {}).items())):
        nfpm_content_symlink(name=f"{name}.link{number}", src=src, dst=dst)
        contents.append(f":{name}.link{number}")

    scripts = {}
    for moment in ("postinstall", "preremove", "postremove") if services or has_user else ():
        scripts[moment] = f"{name}.{moment}"
        rendered_file(
            name=f"{name}.{moment}",
            template=f"packaging/templates/{moment}.sh.j2",
            output=f"{name}.{moment}",
            values={"package": name, "services": list(services), "has_user": has_user},
        )
        contents.append(f":{name}.{moment}")

    same = dict(
        package_name=name,
        summary=summary,
        description=description.strip(),
        arch=arch,
        requires=list(requires),
        suggests=list(suggests),
        replaces=list(replaces),
        scripts=scripts,
        licenses=licenses,
    )
    nfpm_deb_package(
        name=f"{name}.deb",
        section=section,
        breaks=list(replaces),
        dependencies=[*contents, f":{name}.lintian-file"],
        **same,
    )
    nfpm_rpm_package(name=f"{name}.rpm", dependencies=contents, **same)


def backendai_component(
    *,
    name,
    summary,
    description,
    distributions,
    pex=True,
    command=None,
    program=None,
    config=None,
    listens=None,
    health=None,
    environment=None,
    after=(),
    hardening=None,
    private_loader=(),
    files=None,
    licenses="",
    dependencies=(),
    suggests=(),
    replaces=(),
    **unknown,
):
    """A component of Backend.AI: its PEX, its share of the environment, its unit, its deb and rpm.

    distributions: Python distributions of the lock that make it up; command: words after `backend.ai`
    that start its server (none: no service); program: the whole command where it is not Python;
    config: its file under /etc/backendai; listens: {what for: port}; health: URL that answers when it
    is well; hardening: unit settings that differ from the common ones, each with its reason.
    """
    known = (
        "name summary description distributions pex command program config listens health environment "
        "after hardening private_loader files licenses dependencies suggests replaces"
    ).split()
    _refuse_unknown("backendai_component", name, unknown, known)
    package = f"backendai-{name}"
    if pex:
        backendai_pex(name="pex", distributions=distributions, output_path=f"{package}.pex")
    backendai_tree(
        name="tree",
        package=package,
        distributions=distributions,
        private_loader=list(private_loader),
    )
    contents, files, services = [":tree", *dependencies], dict(files or {}), []
    if command or program:
        ports = dict(listens or {})
        rendered_file(
            name="unit",
            template="packaging/templates/service.j2",
            output=f"{package}.service",
            values={
                "component": name,
                "summary": summary,
                "program": program
                or ["{current}/bin/backend.ai", *command, "-f", "{config}/" + config],
                "config": config,
                "ports": ports,
                "health": (health or "").format(**ports),
                "environment": dict(environment or {}),
                "after": list(after),
                "hardening": dict(hardening or {}),
            },
        )
        contents.append(":unit")
        files[f"{package}.service"] = f"/usr/lib/systemd/system/{package}.service"
        services.append(f"{package}.service")
    backendai_package(
        name=package,
        summary=summary,
        description=description,
        dependencies=contents,
        files=files,
        suggests=suggests,
        replaces=replaces,
        services=services,
        licenses=licenses,
    )


def backendai_role(*, name, summary, description, components, **unknown):
    """A metapackage: what a node of this role needs, by component."""
    _refuse_unknown("backendai_role", name, unknown, ["name", "summary", "description", "components"])
    backendai_package(
        name=f"backendai-{name}",
        summary=summary,
        description=description,
        requires=[f"backendai-{component}" for component in components],
        arch="all",
        section="metapackages",
    )
