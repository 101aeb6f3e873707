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
    environment=None,
    memory=None,
    stop=None,
    hardening=None,
    units=(),
    files=None,
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
    PREPARE.j2 beside it, run before each start; listens: {what for: port}; health: where it says that it is
    well, see backendai_serve.health; memory: what it may use at most; stop: the signal that ends it
    (SIGTERM); environment, hardening: as in backendai_component; bin: folder of its tree with
    programs that others call.

    units: in the place of `command`, units of its own shape, made from UNIT.j2 beside the BUILD file; the
    first is its service. files: {made from FILE.j2 beside it: where it goes}.
    """
    known = (
        "name summary description debian programs data libraries links left_out command prepare config "
        "credentials templates listens health environment memory stop hardening units files bin"
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
        _unit(
            name=name,
            summary=summary,
            server=True,
            program=[filled(word) for word in command],
            before=["/bin/sh", files[prepare]] if prepare else [],
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
                "credentials": list(credentials),
                "templates": list(templates),
                "user": package,
                "bin": bin,
            },
        )
        service = {**_service_of(name, templates), "services": list(units)}
    backendai_package(
        name=package,
        summary=summary,
        description=description,
        dependencies=contents,
        files=files,
        private_loader=True,
        **service,
    )
