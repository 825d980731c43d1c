"""The page in a real browser: what a person sees, clicks and types."""

import base64
import json
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import msgspec
import pytest

from tests.browser.cdp import Page, PageError
from tests.browser.conftest import Site
from tests.unit.report_samples import HOSTILE, LONG_OUTPUT, large_report, rich_report

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

NAMES = "[...document.querySelectorAll('#rows .name')].map((e) => e.textContent)"
OPENED = "[...document.querySelectorAll('.row > details[open] .name')].map((e) => e.textContent)"
NOT_HEALTHY = [
    "Deployment/ledger",
    "Deployment/orders",
    "StatefulSet/queue",
    "Deployment/<img src=x onerror=alert(1)>",
    "Deployment/cart",
    "Deployment/sampled",
]


async def _text(page: Page, selector: str) -> Any:
    return await page.evaluate(f"document.querySelector({json.dumps(selector)}).textContent")


async def _open_rows(page: Page) -> None:
    await page.evaluate(
        "for (const box of document.querySelectorAll('.row > details')) box.open = true"
    )
    await _filled(page)


async def _filled(page: Page) -> None:
    """Returns when every row that is open shows its details."""
    await page.evaluate(
        """new Promise((resolve) => {
            const open = [...document.querySelectorAll(".row > details[open]")];
            const look = () => open.every((box) => box.querySelector(".group")) && resolve();
            new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
            look();
        })"""
    )


def _is_quiet(page: Page) -> None:
    assert (page.complaints, page.requests, page.dialogs) == ([], [], [])


async def test_it_looks_as_it_should_and_speaks_to_nobody(
    page: Page, site: Site, artifacts: Path
) -> None:
    report = rich_report()
    run = msgspec.structs.replace(report.run, interrupted=True)
    addresses = {
        "first": site.address(report),
        "opened": site.address(report) + "#open=Deployment%2Fshop%2Fledger",
        "interrupted": site.address(msgspec.structs.replace(report, run=run)),
    }
    for scheme in ("light", "dark"):
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        await page.send("Emulation.setEmulatedMedia", features=media)
        for name, address in addresses.items():
            await page.open(address)
            if name == "opened":
                await _filled(page)
            await page.painted()
            (artifacts / f"{name}-{scheme}.png").write_bytes(await page.screenshot())
    await page.send(
        "Emulation.setDeviceMetricsOverride",
        width=400,
        height=800,
        deviceScaleFactor=1,
        mobile=True,
    )
    await page.open(addresses["first"])
    (artifacts / "narrow.png").write_bytes(await page.screenshot())
    assert await page.evaluate("document.documentElement.scrollWidth") == 400
    printed = await page.send("Page.printToPDF", printBackground=False)
    (artifacts / "printed.pdf").write_bytes(base64.b64decode(printed["data"]))

    _is_quiet(page)


async def test_the_first_screen_shows_everything_but_the_healthy(page: Page, site: Site) -> None:
    await page.open(site.address(rich_report()))

    assert await page.evaluate(NAMES) == NOT_HEALTHY
    assert await page.evaluate(OPENED) == []
    assert await _text(page, "h1") == (
        "2 workloads broken, 2 suspicious, 4 healthy, 2 not examined"
    )
    assert (await _text(page, "header time")).endswith(" ago (2026-11-23 03:12:40 UTC)") or (
        await _text(page, "header time")
    ) == "0 seconds ago (2026-11-23 03:12:40 UTC)"

    await page.evaluate("document.querySelector('#healthy summary').click()")
    await page.painted()

    assert (await page.evaluate(NAMES))[len(NOT_HEALTHY) :] == [
        "StatefulSet/etcd", "StatefulSet/kafka", "StatefulSet/redis", "StatefulSet/web",
    ]  # fmt: skip
    _is_quiet(page)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("orders-75b8d-bbbbb", ["Deployment/orders"]),
        ("LEDGER_url", ["Deployment/ledger"]),
        ("redis", ["StatefulSet/redis"]),
        ("shop node-b", ["Deployment/cart"]),
        ("tcpdump", []),
        ("no such thing", []),
    ],
)
async def test_search_finds(query: str, found: list[str], page: Page, site: Site) -> None:
    await page.open(site.address(rich_report()))
    await page.press("/")
    await page.type(query)

    assert await page.evaluate(NAMES) == found
    assert await _text(page, "#count") == f"{len(found)} of 10 workloads"
    assert await _text(page, "#more") == ("" if found else "No workload matches.")
    _is_quiet(page)


async def test_search_says_which_pod_matches(page: Page, site: Site) -> None:
    await page.open(site.address(rich_report()))
    await page.press("/")
    await page.type("bbbbb")

    assert await _text(page, ".row .match") == "matches orders-75b8d-bbbbb"

    await page.evaluate("document.getElementById('clear').click()")
    await page.painted()

    assert await page.evaluate(NAMES) == NOT_HEALTHY


async def test_the_address_holds_what_is_seen(page: Page, site: Site) -> None:
    address = site.address(rich_report())
    await page.open(address)
    await page.press("/")
    await page.type("75b8d")
    await page.evaluate("document.querySelector('#chips .broken').click()")
    await page.evaluate(
        "{ const s = document.querySelector('select[name=ns]'); s.value = 'shop';"
        " s.dispatchEvent(new Event('change')); }"
    )
    await _open_rows(page)
    await page.painted()
    seen = await page.evaluate("location.href")

    assert seen == (address + "#q=75b8d&show=broken&ns=shop&open=Deployment%2Fshop%2Forders")
    await page.open(seen)
    await page.painted()

    assert await page.evaluate(NAMES) == await page.evaluate(OPENED) == ["Deployment/orders"]
    assert await page.evaluate("document.getElementById('q').value") == "75b8d"
    assert await page.evaluate("document.querySelector('select[name=ns]').value") == "shop"
    pressed = "[...document.querySelectorAll('#chips [aria-pressed=true]')].map((e) => e.value)"
    assert await page.evaluate(pressed) == ["broken"]
    _is_quiet(page)


@pytest.mark.parametrize("hash_", ["#", "#q=%", "#show=<b>&ns=x&open=nothing", "#&&==", "#rule=x"])
async def test_a_wrong_address_does_no_harm(hash_: str, page: Page, site: Site) -> None:
    await page.open(site.address(rich_report(), hash_))

    assert await _text(page, "h1")
    _is_quiet(page)


async def test_the_keyboard_is_enough(page: Page, site: Site) -> None:
    await page.open(site.address(rich_report()))

    for key in ("j", "j", "Enter"):
        await page.press(key)
    assert await page.evaluate(OPENED) == ["Deployment/orders"]
    for key in ("k", "Enter"):
        await page.press(key)
    assert await page.evaluate(OPENED) == ["Deployment/ledger", "Deployment/orders"]
    await page.press("Enter")
    assert await page.evaluate(OPENED) == ["Deployment/orders"]

    await page.press("?")
    assert await page.evaluate("document.getElementById('help').open") is True
    await page.press("Escape")
    assert await page.evaluate("document.getElementById('help').open") is False

    await page.press("/")
    assert await page.evaluate("document.activeElement.id") == "q"
    await page.type("j?")
    assert await page.evaluate("document.getElementById('q').value") == "j?"
    await page.press("Escape")
    assert await page.evaluate("document.activeElement.id") == ""
    _is_quiet(page)


async def test_hostile_text_is_text(page: Page, site: Site) -> None:
    await page.open(site.address(rich_report(), "#show=suspicious"))
    await _open_rows(page)
    await page.evaluate("document.querySelectorAll('details').forEach((e) => { e.open = true; })")
    await page.evaluate("document.querySelectorAll('.cut button').forEach((e) => e.click())")
    await page.painted()

    shown = await page.evaluate("document.querySelector('#rows').innerText")
    for text in HOSTILE:
        if text.isprintable():
            assert text in shown
    assert "^[[31mred^[[0m" in shown
    assert "\\u202egnp.exe" in shown
    assert (
        await page.evaluate("document.querySelectorAll('main img, main script, main a').length")
        == 0
    )
    _is_quiet(page)


async def test_the_policy_holds(page: Page, site: Site) -> None:
    """What a hole in our escaping would be worth: nothing."""
    await page.open(site.address(rich_report()))
    _is_quiet(page)

    with pytest.raises(PageError, match="TrustedHTML"):
        await page.evaluate("document.body.innerHTML = '<img src=x>'")
    await page.evaluate(
        """new Promise((resolve) => {
            let seen = 0;
            document.addEventListener("securitypolicyviolation", () => ++seen === 2 && resolve());
            new Image().src = "http://127.0.0.1:9/leak";
            const button = document.createElement("button");
            button.setAttribute("style", "color: red");
        })"""
    )
    with pytest.raises(PageError, match="Failed to fetch"):
        await page.evaluate("fetch('http://127.0.0.1:9/leak')")
    assert page.complaints


async def test_a_long_output_is_cut_and_can_be_seen(page: Page, site: Site) -> None:
    await page.open(site.address(rich_report(), "#q=queue"))
    await _open_rows(page)
    lines = "document.querySelector('.step[data-step=sockets] pre').textContent.split('\\n').length"

    assert await page.evaluate(lines) == 40
    cut = await _text(page, ".step[data-step=sockets] .cut")
    hidden = int(cut.partition(" ")[0].replace(",", ""))
    shown = await page.evaluate(
        "document.querySelector('.step[data-step=sockets] pre').textContent.length"
    )
    assert hidden + shown == len(LONG_OUTPUT)

    await page.evaluate("document.querySelector('.step[data-step=sockets] .cut button').click()")

    texts = await page.evaluate(
        "[...document.querySelectorAll('.step[data-step=sockets] pre')].map((e) => e.textContent)"
    )
    assert texts == [LONG_OUTPUT[:48_000], LONG_OUTPUT[-16_000:]]
    left_out = (
        f"{len(LONG_OUTPUT) - 64_000:,} characters are left out here; report.json holds them."
    )
    assert await _text(page, ".step[data-step=sockets] .cut") == left_out


async def test_evidence_leads_to_its_step_and_a_fix_can_be_copied(page: Page, site: Site) -> None:
    await page.open(site.address(rich_report(), "#q=orders"))
    await _open_rows(page)

    await page.evaluate("document.querySelector('.finding .link').click()")
    assert await page.evaluate("document.querySelector('.step[open]').dataset.step") == "resolve"
    assert await page.evaluate("document.querySelectorAll('.step[open] h4').length") == 3

    await page.evaluate("document.querySelector('.command button').click()")
    await page.painted()
    assert await page.evaluate("getSelection().toString()") == "kubectl get service db -n prod"
    assert await _text(page, ".command button") in {"Copied", "Selected: press Ctrl+C"}
    _is_quiet(page)


async def test_without_its_script_the_page_says_the_essential(page: Page, site: Site) -> None:
    await page.send("Emulation.setScriptExecutionDisabled", value=True)
    await page.navigate(site.address(rich_report()))
    document = await page.send("DOM.getDocument")
    outer = await page.send("DOM.getOuterHTML", nodeId=document["root"]["nodeId"])

    body = outer["outerHTML"].partition("<body>")[2].partition("<dialog")[0]
    assert "app exits with code 1 because LEDGER_URL is not set." in body
    assert "KeyError: 'LEDGER_URL'" in body
    assert "Without JavaScript this page shows the worst workloads only" in body
    assert page.requests == page.dialogs == []


async def test_all_rows_come_when_somebody_scrolls(page: Page, site: Site) -> None:
    await page.open(site.address(large_report(300)))
    first = await page.evaluate("document.querySelectorAll('.row').length")
    await page.evaluate(
        """new Promise((resolve) => {
            const look = () => {
                scrollTo(0, document.documentElement.scrollHeight);
                if (document.querySelectorAll(".row").length === 300) resolve();
            };
            new MutationObserver(look).observe(document.getElementById("rows"), {childList: true});
            look();
        })"""
    )

    names = await page.evaluate(NAMES)
    assert first < 100
    assert names == [f"Deployment/app-{number}" for number in range(300)]


async def test_rows_fill_a_very_tall_window(page: Page, site: Site) -> None:
    await page.send(
        "Emulation.setDeviceMetricsOverride",
        width=1000, height=6000, deviceScaleFactor=1, mobile=False,
    )  # fmt: skip
    await page.open(site.address(large_report(300)))
    await page.evaluate(
        """new Promise((resolve) => {
            const last = () => [...document.querySelectorAll(".row")].pop();
            const look = () => last().getBoundingClientRect().bottom > innerHeight && resolve();
            new MutationObserver(look).observe(document.getElementById("rows"), {childList: true});
            look();
        })"""
    )


MEASURE = """(async () => {
    const q = document.getElementById("q"), took = [];
    for (const text of ["a", "ap", "app", "app-9", "app-99", "app-999", "app-9999", "", "var"]) {
        const start = performance.now();
        q.value = text;
        q.dispatchEvent(new Event("input"));
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
        took.push(performance.now() - start);
    }
    return took;
})()"""


@pytest.mark.parametrize("per_workload", [1, 40, 10_000])
async def test_ten_thousand_results_are_quick_to_look_at(
    per_workload: int, page: Page, site: Site, artifacts: Path
) -> None:
    report = large_report(10_000, per_workload=per_workload)
    began = process_time()
    address = site.address(report)
    writing = process_time() - began
    await page.open(address)
    await page.painted()
    paints = await page.evaluate(
        "performance.getEntriesByName('first-contentful-paint').map((e) => e.startTime)"
    )
    # The best of three rounds: other tests may want the processor at the same time.
    rounds = [await page.evaluate(MEASURE) for _ in range(3)]
    keystrokes = min(rounds, key=median)
    (artifacts / f"speed-10000-by-{per_workload}.json").write_text(
        json.dumps({"writing_cpu_s": writing, "first_paint_ms": paints, "keystroke_ms": keystrokes})
    )
    await page.evaluate("document.getElementById('clear').click()")
    await page.type("app-0-7" if per_workload == 10_000 else "variable_7_does_not_exist")

    assert writing <= 2.0
    assert [time for time in paints if time > 2000] == []
    assert median(keystrokes) <= 100
    rows = await page.evaluate("document.querySelectorAll('.row').length")
    assert rows == (1 if per_workload == 10_000 else 0)  # clearing leaves the search focused
    _is_quiet(page)


async def test_what_was_ruled_out_is_told(page: Page, site: Site) -> None:
    await page.open(site.address(rich_report()) + "#open=Deployment%2Fshop%2Fledger")
    await _filled(page)
    told = (
        "[...document.querySelectorAll('.ruled-out li, .ruled-out summary, .ruled-out details p')]"
        ".map((e) => e.textContent)"
    )
    assert await page.evaluate(told) == [
        f"db resolves {HOSTILE[0]}",
        "2 rules asked that do not hold",
        "crashloop: host-unresolvable, out-of-memory",
    ]
    _is_quiet(page)
