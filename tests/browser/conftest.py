"""One browser, a tab of its own for each test, and the folder where what people may want to look at is kept."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from runner.model.report import Report
from runner.report import to_html
from tests.browser.cdp import Browser, Page, chromium


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    async with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    async with browser.page() as page:
        yield page


class Site:
    """Writes reports to disk and says the address under which a person would open them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._written = 0

    def address(self, report: Report, hash_: str = "") -> str:
        self._written += 1
        path = self._directory / f"report-{self._written}.html"
        path.write_text(to_html(report))
        return path.as_uri() + hash_


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def artifacts() -> Path:
    folder = Path(os.environ.get("PODMEDIC_ARTIFACTS", "build/artifacts")) / "report-page"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
