"""A real, headless Chromium in the network of a host: what a user of the web UI meets.

Chromium and its driver are this machine's; they run in the host's network namespace, so the host's
loopback is theirs. The steps run in a process of their own: `python browser.py`, JSON on standard
input (the password never is an argument).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host import Host

from dist import unavailable

TIMEOUT = 600  # seconds for everything
PAGE_TIMEOUT = 90  # seconds for one page, on a busy machine
PROGRAMS = ("chromium", "chromedriver")
# Paths of what the menu names; what is below them is a page of one thing.
MENU = re.compile(r"/(project/[^/]+|admin)/[a-z-]+")
# Links that can be seen.
SEEN = "[...document.querySelectorAll('a[href]')].filter(a => a.checkVisibility())"
LINKS = f"return {SEEN}.map(a => a.pathname)"
# Those to other hosts than the site's, and what the page asked of others.
OUTSIDE = f"""
const inside = new Set([location.hostname, ...arguments[0]]);
const asked = performance.getEntriesByType('resource').map(e => e.name);
return [...asked, ...{SEEN}.map(a => a.href)].filter(address => {{
  const url = new URL(address, location);
  return url.protocol.startsWith('http') && !inside.has(url.hostname);
}});
"""
# What would lead out by a window of its own.
DEAD = ("button-help", "button-terms-of-service", "button-privacy-policy")


@dataclass(frozen=True)
class Visit:
    """What was seen: texts and errors of each page by its name."""

    pages: dict[str, dict[str, Any]]

    @property
    def outside(self) -> dict[str, list[str]]:
        """What leads out of the site, by page."""
        found = {name: page["outside"] + page["dead"] for name, page in self.pages.items()}
        return {name: what for name, what in found.items() if what}


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
    walk: bool = False,
    chat: str = "",
) -> Visit:
    """Sign in at `url` and open `pages` ({name: path}); screenshots go to `folder`.

    `reach`: addresses that the browser may call besides loopback. `make_folder`: the name of a
    folder to make on the last page, the one of folders; what is there then is page "folder". `walk`: open
    each page that the menu names, called by its path; then what the user's own menu has ("own menu"), and
    what is said of the program ("about"). `chat`: what to say to the newest deployment of the user,
    with its newest token; once it answered, that is page "chat". A machine without Chromium skips the test.
    """
    absent = [program for program in PROGRAMS if not shutil.which(program)]
    if absent:
        unavailable(f"not installed: {', '.join(absent)} (apt install chromium chromium-driver)")
    folder.mkdir(parents=True, exist_ok=True)
    order = {
        "url": url,
        "email": email,
        "password": password,
        "pages": pages,
        "folder": str(folder),
        "reach": list(reach),
        "make_folder": make_folder,
        "walk": walk,
        "chat": chat,
    }
    enter = ["nsenter", "-t", str(host.leader), "-n", "--"]
    done = subprocess.run(
        [*enter, sys.executable, __file__],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={
            **os.environ,
            "HOME": str(folder),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        },
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
    if order["walk"]:
        seen |= _walk(driver, wait, order)
    if order["chat"]:
        _chat(driver, wait, order)
        seen["chat"] = _read(driver, order, "chat")
    return seen


def _walk(driver: Any, wait: Any, order: dict[str, Any]) -> dict[str, Any]:
    """As a user who presses one entry of the menu after the other, then those of administrators."""
    from selenium.webdriver.common.by import By

    def named() -> set[str]:
        return {path for path in driver.execute_script(LINKS) if MENU.fullmatch(path)}

    seen: dict[str, Any] = {}
    while left := sorted(named() - {*seen}, reverse=True):  # /admin: another menu, which comes last
        wait.until(lambda _, path=left[0]: _press(driver, f'a[href="{path}"]'))
        seen[left[0]] = _read(driver, order, left[0])
    wait.until(lambda d: _press(d, "[data-testid=user-dropdown-button]"))
    seen["own menu"] = _read(driver, order, "own menu")
    entries = driver.find_elements(By.CSS_SELECTOR, "[role=menuitem]")
    next(e for e in entries if "About" in e.text).click()
    wait.until(lambda d: _visible(d, ".about-backendai-modal"))
    seen["about"] = _read(driver, order, "about")
    return seen


def _press(driver: Any, selector: str) -> bool:
    found = _visible(driver, selector)
    if found:
        found.click()
    return bool(found)


def _make_folder(driver: Any, wait: Any, name: str) -> None:
    """By the page's button and the window it opens, as a user does; until the list shows it."""
    field = "input[data-bai-field-id=name]"
    wait.until(lambda d: _press_button(d, "Create Folder"))
    wait.until(lambda d: _visible(d, field)).send_keys(name)
    wait.until(lambda d: _press_button(d, "Create"))
    wait.until(lambda d: not _visible(d, field))
    wait.until(lambda d: name in _text(d))


def _chat(driver: Any, wait: Any, order: dict[str, Any]) -> None:
    """The page has the deployment set, and asks for its token before it shows a model."""
    from selenium.webdriver.common.keys import Keys

    driver.get(order["url"].rstrip("/") + "/chat")
    wait.until(lambda d: _press_button(d, "Refresh Model Information"))
    _settled(driver)
    box = wait.until(lambda d: _visible(d, "[contenteditable=true][role=textbox]"))
    box.send_keys(order["chat"], Keys.ENTER)
    wait.until(lambda d: order["chat"] in _text(d))


def _press_button(driver: Any, text: str) -> bool:
    from selenium.webdriver.common.by import By

    found = driver.find_elements(By.TAG_NAME, "button")
    wanted = [button for button in found if button.is_displayed() and button.text.strip() == text]
    for one in wanted[:1]:
        one.click()
    return bool(wanted)


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
    driver.save_screenshot(f"{order['folder']}/{name.strip('/').replace('/', '-')}.png")
    log = driver.get_log("browser")
    errors = [entry["message"] for entry in log if entry["level"] == "SEVERE"]
    outside = sorted({*driver.execute_script(OUTSIDE, order["reach"])})
    return {
        "url": driver.current_url,
        "title": driver.title,
        "errors": errors,
        "outside": outside,
        "dead": [name for name in DEAD if _visible(driver, f"[data-testid={name}]")],
    }


if __name__ == "__main__":
    print(json.dumps(_drive(json.load(sys.stdin))))
