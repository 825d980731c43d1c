"""axe-core, which knows WCAG, looks at our pages as they are and with everything opened."""

import json
from pathlib import Path
from typing import Any

import pytest

from runner.compare import compare
from runner.compare.page import to_html
from tests.browser.cdp import Page
from tests.browser.conftest import Site
from tests.npm import installed
from tests.unit.report_samples import rich_report
from tests.unit.test_compare_outputs import NEW, OLD

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

AXE = "axe-core@4.14.1"
RUN = """axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], resultTypes: ["violations"],
}).then((found) => found.violations
    .filter((each) => ["serious", "critical"].includes(each.impact))
    .map((each) => ({id: each.id, impact: each.impact,
                     nodes: each.nodes.slice(0, 5).map((node) => node.html.slice(0, 200)
                         + " " + (node.any[0]?.message ?? ""))})))"""
OPEN = """new Promise((resolve) => {
    for (const box of document.querySelectorAll("details")) box.open = true;
    const rows = [...document.querySelectorAll(".row > details")];
    const look = () => rows.every((box) => box.querySelector(".group")) && resolve();
    new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
    look();
})"""


@pytest.fixture(scope="module")
def axe() -> str:
    return (installed(AXE) / "axe-core/axe.min.js").read_text()


async def _serious(page: Page, axe: str) -> Any:
    await page.evaluate(axe)
    return await page.evaluate(RUN)


async def _scheme(page: Page, scheme: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    await page.send("Emulation.setEmulatedMedia", features=[feature])


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_report(page: Page, site: Site, axe: str, scheme: str) -> None:
    await _scheme(page, scheme)
    await page.open(site.address(rich_report()))
    closed = await _serious(page, axe)
    await page.evaluate(OPEN)
    opened = await _serious(page, axe)

    assert json.dumps([closed, opened], indent=1) == json.dumps([[], []], indent=1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_comparison(page: Page, tmp_path: Path, axe: str, scheme: str) -> None:
    await _scheme(page, scheme)
    file = tmp_path / "diff.html"
    file.write_text(to_html(compare([OLD], NEW)))
    await page.navigate(file.as_uri())
    await page.evaluate("for (const box of document.querySelectorAll('details')) box.open = true")

    assert json.dumps(await _serious(page, axe), indent=1) == "[]"


async def test_axe_finds_what_is_wrong(page: Page, tmp_path: Path, axe: str) -> None:
    """Otherwise the tests above could not fail."""
    file = tmp_path / "bad.html"
    file.write_text("<!doctype html><html><body><img src='x.png'><button></button></body></html>")
    await page.navigate(file.as_uri())
    found = {each["id"] for each in await _serious(page, axe)}
    assert {"image-alt", "button-name"} <= found
