"""report.html in a browser: found by keyboard, pointer, link and search; readable for everybody; nothing breaks."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from harness.report.records import Section, SectionKind
from tests.limits import HANG
from tests.report.synthetic import RECORDS, write_report

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium (Debian package chromium)")

PASSES, WRONG, HELD = (quote(record.nodeid) for record in RECORDS[:3])
VIEWS = {
    "overview": "",
    "tests": "#view=tests",
    "contract": "#view=contract",
    "a rule": "#view=contract&rule=PRE-PEND-02",
    "run": "#view=run",
    "a path not taken": f"#test={WRONG}",
    "an operation held": f"#test={HELD}",
}
Open = Callable[..., Page]
PATIENCE = HANG * 1000
"""Milliseconds."""
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Its own sandbox needs what a container seldom has; the page is ours.
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE)
        yield found
        found.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(tmp_path_factory.mktemp("run"), RECORDS)


@pytest.fixture
def open_page(browser: Browser, report: Path) -> Iterator[Open]:
    """Open the report at a fragment; at the end no page may have complained, or asked for anything but itself."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_at(
        fragment: str = "", *, path: Path = report, width: int = 1280, scheme: str = "light", axe: bool = False
    ):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=axe, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if "://" in request.url[5:] else None)
        page.goto(f"file://{path}{fragment}")
        expect(page.locator("main")).to_be_visible()
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert [text for text in complaints if not text.startswith("file://")] == []


def picture(page: Page):
    return page.get_by_role("application")


def is_at(page: Page, end: str) -> None:
    """Wait until the page is where it must be: its fragment ends so, spelled as the links of this module are."""
    spelled = "location.hash.replace(/:/g, '%3A').replace(/\\[/g, '%5B').replace(/\\]/g, '%5D')"
    page.wait_for_function(f"(end) => {spelled}.endsWith(end)", arg=end)


def drawn(page: Page) -> None:
    """Wait until what was done before is drawn."""
    page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))")


def test_every_view_is_accessible_and_readable_in_the_dark_too(open_page: Open):
    for name, place in VIEWS.items():
        page = open_page(place, axe=True)
        if "test=" in place:
            expect(picture(page)).to_be_visible()
        assert violations(page) == [], name
        page.emulate_media(color_scheme="dark")
        drawn(page)
        # Only colours differ.
        assert violations(page, {"runOnly": ["color-contrast"]}) == [], f"{name}, dark"


def violations(page: Page, options: dict[str, list[str]] | None = None) -> list[tuple[str, str]]:
    """The rules of accessibility that a page breaks, and where first."""
    found = Axe().run(page, options=options).response["violations"]
    return [(item["id"], item["nodes"][0]["html"][:200]) for item in found]


@pytest.mark.parametrize("place", VIEWS.values(), ids=VIEWS)
def test_a_phone_shows_every_view_without_scrolling_sideways(open_page: Open, place: str):
    page = open_page(place, width=390)
    if "test=" in place:
        expect(picture(page)).to_be_visible()

    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_what_went_wrong_stands_first_and_leads_to_its_test(open_page: Open):
    page = open_page()

    expect(page.get_by_role("heading", level=1)).to_have_text(
        "2 of 6 tests failed, 1 test ended in an error: 3 troubles"
    )
    page.get_by_role("link", name="pending.post came, where above.post must come").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("test_a_completed_create_gets_no_post_of_its_own")
    is_at(page, f"#test={WRONG}")


def test_search_and_filters_narrow_the_list_and_are_in_the_address(open_page: Open):
    page = open_page("#view=tests")
    rows = page.locator(".rows a")
    expect(rows).to_have_count(6)

    page.get_by_role("searchbox", name="search the tests").fill("pend-02")
    expect(rows).to_have_count(1)
    page.get_by_role("searchbox", name="search the tests").fill("")
    page.get_by_role("button", name="2 failed").click()
    expect(rows).to_have_count(2)
    page.get_by_label("suite").select_option("pending")
    expect(rows).to_have_count(1)
    is_at(page, "#view=tests&outcome=failed&suite=pending")

    page.reload()
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="show all").click()
    expect(rows).to_have_count(6)


def test_a_trouble_leads_to_all_tests_in_which_it_showed(open_page: Open, tmp_path: Path):
    wrong = [replace(RECORDS[1], nodeid=f"{RECORDS[1].nodeid}[{n}]", name=f"test_{n}") for n in range(9)]
    page = open_page(path=write_report(tmp_path, [*RECORDS, *wrong]))

    expect(page.locator(".troubles > li").first).to_contain_text("10 tests")
    page.get_by_role("link", name="4 more").click()

    expect(page.locator(".rows a")).to_have_count(10)
    is_at(page, "#view=tests&trouble=1")


def test_the_drivers_source_stands_below_the_message_that_names_an_address(open_page: Open, tmp_path: Path):
    where = Section(SectionKind.WHERE, "guard+0x5033  GuardPreCreate [guard.c:61]")
    record = replace(RECORDS[1], sections=(*RECORDS[1].sections, where))

    page = open_page(f"#test={WRONG}", path=write_report(tmp_path, [record]))

    expect(page.get_by_label("where that is in the driver")).to_have_text(where.text)


def test_the_list_is_walked_with_the_arrow_keys(open_page: Open):
    page = open_page("#view=tests")
    page.locator(".rows a").first.focus()

    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("test_every_pended_operation_is_resumed")


def test_callbacks_are_stepped_through_by_keyboard_and_told_to_a_screen_reader(open_page: Open):
    page = open_page(f"#test={PASSES}")
    picture(page).focus()
    told = page.locator(".picture [aria-live]")

    page.keyboard.press("ArrowRight")
    expect(told).to_have_text(re.compile("above pre, READ data.bin, 4096 bytes at 0 .*PASSIVE"))
    page.keyboard.press("ArrowRight")
    expect(told).to_have_text(re.compile("pending pre"))
    is_at(page, "&op=1&event=2")
    page.keyboard.press("ArrowDown")
    is_at(page, "&op=2&event=7")
    page.keyboard.press("End")
    is_at(page, "&op=4&event=24")
    page.keyboard.press("ArrowUp")
    is_at(page, "&op=3&event=13")
    page.keyboard.press("Home")
    is_at(page, "&op=1&event=1")


def test_a_link_opens_its_operation_and_the_step_that_caused_it(open_page: Open):
    page = open_page(f"#test={PASSES}&op=3")

    expect(page.get_by_role("heading", name="operation 3")).to_be_visible()
    step = page.locator(".script [aria-current=step]")
    expect(step).to_have_count(1)
    expect(step).to_contain_text("read f length=4096")
    assert page.locator(".script li").all_inner_texts().index(step.inner_text()) >= 1


def test_a_step_of_the_script_leads_to_the_operation_that_it_caused(open_page: Open):
    page = open_page(f"#test={PASSES}")

    page.locator(".script button").nth(1).click()

    is_at(page, "&op=2&event=7")


def test_what_is_under_the_pointer_is_told_and_a_click_chooses_it(open_page: Open):
    page = open_page(f"#test={PASSES}")
    canvas = page.locator(".frame canvas")
    expect(canvas).to_be_visible()
    box, lane = canvas.bounding_box(), page.locator(".lanes span", has_text="above").bounding_box()
    assert box is not None
    assert lane is not None
    y = lane["y"] + lane["height"] / 2
    for x in range(int(box["x"]), int(box["x"] + box["width"]), 6):
        page.mouse.move(x, y)
        drawn(page)
        if page.locator(".tip").count():
            break

    expect(page.locator(".tip")).to_contain_text("above pre")
    page.mouse.click(x, y)

    expect(page.get_by_role("heading", name="operation 1")).to_be_visible()


def test_the_picture_zooms_and_moves(open_page: Open):
    page = open_page(f"#test={PASSES}&event=1", width=900)
    picture(page).focus()
    strip = page.get_by_label("move through the timeline")

    page.keyboard.press("0")
    expect(strip).to_have_count(0)
    for _ in range(4):
        page.keyboard.press("+")
    expect(strip).to_have_count(1)
    page.keyboard.press("End")
    expect(strip).to_have_value("1000")
    page.get_by_role("button", name="by time").click()
    expect(page.get_by_role("button", name="by time")).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_came_and_what_must_come_are_drawn_in_one_picture(open_page: Open, scheme: str):
    page = open_page(f"#test={WRONG}", scheme=scheme)
    expect(picture(page)).to_be_visible()
    cells = page.locator(".paths tr")
    expect(cells.nth(0)).to_contain_text("pending.post")
    expect(page.locator(".paths td.must").first).to_have_text("above.post")

    for name in ("--failed", "--must", "--thread-0"):
        page.wait_for_function(HAS_COLOUR, arg=name)
    expect(page.locator(".callbacks tr.wrong")).to_contain_text("pending")


HAS_COLOUR = """(name) => {
  const canvas = document.querySelector(".frame canvas");
  const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let n = 0; n < data.length; n += 4) {
    if (Math.abs(data[n] - r) + Math.abs(data[n + 1] - g) + Math.abs(data[n + 2] - b) < 12) found++;
  }
  return found > 20;
}"""


def test_a_test_with_several_scripts_begins_with_the_one_in_which_something_is_wrong(open_page: Open):
    page = open_page(f"#test={HELD}")
    script = page.get_by_label("I/O script")

    expect(script.first).to_have_value("2")
    expect(page.locator(".details")).to_contain_text("PRE-PEND-02 violated")
    expect(page.get_by_text("pending still held 1 operation")).to_be_visible()
    script.first.select_option("1")
    expect(page.locator(".script")).to_contain_text("open f V:\\data.bin")


def test_the_contract_is_a_matrix_that_opens_to_sources_and_tests(open_page: Open):
    page = open_page("#view=contract")
    rows = page.locator(".matrix tr:not(.area)")

    expect(rows).to_have_count(5)
    expect(rows.nth(1)).to_contain_text("PRE-PEND-02")
    expect(rows.nth(1)).to_contain_text("violated")
    page.get_by_role("button", name="1 proven").click()
    expect(rows).to_have_count(2)
    page.get_by_role("link", name="REG-01").click()
    expect(page.get_by_role("link", name="ifs/reg.md")).to_have_attribute("href", "https://learn.example/reg")
    page.get_by_label("by suite").check()
    expect(page.get_by_role("columnheader", name="registration")).to_be_visible()
    page.get_by_role("link", name="test_a_read_passes").click()
    is_at(page, f"#test={PASSES}")


def test_a_hundred_thousand_callbacks_are_drawn_and_walked(open_page: Open, tmp_path: Path):
    path = write_report(tmp_path, RECORDS[:1], operations=17_000)

    page = open_page(f"#test={PASSES}", path=path)
    expect(page.get_by_text("102,000 callbacks · 17,000 operations")).to_be_visible()
    picture(page).focus()
    page.keyboard.press("End")
    is_at(page, "&op=17000&event=102000")
    expect(page.locator(".picture [aria-live]")).to_have_text(re.compile("above post, READ data.bin"))
    page.get_by_role("button", name="all", exact=True).click()
    page.wait_for_function(HAS_COLOUR, arg="--thread-1")
    page.get_by_role("button", name="operations", exact=True).click()

    assert page.evaluate("document.querySelectorAll('*').length") < 5000
    assert page.evaluate("document.querySelector('.frame canvas').width") < 4000


def test_a_test_that_this_run_lacks_and_a_trace_that_has_no_room_are_told(open_page: Open, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("harness.report.html.TRACES", 1)
    path = write_report(tmp_path, RECORDS)

    gone = open_page("#test=suites/x.py::test_gone", path=path)
    left_out = open_page(f"#test={WRONG}", path=path)

    expect(gone.get_by_role("heading", name="This run has no such test")).to_be_visible()
    expect(left_out.get_by_text("The trace of this test is not in the page")).to_be_visible()


def test_a_hostile_name_is_text_wherever_it_stands(open_page: Open, tmp_path: Path):
    evil = "<img src=x onerror=alert(1)>\ud800&test=1#"
    record = replace(RECORDS[1], nodeid=evil, name=evil, message=evil, cause=evil)
    path = write_report(tmp_path, [record])

    page = open_page(path=path)
    page.locator(".troubles a").first.click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("img").count() == 0


def test_the_reader_chooses_the_colours(open_page: Open):
    page = open_page(scheme="dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.get_by_role("button", name="colours: auto; change to light").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
