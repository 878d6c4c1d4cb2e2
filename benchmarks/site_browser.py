"""A built site in headless Chromium: first paint, sort, filter, heatmap, in milliseconds.

Times are of the page's own clock, from the event to the end of layout; medians of nine.
"""

import shutil
from pathlib import Path
from statistics import median

TIMED = """
const [action, times] = [new Function('at', arguments[0]), []];
for (let at = 0; at < 9; at++) {
  const start = performance.now();
  action(at);
  document.body.getBoundingClientRect();
  times.push(performance.now() - start);
}
return times;
"""
SORT = "document.querySelector('th.c-over_refusal button').click()"
FILTER = """
const search = document.querySelector('input[name=q]');
search.value = ['a', 'al', 'ced', 'birch/Birch-1', ''][at % 5];
search.dispatchEvent(new Event('input', {bubbles: true}));
"""
MEASURE = """
const select = document.querySelector('#heatmap .measure');
select.selectedIndex = at % select.options.length;
select.dispatchEvent(new Event('change', {bubbles: true}));
"""
PAINT = "return performance.getEntriesByName('first-contentful-paint').map(x => x.startTime)"


def browser_times(site: Path) -> str:
    """Return what a site takes in Chromium, or why that is not known."""
    if not all(map(shutil.which, ("chromium", "chromedriver"))):
        return "not opened: no Chromium"
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        page = f"file://{site}/index.html"
        driver.get(page)  # once for the browser's own start
        driver.get("about:blank")
        driver.get(page)
        paint = median(driver.execute_script(PAINT) or [float("nan")])
        found = {
            name: median(driver.execute_script(TIMED, action))
            for name, action in (("sort", SORT), ("filter", FILTER))
        }
        driver.get("about:blank")
        driver.get(f"{page}#view=heatmap")
        found["heatmap"] = median(driver.execute_script(TIMED, MEASURE))
    finally:
        driver.quit()
    times = ", ".join(f"{name} {value:.0f} ms" for name, value in found.items())
    return f"first paint {paint:.0f} ms, {times}"
