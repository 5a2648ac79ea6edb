# SPDX-License-Identifier: Apache-2.0
"""The dashboard in a real browser, on a real server with one model that serves and one that cannot; and on one with a
model of tensors and a graph.

Chromium runs headless with a profile of its own. Every test ends with a look at the browser's console:
an error there, or anything that the Content-Security-Policy stopped, fails it.
"""
import json
import re
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
import xgboost
from command import ROOT
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait
from server import Server

CHROMIUM = shutil.which("chromium")
CHROMEDRIVER = shutil.which("chromedriver")
PATIENCE_S = 60  # ends a test that waits in vain; nothing is measured

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER),
    reason="needs chromium and chromedriver: apt-get install chromium chromium-driver",
)

# Names that would do harm if they were ever taken as markup.
HOSTILE = "<img src=x onerror=document.title=1>"
FEATURES = ["amount", "hour", "country", "online", "opened", HOSTILE]
COUNTRIES = ["AT", "de", HOSTILE, "O'Hara & \"sons\""]
OPENED = "2024-03-09T17:20:00Z"
MODEL_YAML = """\
phoenix: 1
name: cards
model: model.json
task: binary
labels: ["genuine", {hostile}]
features:
  - {{name: amount, type: number}}
  - {{name: hour, type: number}}
  - {{name: country, type: category, categories: {countries}}}
  - {{name: online, type: boolean}}
  - {{name: opened, type: datetime}}
  - {{name: {hostile}, type: number}}
reference: reference.csv
"""
REFERENCE_CSV = (
    "amount,hour,country,online,opened,{hostile}\n120.5,13,de,true,{opened},0.25\n"
)


def train(folder):
    """A package whose model uses every feature, so that a changed field changes the score."""
    random = np.random.default_rng(7)
    opened = 1.7e9 + random.uniform(0, 1e7, 800)
    x = np.column_stack([
        random.lognormal(4, 1, 800), random.integers(0, 24, 800), random.integers(0, 4, 800),
        random.integers(0, 2, 800), opened, random.normal(size=800),
    ])
    risk = (x[:, 0] > 60) + (x[:, 1] < 6) + (x[:, 2] == 2) + x[:, 3] + (opened > 1.705e9) + x[:, 5]
    y = risk + random.normal(scale=0.3, size=800) > 2.4
    matrix = xgboost.DMatrix(x, label=y, feature_names=[f"c{i}" for i in range(6)])
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 4, "seed": 1}, matrix, 30)
    folder.mkdir()
    booster.save_model(folder / "model.json")
    words = {"hostile": json.dumps(HOSTILE), "countries": json.dumps(COUNTRIES)}
    (folder / "model.yaml").write_text(MODEL_YAML.format(**words))
    (folder / "reference.csv").write_text(REFERENCE_CSV.format(hostile=HOSTILE, opened=OPENED))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    train(folder / "cards")
    text = (folder / "cards" / "model.json").read_text()
    (folder / "broken.json").write_text(text[: len(text) // 2])
    return folder


@pytest.fixture(scope="module")
def server(models):
    with Server(f"cards={models}/cards", f"broken={models}/broken.json") as server:
        yield server


def listed(server, name):
    """The row of /api/v1/models of a model."""
    return next(model for model in server.request("/api/v1/models")[1]["models"]
                if model["name"] == name)


def ask(server, body):
    """(status, reply) of a prediction whose body is given as text."""
    return server.request("/v1/models/cards:predict", body)


def score_of(server, body):
    status, reply = ask(server, body)
    assert status == 200, reply
    return reply["predictions"][0]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ["headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
                 "disable-background-networking", "disable-component-update", "disable-sync",
                 "disable-dev-shm-usage", "window-size=1280,1000",
                 f"user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
    yield driver
    driver.quit()


class Page:
    """What a user sees and does on the dashboard."""

    def __init__(self, driver):
        self.driver = driver
        self.expected_log = []  # patterns of console lines that a test provokes

    def open(self, server, path="/"):
        self.driver.get("about:blank")
        self.driver.get(server.url + path)
        self.wait("the models", lambda: self.all(".title h1"))

    def wait(self, what, condition):
        return WebDriverWait(self.driver, PATIENCE_S, poll_frequency=0.1).until(
            lambda _: condition(), f"waited in vain for {what}")

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return " ".join(self.driver.execute_script(
            "return document.querySelector(arguments[0])?.innerText ?? ''", selector).split())

    def field(self, name):
        return next(control for control in self.all(".fields [name]")
                    if control.get_attribute("name") == name)

    def type(self, name, text):
        self.field(name).send_keys(Keys.CONTROL, "a", Keys.DELETE)
        if text:
            self.field(name).send_keys(text)

    def predict(self):
        """Presses the button; the text of the result once it is another one."""
        self.driver.execute_script("document.querySelector('.result').dataset.old = 'yes';"
                                   "document.querySelector('.result').replaceChildren()")
        self.all("button.primary")[0].click()
        return self.wait("a result", lambda: self.text(".result"))

    def shown_body(self):
        """The body in the curl line, as a shell would hand it over."""
        line = self.driver.execute_script("return document.querySelector('.curl').textContent")
        words = subprocess.run(["sh", "-c", line.replace("curl", "printf '%s\\0'", 1)],
                               capture_output=True, text=True, check=True).stdout.split("\0")
        return words[words.index("-d") + 1]

    def check_console(self):
        lines = [f"{entry['level']} {entry['message']}" for entry in self.driver.get_log("browser")]
        known = "|".join(self.expected_log)
        assert [line for line in lines if not (known and re.search(known, line))] == []


@pytest.fixture
def page(chromium):
    page = Page(chromium)
    chromium.get_log("browser")
    yield page
    page.check_console()


def test_shows_every_model_with_its_state(page, server):
    page.open(server)
    assert [row.text.split()[0] for row in page.all(".model")] == ["broken", "cards"]
    assert page.text("#status") == "1 model failed"
    assert "broken" in page.text("#banner")
    assert page.text(".title h1") == "cards", "the first model that serves is open"
    assert page.text(".title .badge") == "Ready"
    facts = page.text(".facts")
    forest = listed(server, "cards")["forest"]
    assert f"Trees {forest['trees']}" in facts and "Features 6" in facts
    assert forest["objective"] in facts and forest["kernel_one"] in facts


def test_a_failed_model_gives_its_reason(page, server):
    page.open(server)
    next(row for row in page.all(".model") if row.text.startswith("broken")).click()
    page.wait("the failed model", lambda: page.text(".title h1") == "broken")
    reason = listed(server, "broken")["reason"]
    assert page.text(".reason") == " ".join(reason.split())
    page.driver.back()
    page.wait("the way back", lambda: page.text(".title h1") == "cards")


def test_numbers_move_with_the_traffic(page, server):
    page.open(server)
    sample = listed(server, "cards")["sample"]
    before = page.text(".throughput .totals")
    stop = threading.Event()

    def send():
        while not stop.is_set():
            score_of(server, json.dumps({"instances": [sample] * 3}))
            stop.wait(0.02)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        page.wait("a rate", lambda: re.match(r"[1-9]", page.text(".requests .figure")))
        page.wait("a rate of rows", lambda: re.match(r"[1-9]", page.text(".rows .figure")))
        page.wait("the count", lambda: page.text(".throughput .totals") != before)
        page.wait("the header", lambda: re.match(r"[1-9]", page.text("#server-requests")))
    finally:
        stop.set()
        sender.join()
    assert ask(server, '{"instances": [{"amount": "much"}]}')[0] == 400
    page.wait("the error's reason", lambda: "Invalid" in page.text(".reasons"))
    assert re.search(r"p50 [\d.]+ (µs|ms)", page.text(".percentiles"))
    for card in (".batches", ".scores"):
        assert page.all(f"{card} .bars .some")
        assert "%" in page.all(f"{card} .plot")[0].get_attribute("aria-label")
    assert page.all(".requests path.line")[0].get_attribute("d").startswith("M")


def asked(page):
    """How often the page has asked for (the numbers, a stream of them)."""
    return page.driver.execute_script(
        "const ends = (end) => performance.getEntriesByType('resource').filter((e) => e.name.endsWith(end)).length;"
        "return [ends('/api/v1/stats'), ends('/api/v1/stats/stream')]")


def uptime(page):
    return page.text("#server-uptime")


def test_numbers_are_streamed_to_a_page_that_is_seen_and_polled_without_a_stream(page, server):
    page.open(server)
    page.wait("a stream", lambda: server.request("/api/v1/stats")[1]["connections"] > 1)
    for _ in range(3):
        before = uptime(page)
        page.wait("an event", lambda: uptime(page) != before)
    assert asked(page)[0] <= 2, "the page polls beside its stream"
    run = page.driver.execute_cdp_cmd
    page.expected_log = [r"stats/stream.*ERR_BLOCKED_BY_CLIENT"]
    run("Network.enable", {})
    run("Network.setBlockedURLs", {"urls": ["*/stats/stream"]})
    try:
        page.open(server)
        for _ in range(3):
            before = uptime(page)
            page.wait("a poll", lambda: uptime(page) != before)
        assert asked(page)[0] >= 3
        assert page.text("#status") == "1 model failed"
    finally:
        run("Network.setBlockedURLs", {"urls": []})
        run("Network.disable", {})


def test_a_drain_is_shown(page, models):
    # A page that has heard of no drain yet may ask for the stream once more.
    page.expected_log = [r"ERR_CONNECTION_|ERR_EMPTY_RESPONSE|stats/stream .* 503"]
    server = Server(f"cards={models}/cards", drain_delay_ms=60000)
    page.open(server)
    server.signal()
    page.wait("the state", lambda: page.text("#status") == "Draining")
    assert "draining" in page.text("#banner")
    before = uptime(page)
    page.wait("the polls that follow", lambda: uptime(page) != before)
    assert server.stop() == 0


def test_the_form_gives_the_score_of_the_api(page, server):
    page.open(server)
    sample = listed(server, "cards")["sample"]
    assert sample["country"] == "de"
    page.predict()
    score = score_of(server, json.dumps({"instances": [sample]}))
    assert float(page.text("#score")) == score
    assert "genuine" in page.text(".classes") and HOSTILE in page.text(".classes")

    page.type("amount", "7.25")
    Select(page.field("country")).select_by_visible_text(HOSTILE)
    Select(page.field("online")).select_by_value("")
    page.type("hour", "")
    page.predict()
    body = page.shown_body()
    sent = json.loads(body)["instances"][0]
    assert sent == {**sample, "amount": 7.25, "country": HOSTILE, "online": None, "hour": None,
                    "opened": OPENED}
    changed = score_of(server, body)
    assert float(page.text("#score")) == changed != score


def test_quotes_in_a_category_survive_the_curl_line(page, server):
    page.open(server)
    Select(page.field("country")).select_by_visible_text(COUNTRIES[3])
    assert json.loads(page.shown_body())["instances"][0]["country"] == COUNTRIES[3]


def test_all_missing_is_sent_as_nulls(page, server):
    page.open(server)
    next(button for button in page.all("button") if button.text == "All missing").click()
    page.predict()
    assert json.loads(page.shown_body()) == {"instances": [dict.fromkeys(FEATURES)]}
    assert float(page.text("#score")) == score_of(server, page.shown_body())


def test_a_bad_value_shows_the_server_s_message(page, server):
    page.expected_log = [r":predict .*400"]
    page.open(server)
    page.type("amount", "much")
    result = page.predict()
    status, answer = ask(server, page.shown_body())
    assert status == 400 and "HTTP 400" in result and "'amount'" in answer["detail"]
    assert page.text("#message") == answer["detail"]
    assert page.field("amount").get_attribute("aria-invalid") == "true"
    assert page.field("hour").get_attribute("aria-invalid") is None
    page.type("amount", "12")
    page.predict()
    assert float(page.text("#score")) > 0


class TensorModel:
    """A row of /api/v1/models whose engine is not a forest, and what the page should show of it."""

    def __init__(self, server, name):
        self.row = listed(server, name)
        self.path = f"/v2/models/{name}/versions/{self.row['version']}"
        self.metadata = server.request(self.path)[1]


@pytest.fixture(scope="module")
def tensors():
    """A graph, which needs no engine of others, and beside it ONNX Runtime where it is there."""
    arguments = [f"fraud={ROOT}/examples/graphs/fraud/graph.yaml"]
    runtime = onnxruntime_library()
    if runtime:
        arguments.append(f"affine={ROOT}/tests/golden/onnxruntime/affine.onnx")
    with Server(*arguments, env={"PHOENIX_ONNXRUNTIME": str(runtime)} if runtime else {}) as server:
        yield server


def onnxruntime_library():
    try:
        import onnxruntime
    except ImportError:
        return None
    libraries = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so*")
    return next(libraries, None)


def names_of(tensors):
    return [f"{one['name']} {one['datatype']} " + json.dumps(one["shape"]).replace("-1", "any") for one in tensors]


def shown_tensors(page, selector):
    return [" ".join(row.text.split()) for row in page.all(f"{selector} li")]


@pytest.mark.parametrize("name", ["fraud", "affine"])
def test_a_model_of_tensors_is_shown_and_answers(page, tensors, name):
    if not any(model["name"] == name for model in tensors.request("/api/v1/models")[1]["models"]):
        pytest.skip("needs ONNX Runtime: pip install onnxruntime")
    model = TensorModel(tensors, name)
    page.open(tensors, f"/#/{name}/{model.row['version']}")
    page.wait("the inputs", lambda: page.all(".inputs li"))
    assert page.text(".title h1") == name and page.text(".title .badge") == "Ready"
    assert shown_tensors(page, ".inputs") == names_of(model.metadata["inputs"])
    assert shown_tensors(page, ".outputs") == names_of(model.metadata["outputs"])
    assert {"fraud": "Graph of models", "affine": "ONNX Runtime"}[name] in page.text(".facts")
    assert not page.all(".scores"), "what it answers need not be scores"

    page.predict()
    assert "outputs" in page.text("#answer"), page.text(".result")
    sent = json.loads(page.shown_body())
    assert sent == model.row["sample"]
    status, expected = tensors.request(f"{model.path}/infer", sent)
    assert status == 200
    shown = json.loads(page.driver.execute_script("return document.querySelector('#answer').textContent"))
    assert shown["outputs"] == expected["outputs"]
    page.wait("the count", lambda: re.match(r"[1-9]\d* requests? and", page.text(".throughput .totals")))


def test_a_request_that_a_model_of_tensors_refuses_shows_its_message(page, tensors):
    page.expected_log = [r"/infer .*400"]
    page.open(tensors, "/#/fraud/1")
    page.all("textarea.request")[0].send_keys(Keys.CONTROL, "a", Keys.DELETE)
    page.all("textarea.request")[0].send_keys('{"inputs": [')
    result = page.predict()
    status, answer = tensors.request("/v2/models/fraud/versions/1/infer", '{"inputs": [')
    assert status == 400 and "HTTP 400" in result
    assert page.text("#message") == " ".join(answer["error"].split())
    next(button for button in page.all("button") if button.text == "Example").click()
    page.predict()
    assert "outputs" in page.text("#answer")


def test_says_that_the_server_is_away_and_comes_back(page, models):
    page.expected_log = [r"ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|status of 503"]
    first = Server(f"cards={models}/cards")
    page.open(first)
    page.wait("the state", lambda: page.text("#status") == "Ready")
    assert not page.all(".model")[0].is_displayed(), "one model needs no list"
    assert first.stop() == 0
    page.wait("the notice", lambda: "cannot be reached" in page.text("#banner"))
    assert page.text("#status") == "Unreachable"
    assert page.text(".title h1") == "cards", "what was known stays"
    second = Server(f"cards={models}/cards", port=first.port)
    page.wait("the return", lambda: page.text("#status") == "Ready")
    assert not page.all("#banner")[0].is_displayed()
    assert second.stop() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1440])
@pytest.mark.parametrize("served", ["server", "tensors"])
def test_fits_the_screen_and_names_its_controls(page, request, served, width, scheme):
    server = request.getfixturevalue(served)
    run = page.driver.execute_cdp_cmd
    run("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    run("Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500})
    try:
        page.open(server)
        size = page.driver.execute_script(
            "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert size[0] <= size[1], "the page scrolls sideways"
        nodes = run("Accessibility.getFullAXTree", {})["nodes"]
        roles = {"button", "textbox", "combobox", "link", "img", "image", "DateTime"}
        unnamed = [node for node in nodes if not node["ignored"] and node["role"]["value"] in roles
                   and not node["name"]["value"]]
        assert unnamed == []
    finally:
        run("Emulation.clearDeviceMetricsOverride", {})
        run("Emulation.setEmulatedMedia", {"features": []})
