"""No unit, template or drop-in uses what systemd 249 (Ubuntu 22.04) lacks, but where that does no harm."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# Known to systemd 247: looked up in what that of Debian 11 says by `systemd --dump-configuration-items`.
# Missing on purpose are ExecStartPre and ExecStartPost. Before 248 a unit with credentials does not start
# with them, and before 252 they see none.
KNOWN_TO_247 = """
    Accept AccuracySec After AmbientCapabilities Before BindPaths BindReadOnlyPaths
    CapabilityBoundingSet CollectMode ConditionFileIsExecutable ConditionFileNotEmpty ConditionPathExists
    ConditionPathIsSymbolicLink Conflicts DefaultDependencies Delegate Description DevicePolicy
    Documentation DynamicUser Environment ExecReload ExecStart ExecStop FixedRandomDelay Group
    IPAddressAllow IPAddressDeny InaccessiblePaths KeyringMode KillMode KillSignal LimitCORE
    LimitMEMLOCK LimitNOFILE LimitNPROC ListenStream LoadCredential LockPersonality LogLevelMax
    LogRateLimitBurst MemoryDenyWriteExecute MemoryMax MemorySwapMax NoNewPrivileges
    OOMScoreAdjust OnActiveSec OnCalendar OnFailure OnUnitInactiveSec Options PartOf Persistent
    PrivateDevices PrivateTmp PrivateUsers ProcSubset ProtectClock ProtectControlGroups
    ProtectHome ProtectHostname ProtectKernelLogs ProtectKernelModules ProtectKernelTunables
    ProtectProc ProtectSystem RandomizedDelaySec ReadWritePaths ReloadPropagatedFrom
    RemainAfterExit RemoveIPC Requires RequiresMountsFor Restart RestartSec
    RestrictAddressFamilies RestrictNamespaces RestrictRealtime RestrictSUIDSGID
    RuntimeDirectory RuntimeDirectoryMode RuntimeDirectoryPreserve RuntimeMaxSec SetCredential
    SocketGroup SocketMode SocketUser StandardError StandardInput StandardOutput
    StartLimitIntervalSec StateDirectory StateDirectoryMode SupplementaryGroups SyslogIdentifier
    SystemCallArchitectures SystemCallErrorNumber SystemCallFilter TasksMax TemporaryFileSystem
    TimeoutSec TimeoutStartSec TimeoutStopSec Type UMask User WantedBy Wants WatchdogSec
    WatchdogSignal What Where WorkingDirectory
"""
SINCE = {"PrivateIPC": 248}  # by its NEWS
# Newer, and ignored with a warning by what does not know it: why that does no harm.
HARMLESS = {
    "RestartSteps": "254: before, all pauses between starts are as short as RestartSec",
    "RestartMaxDelaySec": "254: goes with RestartSteps",
}
KNOWN = {*KNOWN_TO_247.split(), *SINCE}

SETTING = re.compile(r"""(?m)(?:^|["'])([A-Z][A-Za-z0-9]+)=""")
ENTRY = re.compile(r"""(?m)^\s*"([A-Z]\w*[a-z]\w*)": """)  # of a table of settings
TEMPLATE = re.compile(r"\.(service|timer|target|socket|mount)\.j2$|^service\.j2$")


def settings() -> Iterator[tuple[str, str]]:
    """Every setting of a unit that is written somewhere, with the file."""
    for path in (ROOT / "packaging").rglob("*"):
        if TEMPLATE.search(path.name):
            yield from ((name, path.name) for name in SETTING.findall(path.read_text()))
        if path.name in ("BUILD", "service.j2"):
            yield from ((name, str(path)) for name in ENTRY.findall(path.read_text()))
    for path in (ROOT / "src/backendai_ctl").rglob("*.py"):
        yield from ((name, path.name) for name in SETTING.findall(path.read_text()))


def test_units_ask_for_nothing_that_is_newer() -> None:
    found = set(settings())
    assert len({name for name, _ in found}) > 80
    newer = {(name, file) for name, file in found if name not in KNOWN and name not in HARMLESS}
    assert newer == set(), "look up since when systemd knows them; 249 must start the unit as well"


def test_the_tables_name_nothing_else() -> None:
    used = {name for name, _ in settings()}
    assert {*KNOWN, *HARMLESS} - used == set()
