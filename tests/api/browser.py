"""Chromium without a window, spoken to over its DevTools protocol: just enough to look at a page and press a button.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-port=0", "--no-proxy-server"),
)


class Page:
    """One tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = count(1)
        self.problems: list[str] = []
        """What the browser complained of: policies broken, resources that did not load."""
        for domain in ("Page", "Log", "Network", "Accessibility"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **params: Any) -> dict[str, Any]:
        """One command, and its answer."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while (message := self._next()).get("id") != number:
            pass
        assert "error" not in message, message
        found: dict[str, Any] = message["result"]
        return found

    def look_like(self, width: int, height: int, scheme: str, *, script: bool = False, language: str = "en") -> None:
        """Be a screen of that size that prefers light or dark, and speak a language."""
        self.do(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2, mobile=width < 600
        )
        self.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.do("Emulation.setScriptExecutionDisabled", value=not script)
        self.do("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})

    def open(self, url: str) -> None:
        """Go somewhere and wait until it is there."""
        self.do("Page.navigate", url=url)
        self._wait_for("Page.loadEventFired")

    def press(self, selector: str) -> None:
        """Press a button with the mouse, and wait for the next page."""
        x, y = self.centre(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.do("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self._wait_for("Page.loadEventFired")

    def press_enter(self, tabs: int) -> None:
        """Go on with the tab key so many times, then press Enter: no mouse is needed."""
        keys = [("Tab", 9)] * tabs + [("Enter", 13)]
        for key, code in keys:
            text = {"text": "\r"} if key == "Enter" else {}
            self.do("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=code, **text)
            self.do("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)
        self._wait_for("Page.loadEventFired")

    def centre(self, selector: str) -> tuple[float, float]:
        """Where the middle of an element is."""
        corners = self.do("DOM.getBoxModel", nodeId=self.node(selector))["model"]["border"]
        return (corners[0] + corners[4]) / 2, (corners[1] + corners[5]) / 2

    def node(self, selector: str) -> int:
        """An element."""
        root = self.do("DOM.getDocument")["root"]["nodeId"]
        found: int = self.do("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        assert found, f"there is no {selector}"
        return found

    def style(self, selector: str) -> dict[str, str]:
        """How an element is shown."""
        self.do("DOM.enable")
        self.do("CSS.enable")
        found = self.do("CSS.getComputedStyleForNode", nodeId=self.node(selector))["computedStyle"]
        return {one["name"]: one["value"] for one in found}

    def html(self) -> str:
        """The page as it is now."""
        root = self.do("DOM.getDocument")["root"]["nodeId"]
        text: str = self.do("DOM.getOuterHTML", nodeId=root)["outerHTML"]
        return text

    def width(self) -> float:
        """How wide the content is."""
        width: float = self.do("Page.getLayoutMetrics")["cssContentSize"]["width"]
        return width

    def accessible(self) -> list[tuple[str, str]]:
        """What a screen reader is told: (role, name) of each thing that has a name."""
        nodes = self.do("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node["name"]["value"])
            for node in nodes
            if not node.get("ignored") and node.get("name", {}).get("value")
        ]

    def picture(self) -> bytes:
        """What is to be seen, as PNG."""
        return base64.b64decode(self.do("Page.captureScreenshot", format="png")["data"])

    def _wait_for(self, event: str) -> None:
        while self._next().get("method") != event:
            pass

    def _next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._socket.recv(timeout=120))
        if message.get("method") == "Log.entryAdded":
            self.problems.append(message["params"]["entry"]["text"])
        return message


@contextmanager
def browsing(folder: Path) -> Iterator[Page]:
    """A tab of a fresh browser, whose profile is in that folder."""
    program = next(found for name in PROGRAMS if (found := shutil.which(name)))
    command = [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with connect(_address(folder), max_size=None, proxy=None) as socket:
                browser = Page.__new__(Page)
                browser._socket, browser._numbers, browser.problems = socket, count(1), []
                target = browser.do("Target.createTarget", url="about:blank")["targetId"]
                place = _address(folder).rpartition("/devtools/")[0]
            with connect(f"{place}/devtools/page/{target}", max_size=None, proxy=None) as socket:
                yield Page(socket)
        finally:
            process.terminate()


def _address(folder: Path) -> str:
    file = folder / "DevToolsActivePort"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(0.02)
    raise AssertionError("the browser did not start")
