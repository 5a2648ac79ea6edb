# SPDX-License-Identifier: Apache-2.0
"""The page /docs in a real browser: lists the routes, shows schemas, sends a request; nothing from elsewhere."""
import shutil

import pytest
from models import xgboost_model
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from server import Server

CHROMIUM = shutil.which("chromium")
CHROMEDRIVER = shutil.which("chromedriver")
PATIENCE_S = 60

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER),
    reason="needs chromium and chromedriver: apt-get install chromium chromium-driver",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    xgboost_model(folder / "tiny.json", objective="reg:squarederror")
    with Server(folder / "tiny.json") as one:
        yield one


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
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


def wait(driver, condition):
    return WebDriverWait(driver, PATIENCE_S, poll_frequency=0.1).until(lambda _: condition())


def all_of(driver, selector):
    return driver.find_elements(By.CSS_SELECTOR, selector)


def open_page(driver, server, operation=""):
    driver.get("about:blank")
    driver.get(server.url + "/docs" + operation)
    wait(driver, lambda: all_of(driver, ".operation h1"))


def test_lists_every_operation_and_finds_by_words(driver, server):
    open_page(driver, server)
    _, api = server.request("/openapi.json")
    count = sum(len(methods) for methods in api["paths"].values())
    assert len(all_of(driver, ".entry")) == count
    driver.find_element(By.TAG_NAME, "body").send_keys("/")
    driver.switch_to.active_element.send_keys("v2 metadata one version")
    wait(driver, lambda: len(all_of(driver, ".entry")) == 1)
    assert all_of(driver, ".entry")[0].text.endswith("/v2/models/{model}/versions/{version}")


def test_a_link_opens_an_operation_and_the_form_sends_it(driver, server):
    open_page(driver, server, "#/post_v1_predict")
    assert driver.find_element(By.CSS_SELECTOR, ".operation h1").text == "/v1/models/{model}:predict"
    assert "instances" in driver.find_element(By.CSS_SELECTOR, ".schema").text
    model = driver.find_element(By.NAME, "model")
    assert model.get_attribute("value") == "tiny", "the first model is filled in"
    body = driver.find_element(By.NAME, "body")
    body.send_keys(Keys.CONTROL, "a")
    body.send_keys('{"instances": [{}]}')
    body.send_keys(Keys.CONTROL, Keys.ENTER)
    wait(driver, lambda: all_of(driver, ".result"))
    assert driver.find_element(By.CSS_SELECTOR, ".result").text.startswith("200")
    assert "predictions" in driver.find_element(By.CSS_SELECTOR, "form + div pre").text


def test_a_stream_is_shown_and_given_back(driver, server):
    open_page(driver, server, "#/get_api_stats_stream")
    before = server.request("/api/v1/stats")[1]["connections"]
    driver.find_element(By.CSS_SELECTOR, "button.primary").click()
    wait(driver, lambda: "event: stats" in driver.find_element(By.CSS_SELECTOR, "form + div").text)
    wait(driver, lambda: all_of(driver, ".result"))
    assert driver.find_element(By.CSS_SELECTOR, ".result").text.startswith("200")
    text = driver.find_element(By.CSS_SELECTOR, "form + div pre").text
    assert text.count("event: stats") >= 2 and "closed the stream" in text
    assert driver.find_element(By.CSS_SELECTOR, "button.primary").is_enabled()
    wait(driver, lambda: server.request("/api/v1/stats")[1]["connections"] <= before)


def test_nothing_was_refused_by_the_browser(driver, server):
    open_page(driver, server, "#/get_v2_model")
    assert [line["message"] for line in driver.get_log("browser") if line["level"] == "SEVERE"] == []
