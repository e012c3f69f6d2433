"""The page in a browser: by mouse, by keyboard, for a screen reader, in the dark, without network."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_runs import ToyRun

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.remote.webelement import WebElement  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="no chromium and chromedriver (Debian: apt-get install chromium chromium-driver)",
)
QUIET = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
QUIET += ["--disable-dev-shm-usage", "--disable-extensions", "--force-color-profile=srgb"]
PATIENCE = 60  # seconds: how long a busy machine may take
TOY = ToyRun(
    channels=(3, 1), names=["<script>document.title = 'run'</script>"], failing=("clip07",)
)


class Reader:
    """A page in a browser, and what a reader does with it."""

    def __init__(self, browser: "webdriver.Chrome", page: Path) -> None:
        self.browser = browser
        self.page = page

    def open(self) -> "Reader":
        self.browser.get(self.page.as_uri())
        self.wait(lambda: self.find("#stage").get_attribute("aria-busy") == "false")
        return self

    def wait(self, done: Callable[[], object]) -> None:
        WebDriverWait(self.browser, PATIENCE).until(lambda _: done())

    def find(self, selector: str) -> WebElement:
        return self.browser.find_element("css selector", selector)

    def find_all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements("css selector", selector)

    def script(self, text: str, *arguments: object) -> object:
        return self.browser.execute_script(text, *arguments)

    @property
    def focus(self) -> WebElement:
        return self.browser.switch_to.active_element

    @property
    def frame(self) -> str:
        return self.find("#frame-label").text

    def pixels(self, tile: int, view: int = 0) -> np.ndarray:
        """A canvas of the player's, (H, W, 3); tile 0 is the plain clip."""
        found = self.script(
            """const canvas = document.querySelectorAll('.tile')[arguments[0]]
                 .querySelectorAll('canvas')[arguments[1]];
               const {width, height} = canvas;
               return [height, width, ...canvas.getContext('2d').getImageData(0, 0, width, height).data]""",
            tile,
            view,
        )
        return np.array(found[2:]).reshape(*found[:2], 4)[..., :3]

    def slide(self, name: str, value: int) -> None:
        """Move a slider as a mouse does."""
        self.script(
            """const slider = document.getElementById(arguments[0]);
               slider.value = arguments[1];
               slider.dispatchEvent(new Event('input', {bubbles: true}))""",
            name,
            value,
        )

    def emulate(self, **media: str) -> None:
        features = [
            {"name": name.replace("_", "-"), "value": value} for name, value in media.items()
        ]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def column(self, table: str, number: int) -> list[str]:
        cells = self.find_all(f"#table-{table} tbody tr > :nth-child({number})")
        return [one.text for one in cells]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator["webdriver.Chrome"]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*QUIET, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SE_OFFLINE", "true")  # the driver is named: selenium is to look for none
        browser = webdriver.Chrome(options=options, service=Service(DRIVER))
    browser.set_window_size(1280, 900)
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TOY.write(tmp_path_factory.mktemp("report")).page


@pytest.fixture
def reader(browser: "webdriver.Chrome", page: Path) -> Iterator[Reader]:
    """A freshly opened page, of which nobody complains in the end."""
    browser.get_log("browser"), browser.get_log("performance")
    yield Reader(browser, page).open()
    assert browser.get_log("browser") == []
    Reader(browser, page).emulate()


def test_nothing_is_asked_of_the_network_and_a_name_does_not_run(reader: Reader) -> None:
    asked = [
        entry["message"]
        for entry in reader.browser.get_log("performance")
        if '"Network.requestWillBeSent"' in entry["message"]
    ]
    assert [one for one in asked if '"url":"file:' in one]
    assert not [one for one in asked if '"url":"file:' not in one and '"url":"data:' not in one]
    entries = reader.script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert all(one.startswith("data:") for one in entries)
    assert reader.browser.title.startswith("r3d_small on")
    assert "<script>document.title" in reader.find("#about").text
    blocked = reader.script(
        """const script = document.createElement('script');
           script.textContent = 'window.ran = true';
           document.body.append(script);
           return window.ran === undefined"""
    )
    assert blocked
    said = reader.browser.get_log("browser")
    assert len(said) == 1
    assert "Content Security Policy" in said[0]["message"]


def test_tables_sort_by_mouse_and_by_keyboard(reader: Reader) -> None:
    names = reader.column("insertion", 1)
    assert names[0].startswith("RISE")
    by_name, by_area = reader.find_all("#table-insertion thead button")[:2]
    by_name.click()
    assert reader.column("insertion", 1) == sorted(names, key=str.lower)
    heading = by_area.find_element("xpath", "..")
    assert heading.get_attribute("aria-sort") is None
    by_area.send_keys(Keys.ENTER)
    areas = [float(one) for one in reader.column("insertion", 3)]
    assert areas == sorted(areas)
    assert heading.get_attribute("aria-sort") == "ascending"
    by_area.send_keys(Keys.SPACE)
    assert [float(one) for one in reader.column("insertion", 3)] == areas[::-1]
    assert heading.get_attribute("aria-sort") == "descending"
    assert len(reader.find_all("#table-insertion [aria-sort]")) == 1


def test_numbers_sort_as_numbers_and_what_is_empty_stays_last(reader: Reader) -> None:
    button = reader.find_all("#table-comparisons thead button")[3]
    for way in (1, -1):
        button.click()
        found = [
            float(one.replace("\N{MINUS SIGN}", "-")) for one in reader.column("comparisons", 4)
        ]
        assert found == sorted(found)[::way]
        assert min(found) < 0 < max(found)
    beats = reader.find_all("#table-insertion thead button")[3]
    for _ in range(2):
        beats.click()
        assert reader.column("insertion", 5)[-1] == ""


def test_keys_step_and_the_pictures_follow(reader: Reader) -> None:
    stage = reader.find("#stage")
    first = reader.pixels(1), reader.pixels(0, 1)
    assert reader.frame == "Frame 1 of 6"
    stage.send_keys(Keys.ARROW_RIGHT)
    assert reader.frame == "Frame 2 of 6"
    assert (reader.pixels(1) != first[0]).any()
    assert (reader.pixels(0, 1) != first[1]).any()
    stage.send_keys(Keys.ARROW_LEFT)
    np.testing.assert_array_equal(reader.pixels(1), first[0])
    for key, frame in [
        (Keys.ARROW_LEFT, 6),
        (Keys.ARROW_RIGHT, 1),
        (Keys.END, 6),
        (Keys.HOME, 1),
    ]:
        stage.send_keys(key)
        assert reader.frame == f"Frame {frame} of 6"
        assert reader.find("#frame").get_attribute("aria-valuetext") == f"frame {frame} of 6"
    reader.find("#next").click()
    reader.find("#frame").send_keys(Keys.ARROW_RIGHT)
    assert reader.frame == "Frame 3 of 6"
    reader.find("#previous").click()
    assert reader.frame == "Frame 2 of 6"


def test_keys_and_the_list_change_the_clip(reader: Reader) -> None:
    stage, before = reader.find("#stage"), reader.pixels(0)
    names = [one.text for one in reader.find_all("#clip option")]
    assert len(names) == 4

    def shown(number: int) -> bool:
        name = names[number].rpartition(" (")[0]
        busy = stage.get_attribute("aria-busy") == "true"
        return reader.find("#about").text.startswith(name) and not busy

    stage.send_keys(Keys.ARROW_DOWN)
    reader.wait(lambda: shown(1))
    assert (reader.pixels(0) != before).any()
    stage.send_keys(Keys.ARROW_UP, Keys.ARROW_UP)
    reader.wait(lambda: shown(0))
    np.testing.assert_array_equal(reader.pixels(0), before)
    reader.find("#clip").send_keys(Keys.END)
    reader.wait(lambda: shown(3))


def test_play_runs_and_pauses_and_then_is_not_read_aloud(reader: Reader) -> None:
    play, label = reader.find("#play"), reader.find("#frame-label")
    assert (play.text, label.get_attribute("aria-live")) == ("Play", "polite")
    reader.slide("speed", 30)
    reader.find("#stage").send_keys(Keys.SPACE)
    assert (play.text, label.get_attribute("aria-live")) == ("Pause", "off")
    seen: set[str] = set()
    reader.wait(lambda: seen.add(reader.frame) or len(seen) >= 3)
    play.click()
    assert (play.text, label.get_attribute("aria-live")) == ("Play", "polite")
    frame = reader.frame
    held = reader.browser.execute_async_script(
        """const done = arguments[0], label = document.getElementById('frame-label');
           setTimeout(() => done(label.textContent), 400)"""
    )
    assert held == frame


def test_nothing_moves_by_itself_and_who_wants_less_motion_begins_slowly(reader: Reader) -> None:
    assert reader.find("#play").text == "Play"
    assert reader.find("#speed-label").text == "8 a second"
    reader.emulate(prefers_reduced_motion="reduce")
    reader.open()
    assert reader.find("#speed-label").text == "2 a second"
    moves = reader.script("return getComputedStyle(document.querySelector('.chart g')).transition")
    assert "0.15s" not in moves


def test_opacity_goes_from_the_clip_to_the_map_alone(reader: Reader) -> None:
    plain = [reader.pixels(0, view) for view in (0, 1)]
    reader.slide("opacity", 0)
    for tile in (1, 2, 3, 4):
        for view in (0, 1):
            np.testing.assert_array_equal(reader.pixels(tile, view), plain[view])
    reader.find("#stage").send_keys(Keys.END)
    reader.slide("opacity", 100)
    reader.script(
        """const list = document.getElementById('colors'); list.value = 'gray';
           list.dispatchEvent(new Event('change'))"""
    )
    maps = TOY.explained.maps["gradcam"]
    index = 0
    limit = max(np.quantile(one[index].numpy(), 0.99) for one in maps)
    for view, one in enumerate(maps):
        expected = (one[index, 0, -1].numpy() / limit).clip(0, 1) * 255
        tile = [found.text for found in reader.find_all(".tile strong")].index("Grad-CAM")
        found = reader.pixels(tile, view)
        assert (found == found[..., :1]).all()
        assert np.abs(found[..., 0] - expected).max() <= 3
    assert reader.find("#opacity-label").text == "100 %"
    assert (reader.pixels(0) != reader.pixels(1)).any()  # the plain clip stays beside them


def test_the_legend_hides_curves(reader: Reader) -> None:
    button = reader.find(".legend button[data-method=rise]")
    curves = reader.find_all(".chart g[data-method=rise]")
    assert [one.is_displayed() for one in curves] == [True, True]
    button.send_keys(Keys.SPACE)
    assert button.get_attribute("aria-pressed") == "false"
    assert [one.is_displayed() for one in curves] == [False, False]
    assert all(one.is_displayed() for one in reader.find_all(".chart g[data-method=random]"))
    button.click()
    assert [one.is_displayed() for one in curves] == [True, True]


def test_tab_reaches_every_control_and_each_has_a_name(reader: Reader) -> None:
    controls = reader.find_all("a, button, input, select, [tabindex='0']")
    assert reader.script("return document.activeElement === document.body")
    reached = []
    for _ in controls:
        reader.focus.send_keys(Keys.TAB)
        reached.append(reader.focus)
    assert reached == controls
    assert reached[0].accessible_name == "Skip to the results"
    for one in controls:
        assert one.accessible_name.strip(), one.get_attribute("outerHTML")
    names = {name: reader.find(f"#{name}").accessible_name for name in ("clip", "play", "colors")}
    assert names == {"clip": "Clip", "play": "Play", "colors": "Colours"}
    for name in ("frame", "opacity", "speed"):
        assert reader.find(f"#{name}").aria_role == "slider"
        assert reader.find(f"#{name}").accessible_name == name.capitalize()
    for one in controls[1:]:
        reader.script("arguments[0].focus({focusVisible: true})", one)
        outline = "return getComputedStyle(arguments[0]).outlineStyle"
        assert reader.script(outline, one) == "solid", one.get_attribute("outerHTML")


def test_the_skip_link_shows_itself_and_leads_to_the_results(reader: Reader) -> None:
    skip = reader.find(".skip")
    assert skip.rect["y"] < 0
    reader.focus.send_keys(Keys.TAB)
    assert reader.focus == skip
    assert skip.rect["y"] >= 0
    skip.send_keys(Keys.ENTER)
    assert reader.focus == reader.find("main")


def test_canvases_and_landmarks_are_told(reader: Reader) -> None:
    canvases = reader.find_all("#stage canvas")
    assert len(canvases) == 2 * 5
    assert canvases[2].accessible_name == "RISE, visible, Evidence peaks in frame 6"
    assert {one.aria_role for one in canvases} <= {"img", "image"}
    assert reader.find("main").aria_role == "main"
    assert reader.find("nav").accessible_name == "On this page"
    headings = [one.text for one in reader.find_all("h2")]
    assert headings[:2] == ["Which map is better", "Where the evidence is"]


def contrast(first: str, second: str) -> float:
    """Of two colours as computed styles tell them (WCAG 2)."""

    def light(color: str) -> float:
        parts = [
            float(one) / 255
            for one in color.partition("(")[2].rstrip(")").replace(",", " ").split()[:3]
        ]
        line = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(np.dot(line, [0.2126, 0.7152, 0.0722]))

    low, high = sorted([light(first), light(second)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_can_be_read(reader: Reader, scheme: str) -> None:
    reader.emulate(prefers_color_scheme=scheme)
    color = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    card = str(reader.script(color, ".card", "backgroundColor"))
    paper = str(reader.script(color, "body", "backgroundColor"))
    assert (contrast(paper, "rgb(255, 255, 255)") < 2) == (scheme == "light")
    for selector in ("td", ".quiet", ".tile .when", "thead button", ".verdict.better", "dt"):
        assert contrast(str(reader.script(color, selector, "color")), card) >= 4.5, selector
    for selector in ("h1 span", ".lead", "nav a", ".kicker"):
        assert contrast(str(reader.script(color, selector, "color")), paper) >= 4.5, selector
    play = (str(reader.script(color, "#play", one)) for one in ("color", "backgroundColor"))
    assert contrast(*play) >= 4.5
    for line in reader.find_all(".legend path"):
        stroke = str(reader.script("return getComputedStyle(arguments[0]).stroke", line))
        assert contrast(stroke, card) >= 3


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_is_never_wider_than_its_window(reader: Reader, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    reader.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert reader.script("return document.documentElement.scrollWidth") <= width
    finally:
        reader.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_screenshot_shows_colours(reader: Reader, tmp_path: Path) -> None:
    reader.find("#stage").send_keys(Keys.END)
    assert reader.find("#player").screenshot(str(tmp_path / "player.png"))
    picture = np.asarray(Image.open(tmp_path / "player.png").convert("RGB")).astype(int)
    assert min(picture.shape[:2]) > 400
    yellow = (picture[..., 0] > 200) & (picture[..., 1] > 200) & (picture[..., 2] < 110)
    assert yellow.sum() > 100  # the strong end of the scale
