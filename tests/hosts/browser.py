"""A real, headless Chromium in the network of a host: what a user of the web UI meets.

Chromium and its driver are this machine's; they run in the host's network namespace, so the host's
loopback is theirs. The steps run in a process of their own: `python browser.py`, JSON on standard
input (the password never is an argument).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host import Host

TIMEOUT = 300  # seconds for everything
PAGE_TIMEOUT = 90  # seconds for one page, on a busy machine
PROGRAMS = ("chromium", "chromedriver")


class NoBrowser(Exception):
    """This machine has no Chromium; the text says how to get it."""


@dataclass(frozen=True)
class Visit:
    """What was seen: texts and errors of each page by its name."""

    pages: dict[str, dict[str, Any]]


def visit(
    host: Host,
    *,
    url: str,
    email: str,
    password: str,
    pages: dict[str, str],
    folder: Path,
    reach: Sequence[str] = (),
    make_folder: str = "",
) -> Visit:
    """Sign in at `url` and open `pages` ({name: path}); screenshots go to `folder`.

    `reach`: addresses that the browser may call besides loopback. `make_folder`: the name of a
    folder to make on the last page, the one of folders; what is there then is page "folder".
    """
    absent = [program for program in PROGRAMS if not shutil.which(program)]
    if absent:
        raise NoBrowser(
            f"not installed: {', '.join(absent)} (apt install chromium chromium-driver)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    order = {
        "url": url,
        "email": email,
        "password": password,
        "pages": pages,
        "folder": str(folder),
        "reach": list(reach),
        "make_folder": make_folder,
    }
    enter = ["nsenter", "-t", str(host.leader), "-n", "--"]
    done = subprocess.run(
        [*enter, sys.executable, __file__],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={**os.environ, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")},
    )
    if done.returncode:
        raise AssertionError(f"the browser failed:\n{done.stderr[-3000:]}")
    return Visit(json.loads(done.stdout))


def _drive(order: dict[str, Any]) -> dict[str, Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    allowed = ["localhost", "127.0.0.1", *order["reach"]]
    rules = ["MAP * ~NOTFOUND", *(f"EXCLUDE {host}" for host in allowed)]
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (
        "--headless=new",
        "--no-sandbox",  # the test runs as root
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--window-size=1600,1000",
        "--host-resolver-rules=" + ", ".join(rules),
        "--ignore-certificate-errors",  # the certificate itself is checked by another test
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        driver.set_page_load_timeout(PAGE_TIMEOUT)
        return _steps(driver, order)
    except BaseException:
        driver.save_screenshot(f"{order['folder']}/failed.png")
        Path(order["folder"], "failed.html").write_text(driver.page_source)
        raise
    finally:
        driver.quit()


def _steps(driver: Any, order: dict[str, Any]) -> dict[str, Any]:
    from selenium.common.exceptions import (
        ElementClickInterceptedException,
        StaleElementReferenceException,
    )
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    drawn_anew = [StaleElementReferenceException, ElementClickInterceptedException]
    wait = WebDriverWait(driver, PAGE_TIMEOUT, ignored_exceptions=drawn_anew)
    seen: dict[str, Any] = {}
    driver.get(order["url"])
    password = wait.until(lambda d: _visible(d, "input[type=password]"))
    user = _visible(driver, "#user_id, input[type=email], input[type=text]")
    seen["login"] = _look(driver, order, "login")
    user.send_keys(order["email"])
    password.send_keys(order["password"], Keys.ENTER)
    wait.until(lambda d: not _visible(d, "input[type=password]"))
    for name, path in order["pages"].items():
        if path:
            driver.get(order["url"].rstrip("/") + path)
        seen[name] = _read(driver, order, name)
    if order["make_folder"]:
        _make_folder(driver, wait, order["make_folder"])
        seen["folder"] = _read(driver, order, "folder")
    return seen


def _make_folder(driver: Any, wait: Any, name: str) -> None:
    """By the page's button and the window it opens, as a user does; until the list shows it."""
    from selenium.webdriver.common.by import By

    def press(text: str) -> bool:
        found = driver.find_elements(By.TAG_NAME, "button")
        wanted = [b for b in found if b.is_displayed() and b.text.strip() == text]
        for one in wanted[:1]:
            one.click()
        return bool(wanted)

    field = "input[data-bai-field-id=name]"
    wait.until(lambda _: press("Create Folder"))
    wait.until(lambda d: _visible(d, field)).send_keys(name)
    wait.until(lambda _: press("Create"))
    wait.until(lambda d: not _visible(d, field))
    wait.until(lambda d: name in _text(d))


def _visible(driver: Any, selector: str) -> Any:
    from selenium.webdriver.common.by import By

    found = driver.find_elements(By.CSS_SELECTOR, selector)
    return next((element for element in found if element.is_displayed()), None)


def _settled(driver: Any) -> None:
    """Until the page asks for nothing and its text no longer changes."""
    busy = (
        "return performance.getEntriesByType('resource').length + ':' + document.body.innerText.length"
        " + ':' + document.querySelectorAll('.ant-skeleton-active,.ant-spin-spinning').length"
    )
    until, before, same = time.monotonic() + PAGE_TIMEOUT, None, 0
    while same < 6 and time.monotonic() < until:
        now = driver.execute_script(busy)
        same = same + 1 if now == before else 0
        before = now
        time.sleep(0.5)


def _text(driver: Any) -> str:
    from selenium.webdriver.common.by import By

    return str(driver.find_element(By.TAG_NAME, "body").text)


def _read(driver: Any, order: dict[str, Any], name: str) -> dict[str, Any]:
    """A page, and its text, once nothing changes on it."""
    _settled(driver)
    return {**_look(driver, order, name), "text": _text(driver)}


def _look(driver: Any, order: dict[str, Any], name: str) -> dict[str, Any]:
    driver.save_screenshot(f"{order['folder']}/{name}.png")
    log = driver.get_log("browser")
    errors = [entry["message"] for entry in log if entry["level"] == "SEVERE"]
    return {"url": driver.current_url, "title": driver.title, "errors": errors}


if __name__ == "__main__":
    print(json.dumps(_drive(json.load(sys.stdin))))
