"""Headless Chromium for tests of pages: what it logged, what it asked for, what axe-core says."""

import functools
import http.server
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

AXE = Path(__file__).parent / "axe" / "axe.min.js"
SERIOUS = ("serious", "critical")
WIDTHS = {1280: 900, 390: 844}
CI = "POLYREFUSE_CI"
NEEDED = ("chromium", "chromedriver")


class Browser:
    """A Chromium of one test session; `take` hands over what happened since it was last asked."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        """Load a page anew, also where only the part after '#' differs."""
        self.driver.get("about:blank")
        self.driver.get(url)

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def view(self, width: int, dark: bool = False) -> None:
        """Set the width in CSS pixels, and light or dark; 390 is a phone."""
        size = {"width": width, "height": WIDTHS.get(width, 900), "mobile": width < 600}
        command = self.driver.execute_cdp_cmd
        command("Emulation.setDeviceMetricsOverride", {**size, "deviceScaleFactor": 1})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        command("Emulation.setEmulatedMedia", {"features": [scheme]})

    def problems(self) -> list[str]:
        """Return warnings and errors of the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Return the addresses that pages asked for since the last call."""
        messages = [json.loads(x["message"])["message"] for x in self.driver.get_log("performance")]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def axe(self) -> list[str]:
        """Return the serious violations of the page as it is now, one line each."""
        if not self.js("return Boolean(globalThis.axe)"):
            # Through the debugger: the page's own policy allows no foreign script.
            source = {"expression": AXE.read_text(encoding="utf-8")}
            self.driver.execute_cdp_cmd("Runtime.evaluate", source)
        found = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run({resultTypes: ['violations']}).then("
            "x => done(x.violations), e => done([{impact: 'critical', id: String(e), nodes: []}]))"
        )
        return [
            f"{item['id']}: {[node['target'] for node in item['nodes'][:3]]}"
            for item in found
            if item["impact"] in SERIOUS
        ]


@contextmanager
def chromium(downloads: Path) -> Iterator[Browser]:
    """Start Debian's Chromium; skip, and say why, only on a machine that is not CI."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing and not os.environ.get(CI):
        pytest.skip(
            f"NO BROWSER TEST: {' and '.join(missing)} not installed (apt: chromium-driver)"
        )
    assert not missing, f"{missing} must be installed where {CI} is set"
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "WARNING", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    driver.set_script_timeout(60)
    try:
        yield Browser(driver)
    finally:
        driver.quit()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Say nothing: tests look at the browser's own log."""


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback as a static host does; yield its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def origin(url: str) -> str:
    """Return scheme and host of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
