"""Promise: every later run of `backendai-ctl reconfigure` is safe and changes nothing."""

from __future__ import annotations

import own_servers
from site_host import SiteHost

PYTHON = "/opt/backendai/current/bin/python"
# Of every key but those in which running services report themselves.
REVISIONS = """
from backendai_ctl import facts
from backendai_ctl.context import Context
from backendai_ctl.etcd import access
from backendai_ctl.validation.load import load
known = facts.load()
ctx = Context(known, load(known.paths.site_file, known))
for prefix in access.prefixes(ctx):
    for key, entry in access.connect(ctx).prefix(prefix).items():
        if "/nodes/" not in key:
            print(key, entry.revision)
"""
FOLDERS = "/etc/backendai /etc/systemd/system /etc/default /var/lib/backendai/ctl /vfroot"


def _state(site: SiteHost) -> dict[str, object]:
    """All that a run could touch: files with their times, revisions, rows, start times."""
    host = site.host
    database = (
        "select sum(n_tup_ins + n_tup_upd + n_tup_del) from pg_stat_user_tables"
        " where relname in ('users','keypairs','domains','groups','container_registries',"
        "'resource_presets','alembic_version','role_presets')"
    )
    return {
        "files": host.sh(f"find {FOLDERS} -printf '%p %T@ %C@ %m %u\\n' | sort"),
        "etcd": host.check([PYTHON, "-I", "-c", REVISIONS]).stdout,
        "database": own_servers.sql(host, database, "backendai"),
        # One unit is there to look again and again: backendai-nft-watch.
        "services": host.starts("backendai-[!n]*.service", "backendai-nft.service"),
    }


def test_second_run_changes_nothing(allinone: SiteHost) -> None:
    before = _state(allinone)
    report = allinone.ctl("reconfigure")
    assert report["ok"] and not report["dry_run"]
    assert [name for name, step in report["steps"].items() if step["state"] != "same"] == []
    assert _state(allinone) == before


def test_dry_run_says_that_there_is_nothing_to_do(allinone: SiteHost) -> None:
    said = allinone.host.check(["backendai-ctl", "reconfigure", "--dry-run"]).stdout
    assert said.strip() == "Nothing to do."
