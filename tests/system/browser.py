"""Chromium without a window, steered over its WebDriver."""

import json

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from processes import wait_until

OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--disable-dev-shm-usage", "--disable-extensions"]


class Browser:
    """A browser with one page."""

    def __init__(self, directory, size=(1280, 900)):
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        for option in [*OPTIONS, f"--window-size={size[0]},{size[1]}",
                       f"--user-data-dir={directory}/profile"]:
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)

    def finish(self):
        self.driver.quit()

    def tell(self, command, parameters=None):
        """Sends a command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(command, parameters or {})

    def forget(self):
        """Forgets what was logged, and ends what was simulated."""
        self.tell("Emulation.clearDeviceMetricsOverride")
        self.tell("Emulation.setEmulatedMedia", {"features": []})
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)

    def open(self, url):
        self.driver.get(url)
        return self

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        """The text that a person sees."""
        return self.run("return document.querySelector(arguments[0]).innerText", selector)

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])]"
                        ".map(e => e.textContent)", selector)

    def wait_for(self, condition, what, timeout=20):
        return wait_until(condition, f"{what} on the page", timeout)

    def complaints(self):
        """The messages of the console, except those about servers that did not answer."""
        return [entry for entry in self.driver.get_log("browser")
                if entry["level"] == "SEVERE" and "ERR_CONNECTION" not in entry["message"]]

    def requested(self):
        """The addresses that the page asked for, except its own."""
        events = [json.loads(entry["message"])["message"]
                  for entry in self.driver.get_log("performance")]
        return {event["params"]["request"]["url"] for event in events
                if event["method"] == "Network.requestWillBeSent"
                and event["params"]["request"]["url"].startswith("http")}
