# BUILD prelude beside macros.py, which it calls: what a server that a site brings along expands to.


def backendai_server(
    *,
    name,
    summary,
    description,
    debian,
    programs,
    data=(),
    libraries=(),
    links=None,
    left_out=None,
    command=None,
    prepare=None,
    config=None,
    credentials=(),
    templates=(),
    listens=None,
    health=None,
    metrics=None,
    optional=False,
    environment=None,
    memory=None,
    resident=0,
    calls=None,
    serves=None,
    secrets=(),
    stop=None,
    hardening=None,
    units=(),
    files=None,
    commands=None,
    bin="bin",
    **unknown,
):
    """A server that a site brings along: programs of Debian below {servers}/NAME, as deb and rpm.

    debian: packages of Debian 13 that it is made of, beyond those of the runtime; programs, data:
    patterns of paths below usr/ of these, which keep their shape; libraries: those that programs load by
    name (what headers ask for is found); links: {path in the tree: file beside it}; left_out: {pattern
    of paths in the tree: reason}.

    command: what its service runs (none: no service); {server} is its tree, {data} its state, {given}
    the folder of what it is given: config and credentials, files under {config}; templates: those of
    them that backendai-ctl makes from FILE.j2 beside the BUILD file; prepare: a shell script made from
    PREPARE.j2 beside it, which becomes the command it is given; listens: {what for: port}; health: where it
    says that it is well, see backendai_serve.health; metrics: as in backendai_component; optional:
    services do without it, and it runs wherever its package is; memory: what it may use at most; stop:
    the signal that ends it (SIGTERM); resident, calls, serves, secrets, environment, hardening: as in backendai_component; bin: folder of
    its tree with programs that others call.

    units: in the place of `command`, units of its own shape, made from UNIT.j2 beside the BUILD file; the
    first is its service. files: {made from FILE.j2 beside it: where it goes}. commands: {path on the host:
    program of the tree}, for what others look for there.
    """
    known = (
        "name summary description debian programs data libraries links left_out command prepare config "
        "credentials templates listens health metrics optional environment memory resident calls serves "
        "secrets stop hardening units files commands bin"
    ).split()
    _refuse_unknown("backendai_server", name, unknown, known)
    package, tree, data_folder = f"backendai-{name}", "{servers}/" + name, "{state}/" + name
    backendai_server_tree(
        name="tree",
        package=package,
        packages=name,
        debian=list(debian),
        prefix=tree,
        programs=list(programs),
        data=list(data),
        libraries=list(libraries),
        links=dict(links or {}),
        left_out=dict(left_out or {}),
    )
    contents, service = [":tree"], {}

    def filled(word):
        return word.replace("{server}", tree).replace("{data}", data_folder)

    files = {file: filled(place) for file, place in (files or {}).items()}
    if prepare:
        files[prepare] = f"{tree}/{prepare}"
    files.update({unit: f"/usr/lib/systemd/system/{unit}" for unit in units})
    for number, file in enumerate(sorted(files)):
        rendered_file(
            name=f"made{number}",
            template=f"packaging/servers/{name}/{file}.j2",
            output=file,
            values={"summary": summary},
        )
        contents.append(f":made{number}")
    if command:
        unit = f"{package}.service"
        first = ["/bin/sh", files[prepare]] if prepare else []
        _unit(
            name=name,
            summary=summary,
            server=True,
            owner=package,
            # No ExecStartPre: with credentials such units do not start before systemd 248.
            program=[*first, *(filled(word) for word in command)],
            config=config,
            credentials=list(credentials),
            ports=dict(listens or {}),
            health=health or "",
            environment=dict(environment or {}),
            memory=memory,
            stop=stop,
            hardening=dict(hardening or {}),
        )
        contents.append(":unit")
        files[unit] = f"/usr/lib/systemd/system/{unit}"
        units = [unit]
    if units:
        server_facts(
            name="facts",
            values={
                "name": name,
                "summary": summary,
                "unit": units[0],
                "config": config,
                "ports": dict(listens or {}),
                "health": health or "",
                "metrics": metrics or "",
                "optional": optional,
                "credentials": list(credentials),
                "templates": list(templates),
                "user": package,
                "bin": bin,
                "resident": resident,
                "calls": dict(calls or {}),
                "serves": dict(serves or {}),
                "secrets": list(secrets),
            },
        )
        service = {**_service_of(name, templates), "services": list(units)}
    backendai_package(
        name=package,
        summary=summary,
        description=description,
        dependencies=contents,
        files=files,
        links={path: f"{tree}/{program}" for path, program in (commands or {}).items()},
        private_loader=True,
        **service,
    )
