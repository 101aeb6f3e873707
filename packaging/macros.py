# BUILD prelude: what a component, a package and a role expand to. Facts about the release are not here
# but in packaging/release.toml; `{name}` in a path is filled from its [paths] table by the backend.


def _refuse_unknown(macro, name, unknown, known):
    if unknown:
        field = sorted(unknown)[0]
        near = [word for word in known if word[:3] == field[:3]]
        cure = f"did you mean `{near[0]}`?" if near else f"known fields: {', '.join(sorted(known))}"
        raise ValueError(f"{macro}(name={name!r}): unknown field `{field}`\nhint: {cure}")


# A trigger of dpkg: what several packages of one transaction ask for is done once, at its end.
# The maintainer script of the package with `handler` asks for it, too.
_TRIGGER = "backendai-configure"


def backendai_package(
    *,
    name,
    summary,
    description,
    dependencies=(),
    files=None,
    folders=None,
    links=None,
    requires=(),
    replaces=(),
    depends=None,
    suggests=None,
    arch="amd64",
    services=(),
    has_folders=False,
    configured=False,
    plugin=False,
    handler=False,
    flags=(),
    generated=(),
    licenses="",
    section="admin",
    private_loader=False,
):
    """One deb and one rpm with the same contents, scripts and relations.

    dependencies: the tree and the targets that produce files; files: {path produced: where it goes}, or
    {"deb": ..., "rpm": ...} where that is not the same; folders: {folder produced: where it goes}; links:
    {link: target}; requires, replaces: packages of ours (the version is pinned by the backend); depends,
    suggests: packages of the distribution, {"deb": [...], "rpm": [...]}; services: its units; licenses: a
    licenses.json among the files; section: of Debian; private_loader: programs use the runtime's loader.

    What scripts do: has_folders: make the folders; configured: have backendai-ctl configure the
    host at the end of the transaction, which is the work of the package with `handler`; plugin: also when
    it was removed; flags: files
    that let its services start, emptied by a new version; generated: what backendai-ctl made for it,
    as words of the shell (`*` is any name): gone after a purge.
    """
    for field, text in (("summary", summary), ("description", description)):
        if not text.strip():
            raise ValueError(
                f"{name}: `{field}` is empty\nhint: say for operators what the package is"
            )
    rendered_file(
        name=f"{name}.lintian",
        template="packaging/templates/lintian-overrides.j2",
        output=f"{name}.lintian",
        values={
            "package": name,
            "services": list(services),
            "role": section == "metapackages",
            "private_loader": private_loader,
        },
    )
    nfpm_content_file(
        name=f"{name}.lintian-file",
        src=f"{name}.lintian",
        dst=f"/usr/share/lintian/overrides/{name}",
        dependencies=[f":{name}.lintian"],
    )
    contents, apart = list(dependencies), {"deb": [], "rpm": []}
    for number, (src, dst) in enumerate(sorted((files or {}).items())):
        for format, path in (dst if isinstance(dst, dict) else {"": dst}).items():
            file = f"{name}.file{number}{format}"
            nfpm_content_file(name=file, src=src, dst=path, dependencies=list(dependencies))
            apart.get(format, contents).append(f":{file}")
    for number, (src, dst) in enumerate(sorted((folders or {}).items())):
        nfpm_content_folder(
            name=f"{name}.folder{number}", src=src, dst=dst, dependencies=list(dependencies)
        )
        contents.append(f":{name}.folder{number}")
    for number, (dst, src) in enumerate(sorted((links or {}).items())):
        nfpm_content_symlink(name=f"{name}.link{number}", src=src, dst=dst)
        contents.append(f":{name}.link{number}")

    moments = ["postinstall", "postremove"] if services or has_folders or handler else []
    moments += ["preremove"] if services else []
    moments += ["postinstall", "posttrans"] if configured else []
    moments += ["postremove"] if plugin else []
    scripts = {moment: f"{name}.{moment}" for moment in dict.fromkeys(moments)}
    for moment, script in scripts.items():
        rendered_file(
            name=script,
            template="packaging/templates/maintainer.sh.j2",
            output=script,
            values={
                "package": name,
                "moment": moment,
                "services": list(services),
                "has_folders": has_folders,
                "configured": configured,
                "plugin": plugin,
                "handler": handler,
                "flags": list(flags),
                "generated": list(generated),
            },
        )
    triggers = {"activate_noawait": [_TRIGGER]} if configured else {}
    triggers = {"interest_noawait": [_TRIGGER]} if handler else triggers

    def relations(format):
        found = {"depends": depends, "suggests": suggests}
        return {key: list((value or {}).get(format, ())) for key, value in found.items()}

    same = dict(
        package_name=name,
        summary=summary,
        description=description.strip(),
        arch=arch,
        requires=list(requires),
        replaces=list(replaces),
        licenses=licenses,
    )
    nfpm_deb_package(
        name=f"{name}.deb",
        section=section,
        breaks=list(replaces),
        scripts={moment: script for moment, script in scripts.items() if moment != "posttrans"},
        triggers=triggers,
        dependencies=[
            *contents,
            *apart["deb"],
            *(f":{script}" for moment, script in scripts.items() if moment != "posttrans"),
            f":{name}.lintian-file",
        ],
        **relations("deb"),
        **same,
    )
    nfpm_rpm_package(
        name=f"{name}.rpm",
        scripts=scripts,
        dependencies=[*contents, *apart["rpm"], *(f":{script}" for script in scripts.values())],
        **relations("rpm"),
        **same,
    )


def backendai_component(
    *,
    name,
    summary,
    description,
    distributions=(),
    runs=None,
    pex=True,
    command=None,
    program=None,
    config=None,
    credentials=(),
    tls=False,
    listens=None,
    health=None,
    metrics=None,
    environment=None,
    after=(),
    memory=None,
    resident=0,
    uses=(),
    calls=None,
    serves=None,
    opens=None,
    secrets=(),
    etcd_keys=None,
    cache_databases=(),
    database=None,
    volumes=None,
    engine=False,
    hardening=None,
    private_loader=(),
    files=None,
    licenses="",
    dependencies=(),
    suggests=None,
    replaces=(),
    extends=None,
    devices=(),
    groups=(),
    libraries=(),
    **unknown,
):
    """A component of Backend.AI: its PEX, its share of the environment, its unit, its deb and rpm.

    distributions: Python distributions of the lock that make it up; runs: in their place another component,
    of which this is a further service; command: words after `backend.ai` that start its server (none: no
    service); program: in its place a whole command, such as Node.js or a script of its own; the path of
    its configuration follows as last word; config: its file under {config}, made by backendai-ctl from
    CONFIG.j2 beside the BUILD file; credentials: further files there that it reads; tls: it serves
    with the site's certificate; listens: {what for: port}; health: URL that answers when it is well;
    metrics: URL of its figures, for Prometheus; memory: what it may use at most, several times what it
    needs; resident: MB that it uses once all is up; volumes: "write" if it works on users'
    folders; engine: it talks with the container engine; hardening: unit settings that differ from the
    common ones, each with its reason.

    A plugin has none of these. extends: the component whose service starts anew with it; devices: what
    that one may open for it, as DeviceAllow= of systemd.resource-control(5) names it; groups: to whom they belong;
    libraries: the vendor's, of the host, that it loads.

    Who knows whom, from which firewalls, addresses, secrets and tables of the documentation follow:
    uses: servers it logs in to; calls: {"COMPONENT:WHAT": "each" of the site, or the "nearest"}; serves:
    {what for: "users" or "nodes"} of the ports to which others than this host come; opens: {what for:
    [first port, last, "users" or "containers"]} besides `listens`; secrets: generated ones that it holds;
    etcd_keys: {prefix: "read", "write", or "own": to write below the names of its node's agents} for its login
    at etcd; cache_databases: numbers of Valkey's databases for a login of its own; database: {name, default
    (of database and role), holds (what is in it), scripts (Alembic's), landmark (a table of its own), create
    (words after `backend.ai` that make the tables), seeded (a table that migrations need)}.
    """
    known = (
        "name summary description distributions runs pex command program config credentials tls listens "
        "health metrics environment after memory resident uses calls serves opens secrets etcd_keys "
        "cache_databases database volumes engine hardening private_loader files licenses dependencies "
        "suggests replaces extends devices groups libraries"
    ).split()
    _refuse_unknown("backendai_component", name, unknown, known)
    if bool(distributions) == bool(runs):
        raise ValueError(
            f"backendai_component(name={name!r}): needs either `distributions` or `runs`\n"
            'hint: say what it is made of, such as distributions=["backend.ai-manager"]'
        )
    package = f"backendai-{name}"
    contents, files, service = [*dependencies], dict(files or {}), {}
    if distributions:
        contents.insert(0, ":tree")
        backendai_tree(
            name="tree",
            package=package,
            distributions=distributions,
            private_loader=list(private_loader),
        )
        if pex:
            backendai_pex(name="pex", distributions=distributions, output_path=f"{package}.pex")
    if command or program:
        if not memory:
            raise ValueError(
                f"backendai_component(name={name!r}): `memory` is missing\n"
                'hint: say what its service may use at most, such as memory="2G"'
            )
        if volumes not in (None, "write"):
            raise ValueError(
                f"backendai_component(name={name!r}): `volumes` cannot be {volumes!r}\n"
                'hint: give "write", or leave it out'
            )
        _backendai_service(
            name=name,
            summary=summary,
            program=program or ["{current}/bin/backend.ai", *command, "-f"],
            config=config,
            credentials=list(credentials),
            optional=(["tls/server.crt", "tls/server.key"] if tls else [])
            + ([f"secrets/cache-{name}"] if cache_databases else []),
            ports=dict(listens or {}),
            health=health or "",
            metrics=metrics or "",
            environment=dict(environment or {}),
            after=list(after),
            memory=memory,
            volumes=volumes,
            engine=engine,
            # Users' files belong to the number of the site's user; who has no such file is nobody else.
            owner="" if volumes or engine else package,
            hardening=dict(hardening or {}),
            facts=dict(
                uses=[*uses, *(["docker"] if engine else [])],
                calls=dict(calls or {}),
                serves=dict(serves or {}),
                opens=dict(opens or {}),
                secrets=[*secrets, *([f"database-{database['name']}"] if database else [])],
                etcd_keys=dict(etcd_keys or {}),
                cache_databases=list(cache_databases),
                resident=resident,
                volumes=bool(volumes),
                database=database,
            ),
        )
        contents.append(":unit")
        files[f"{package}.service"] = f"/usr/lib/systemd/system/{package}.service"
        service = _service_of(name, [config])
        service["requires"] += [f"backendai-{runs}"] if runs else []
    if (devices or groups or libraries) and not extends:
        raise ValueError(
            f"backendai_component(name={name!r}): `devices`, `groups` and `libraries` are a plugin's\n"
            'hint: say whose, such as extends="agent"'
        )
    if extends:
        rendered_file(
            name="plugin",
            template="packaging/templates/plugin.conf.j2",
            output=f"plugin/{package}.conf",
            values={
                "package": package,
                "extends": extends,
                "devices": list(devices),
                "groups": list(groups),
                "libraries": list(libraries),
                "after": list(after),
            },
        )
        contents.append(":plugin")
        folder = f"/usr/lib/systemd/system/backendai-{extends}.service.d"
        service = dict(configured=True, plugin=True, folders={"plugin": folder})
    backendai_package(
        name=package,
        summary=summary,
        description=description,
        dependencies=contents,
        files=files,
        suggests=suggests,
        replaces=replaces,
        licenses=licenses,
        private_loader=bool(private_loader),
        **service,
    )


def _service_of(name, configs):
    """What the package of a component or a server says of its service; configs: files made for it."""
    unit, flag = f"backendai-{name}.service", "{state}/ctl/ready/" + name
    return dict(
        requires=["backendai-ctl"],
        services=[unit],
        configured=True,
        flags=[flag],
        generated=[
            *("{config}/" + path for path in configs),
            f"/etc/systemd/system/{unit}.d",
            flag,
        ],
    )


def _unit(*, name, health, ports, **values):
    """The unit of a component or a server."""
    rendered_file(
        name="unit",
        template="packaging/templates/service.j2",
        output=f"backendai-{name}.service",
        values={
            "component": name,
            "ports": ports,
            "health": health.format(**ports),
            "dynamic": False,
            "server": False,
            "owner": "",
            "stop": None,
            "optional": [],
            "after": [],
            "volumes": None,
            "engine": False,
            **values,
        },
    )


def _backendai_service(
    *, name, summary, config, ports, health, metrics, after, facts, **values
):
    """The unit of a component, and what backendai-ctl must know of it."""
    unit = f"backendai-{name}.service"
    _unit(
        name=name,
        summary=summary,
        config=config,
        ports=ports,
        health=health,
        after=after,
        **values,
    )
    component_facts(
        name="facts",
        values={
            "name": name,
            "summary": summary,
            "unit": unit,
            "config": config,
            "ports": ports,
            "health": health,
            "metrics": metrics,
            "after": after,
            "credentials": [*values["credentials"], *values["optional"]],
            "user": values["owner"],
            **facts,
        },
    )
