"""The unsubscribe page as people meet it: in a browser, on a phone and a desk, by day and by night, without scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.browser import Page, browsing
from tests.api.site import Site

pytestmark = pytest.mark.slow

SCREENS = [(width, height, scheme) for width, height in ((390, 844), (1280, 800)) for scheme in ("light", "dark")]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browsing(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture
def link(site: Site) -> str:
    """The whole address of somebody's page."""
    row_id = site.subscribe(site.sequence(steps=2))["id"]
    return str(site.client.base_url).rstrip("/") + site.link(row_id)


def status(site: Site) -> str:
    """How the one subscriber is."""
    return site.lab.store.overview.subscribers()[0].status.value


@pytest.mark.parametrize(("width", "height", "scheme"), SCREENS)
def test_it_is_read_and_used_on_every_screen(
    site: Site, page: Page, link: str, tmp_path: Path, width: int, height: int, scheme: str
) -> None:
    page.problems.clear()
    page.look_like(width, height, scheme)
    page.open(link)
    (tmp_path / "page.png").write_bytes(page.picture())
    assert page.width() <= width
    for selector in (".sender", "h1", "main p", ".note", "button.strong", "button.soft"):
        style = page.style(selector)
        ground = style["background-color"] if "button.strong" in selector else page.style("main")["background-color"]
        assert contrast(style["color"], ground) >= 4.5, selector
    for button in ("button.strong", "button.soft"):
        assert float(page.style(button)["height"].removesuffix("px")) >= 44  # a thumb's width
    assert (contrast(page.style("main")["background-color"], "rgb(0, 0, 0)") < 4.5) == (scheme == "dark")
    page.press('button[value="sequence"]')
    assert "You have left this series" in page.html()
    assert status(site) == "cancelled"
    page.press('button[value="undo"]')
    assert "It is undone" in page.html()
    assert status(site) == "active"
    assert page.problems == []


def test_a_keyboard_is_enough(site: Site, page: Page, link: str) -> None:
    page.look_like(1280, 800, "light", language="es")
    page.open(link)
    page.press_enter(tabs=2)
    assert "Te has dado de baja" in page.html()
    assert status(site) == "cancelled"


def test_a_screen_reader_is_told_everything(page: Page, link: str) -> None:
    page.look_like(390, 844, "light")
    page.open(link)
    told = page.accessible()
    assert ("RootWebArea", "Unsubscribe · Ana de Mi Empresa") in told
    assert ("heading", "Unsubscribe") in told
    assert [name for role, name in told if role == "button"] == ["Leave this series", "Unsubscribe from everything"]


def test_the_policy_lets_the_style_in_and_nothing_else(page: Page, link: str) -> None:
    page.problems.clear()
    page.look_like(390, 844, "light", script=True)
    page.open(link)
    assert page.style("main")["max-width"] == "none"  # the narrow screen's rule
    page.do(
        "Runtime.evaluate",
        expression="document.body.append(Object.assign(new Image(), {src: '/x.png'}));"
        "document.head.append(Object.assign(document.createElement('style'), {textContent: 'main{display:none}'}))",
    )
    assert page.style("main")["display"] != "none"
    assert len([problem for problem in page.problems if "Content Security Policy" in problem]) == 2


def test_a_bad_link_is_a_page_too(site: Site, page: Page) -> None:
    page.look_like(390, 844, "dark", language="es")
    page.open(str(site.client.base_url).rstrip("/") + "/u/nothing")
    assert "Esta página no existe" in page.html()


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    lights = sorted((luminance(one), luminance(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance of `rgb(r, g, b)`."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
