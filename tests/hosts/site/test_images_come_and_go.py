"""Promise: an image is fetched ahead of sessions, goes where no session has it, and comes back."""

from __future__ import annotations

import json

from people import IMAGE, People

NAME = IMAGE.partition("/")[2]
DATA = "/var/lib/backendai/registry"
BUNDLES = "/var/lib/backendai/bundles"
# Until the manager has seen the end of the last session.
ENDED = f"until backendai-ctl image remove --dry-run {NAME} 2>/dev/null; do sleep 1; done"


def there(people: People) -> list[str]:
    """All images of the engine, by number and name; Docker lists those of one second in no order."""
    said = people.ann.host.sh(
        "backendai-ctl docker images --no-trunc --format '{{.ID}} {{.Repository}}:{{.Tag}}'"
    )
    return sorted(said.splitlines())


def names(people: People) -> list[str]:
    return [line.split()[1] for line in there(people)]


def size(people: People) -> int:
    """Bytes of the registry."""
    return int(people.ann.host.sh(f"du -sb {DATA}").split()[0])


def test_it_is_fetched_ahead_of_the_first_session(people: People) -> None:
    site = people.admin.site
    site.host.sh(f"backendai-ctl docker rmi {IMAGE} >/dev/null 2>&1 || :")
    assert IMAGE not in names(people)
    assert site.ctl("image", "pull", NAME)["images"] == [
        {"node": "this host", "image": IMAGE, "ok": True}
    ]
    assert IMAGE in names(people)


def test_while_a_session_has_it_nobody_removes_it(people: People) -> None:
    site = people.admin.site
    with people.ann.session("holds", memory="512m"):
        done = site.host.run(["backendai-ctl", "image", "remove", "--json", NAME])
        assert done.returncode == 1 and f"{NAME} (1)" in done.stdout, done
        assert site.ctl("image", "prune")["images"] == []
    assert IMAGE in names(people) and site.ctl("image", "list")["images"]


def test_removed_it_stays_away_and_its_space_is_free(people: People) -> None:
    site, before, full = people.admin.site, there(people), size(people)
    site.host.sh(f"{ENDED}; backendai-ctl image remove {NAME}", timeout=120)
    shown = site.ctl("image", "list")
    assert shown["removed"] == [NAME] and NAME not in {row["name"] for row in shown["images"]}
    words = ("--only", "push-images", "--only", "register-images")
    assert (
        site.host.sh(f"backendai-ctl reconfigure --dry-run {' '.join(words)}") == "Nothing to do."
    )
    plan = site.ctl("image", "prune", "--dry-run")
    assert plan["images"] == [IMAGE] and plan["blobs"] >= 2, plan  # others may share its layers
    done = site.ctl("image", "prune")
    assert done == {**plan, "dry_run": False}
    others = [line for line in before if IMAGE not in line]
    assert there(people) == others, "images of others are as they were"
    assert full - size(people) >= plan["freed"] > 0
    again = site.ctl("image", "prune", "--dry-run")
    assert (again["images"], again["blobs"]) == ([], 0)
    assert site.host.sh("systemctl is-active backendai-registry") == "active"


def test_it_comes_back_when_it_is_loaded(people: People) -> None:
    site = people.admin.site
    folder = site.host.sh(f"echo {BUNDLES}/*/images")
    assert site.ctl("image", "load", folder, NAME)["pushed"] == [NAME]
    shown = site.ctl("image", "list")
    assert shown["removed"] == [] and all(row["ok"] for row in shown["images"]), json.dumps(shown)
    site.ctl("image", "pull", NAME)
    assert IMAGE in names(people)
