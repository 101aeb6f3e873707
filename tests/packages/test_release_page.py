"""The release page of dist/report in a real Chromium without a network: it shows what it promises."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import dist as artefacts

PROGRAMS = ("chromium", "chromedriver")
TIMEOUT = 180  # seconds for everything, on a busy machine
SIZES = {"light": (1280, 2400), "dark": (1280, 2400), "narrow": (420, 1600)}


@pytest.fixture(scope="module")
def seen(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Any]:
    """What was seen; the page lies alone in a folder, and the browser has no network at all."""
    page = artefacts.folder(request.config) / "report/index.html"
    if not page.is_file():
        artefacts.unavailable(f"no {page}: run ./pants package :: first")
    absent = [program for program in PROGRAMS if not shutil.which(program)]
    if absent:
        artefacts.unavailable(f"not installed: {', '.join(absent)} (apt install chromium-driver)")
    folder = tmp_path_factory.mktemp("page")
    copy = folder / "index.html"
    shutil.copy(page, copy)
    kept = os.environ.get("BACKENDAI_SCREENSHOTS") or artefacts.REPOSITORY / "dist/screenshots"
    shots = Path(kept) / "release-page"
    shots.mkdir(parents=True, exist_ok=True)
    order = {"url": copy.as_uri(), "shots": str(shots)}
    # Of its own loopback device alone the driver has need.
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    inner = 'ip link set lo up && exec "$@"'
    done = subprocess.run(
        ["unshare", *user, "--net", "sh", "-c", inner, "sh", sys.executable, __file__],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={
            **os.environ,
            "HOME": str(folder),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "PYTHONPATH": str(artefacts.REPOSITORY / "tests"),
        },
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_loads_without_an_error_or_a_request(seen: Mapping[str, Any]) -> None:
    assert seen["errors"] == []
    assert seen["requests"] == [seen["url"]]


def test_headings_are_in_order(seen: Mapping[str, Any]) -> None:
    levels = seen["headings"]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))


def test_the_treemap_is_in_proportion(seen: Mapping[str, Any]) -> None:
    tiles = seen["tiles"]
    assert len(tiles) > 20
    total, area = sum(t["size"] for t in tiles), sum(t["area"] for t in tiles)
    large = [t for t in tiles if t["size"] > total / 100]
    for tile in large:
        assert tile["area"] / area == pytest.approx(tile["size"] / total, rel=0.03)
        assert tile["visible"]


def test_arrow_keys_go_through_the_treemap(seen: Mapping[str, Any]) -> None:
    assert seen["said"][0] != seen["said"][1]
    assert all("bytes" in text for text in seen["said"])


def test_the_search_filters_licences(seen: Mapping[str, Any]) -> None:
    found = seen["licenses"]
    assert 0 < found["shown"] < found["all"]
    assert all("apache-2.0" in row.lower() for row in found["rows"])
    assert found["none"] == 0
    assert found["after escape"] == found["all"]


def test_no_width_makes_the_page_scroll_sideways(seen: Mapping[str, Any]) -> None:
    assert seen["sideways"] == {name: False for name in SIZES}


def _drive(order: dict[str, str]) -> dict[str, Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    logs = {"browser": "ALL", "performance": "ALL"}
    options.set_capability("goog:loggingPrefs", logs)
    driver: Any = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    seen: dict[str, Any] = {"url": order["url"], "sideways": {}}
    try:
        for name, (width, height) in SIZES.items():
            driver.set_window_size(width, height)
            scheme = "dark" if name == "dark" else "light"
            media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
            if driver.current_url != order["url"]:
                driver.get(order["url"])
            seen["sideways"][name] = driver.execute_script(
                "return document.documentElement.scrollWidth > innerWidth"
            )
            driver.save_screenshot(f"{order['shots']}/{name}.png")
        driver.set_window_size(*SIZES["light"])
        seen["headings"] = driver.execute_script(
            "return Array.from(document.querySelectorAll('h1,h2,h3'), h => +h.tagName[1])"
        )
        seen["tiles"] = driver.execute_script(
            "return Array.from(document.querySelectorAll('.map g'), g => {"
            " const box = g.querySelector('rect').getBoundingClientRect();"
            " return {size: +g.dataset.size, area: box.width * box.height,"
            " visible: g.checkVisibility() && box.width > 2 && box.height > 2}; })"
        )
        driver.execute_script("document.querySelector('.map g').focus()")
        said = []
        for _ in range(2):
            said.append(driver.find_element(By.ID, "said").text)
            driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
        seen["said"] = said
        field = driver.find_element(By.ID, "find-licences")
        rows = (
            "return Array.from("
            "document.querySelectorAll('#t-licences tbody tr:not([hidden])'), r => r.innerText)"
        )
        found: dict[str, Any] = {"all": len(driver.execute_script(rows))}
        field.send_keys("apache-2.0")
        found["rows"] = driver.execute_script(rows)
        found["shown"] = len(found["rows"])
        driver.save_screenshot(f"{order['shots']}/search.png")
        field.send_keys(" nothing is called so")
        found["none"] = len(driver.execute_script(rows))
        field.send_keys(Keys.ESCAPE)
        found["after escape"] = len(driver.execute_script(rows))
        seen["licenses"] = found
        log = driver.get_log("browser")
        seen["errors"] = [entry["message"] for entry in log]
        events = [
            json.loads(entry["message"])["message"] for entry in driver.get_log("performance")
        ]
        sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
        urls = [params["request"]["url"] for params in sent]
        seen["requests"] = sorted({url for url in urls if not url.startswith("data:")})
    finally:
        driver.quit()
    return seen


if __name__ == "__main__":
    print(json.dumps(_drive(json.load(sys.stdin))))
