"""A report page as a browser shows it. Called by tests/browser.sh with the browser's program in front.

In light, in dark, and 390 pixels wide:
  * the verdict is one of its four words, within the first screen, with a sign beside it, and before every check and chart;
  * there are at least as many charts as asked for, each visible, with a title and marks, or words in their place;
  * words of a chart lie within it, and are 9 pixels high or more;
  * text and what lies behind it differ by 4.5 or more (WCAG 2.2, 1.4.3), in the page and on coloured cells and bars;
  * the page does not scroll sideways;
  * pictures can be decoded, and have a text for those who do not see them;
  * it has no script, asks nothing from anywhere, and the console stays empty;
  * headings leave out no level, and every link within the page leads somewhere.
On paper: the same contrast, every table whole, and nothing of what folds stays folded.

Speaks the DevTools protocol over a pipe, so it needs Python's own library only. Exits with 1 and says what is wrong.
"""

import argparse
import base64
import json
import os
import pathlib
import select
import subprocess
import sys
import tempfile
import time

PATIENCE = 120  # seconds for one answer of the browser
TALLEST = 16000  # pixels of a screenshot; more is cut

# What the page is asked, in the page itself. Only numbers and texts come back; what they must be is said below.
QUESTIONS = r"""
(() => {
  const box = element => { const r = element.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
  const shown = element => element.checkVisibility({checkOpacity: true, checkVisibilityCSS: true});
  const parse = text => {
    const found = text.match(/^rgba?\(([\d.]+)[, ]+([\d.]+)[, ]+([\d.]+)(?:[,/ ]+([\d.]+))?\)$/);
    return found ? found.slice(1).map(v => v === undefined ? 1 : Number(v)) : null;
  };
  const light = ([r, g, b]) => {
    const part = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const contrast = (one, other) => {
    const [a, b] = [light(one), light(other)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour && colour[3] === 1) return colour;
    }
    return matchMedia('(prefers-color-scheme: dark)').matches ? [0, 0, 0, 1] : [255, 255, 255, 1];
  };
  const own = element => [...element.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join(' ').trim();
  const name = element => `<${element.tagName.toLowerCase()} class="${element.getAttribute('class') || ''}"> ${own(element).slice(0, 40)}`;

  const texts = [];
  for (const element of document.body.querySelectorAll('*:not(svg *):not(svg)')) {
    if (!own(element) || !shown(element) || element.closest('.skip')) continue;
    texts.push([name(element), contrast(parse(getComputedStyle(element).color), behind(element))]);
  }
  const charts = [...document.querySelectorAll('svg[role=img]')].map(svg => {
    const scale = svg.viewBox.baseVal && svg.viewBox.baseVal.width ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    const marks = [...svg.querySelectorAll('rect, path, circle, line')].filter(mark => {
      const [left, top, right, bottom] = box(mark);
      return !mark.matches('.axis, .grid, .field') && (right > left || bottom > top);
    });
    const words = [...svg.querySelectorAll('text')].map(text => {
      const style = getComputedStyle(text);
      const under = text.matches('.on, .cell') ? text.previousElementSibling : null;
      const colour = under ? parse(getComputedStyle(under).fill) : behind(svg.parentElement);
      const whole = text.querySelector('title');
      return { text: own(text), whole: whole ? whole.textContent : '', box: box(text), size: parseFloat(style.fontSize) * scale,
               contrast: contrast(parse(style.fill), colour) };
    });
    return { title: (svg.querySelector('title') || {}).textContent || '', about: (svg.querySelector('desc') || {}).textContent || '',
             empty: svg.matches('.empty'), box: box(svg), shown: shown(svg), marks: marks.length,
             told: svg.querySelectorAll('text.value, text.quiet').length, words };
  });
  const verdict = document.querySelector('.verdict');
  const first = document.querySelector('.check, svg[role=img], .figure, table');
  const sign = verdict && verdict.querySelector('.sign');
  return {
    verdict: verdict && { word: verdict.querySelector('.word').textContent, box: box(verdict), shown: shown(verdict),
      sign: !!sign && shown(sign) && sign.getBoundingClientRect().width > 0,
      first: !first || !!(verdict.compareDocumentPosition(first) & Node.DOCUMENT_POSITION_FOLLOWING) },
    charts, texts,
    width: document.documentElement.scrollWidth, height: document.documentElement.scrollHeight,
    scripts: document.scripts.length,
    broken: [...document.images].filter(image => !image.complete || !image.naturalWidth || !image.alt).map(image => image.alt || 'one without a text'),
    language: document.documentElement.lang,
    headings: [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map(h => [Number(h.tagName[1]), h.textContent]),
    lost: [...document.querySelectorAll('a[href^="#"]')].map(a => a.getAttribute('href').slice(1)).filter(id => !document.getElementById(id)),
    twice: (ids => ids.filter((id, at) => ids.indexOf(id) !== at))([...document.querySelectorAll('[id]')].map(e => e.id)),
    folded: [...document.querySelectorAll('details > :not(summary)')].filter(e => !shown(e) || e.getBoundingClientRect().height === 0).length,
    scrolling: [...document.querySelectorAll('.scroll, .chart, .sql')].filter(e => e.scrollHeight > e.clientHeight + 1).length,
  };
})()
"""


class Browser:
    """Headless Chromium at the other end of two pipes; messages are JSON, each ended by a zero byte."""

    def __init__(self, program, profile):
        (their_in, our_out), (our_in, their_out) = os.pipe(), os.pipe()
        # The browser reads from 3 and writes to 4: the numbers are moved out of each other's way first.
        move = f'exec "$@" 3<&{their_in} 4>&{their_out}'
        options = ["--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
                   "--disable-dev-shm-usage", f"--user-data-dir={profile}"]
        if "headless-shell" not in os.path.basename(program):
            options.append("--headless")
        self.process = subprocess.Popen(["bash", "-c", move, "bash", program, *options], pass_fds=(their_in, their_out),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(their_in)
        os.close(their_out)
        self.incoming, self.outgoing, self.rest, self.last, self.session = our_in, our_out, b"", 0, None
        self.events = []

    def message(self, deadline):
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.incoming], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise SystemExit(f"the browser said nothing for {PATIENCE} s")
            more = os.read(self.incoming, 1 << 20)
            if not more:
                raise SystemExit(f"the browser ended with {self.process.wait()} before it answered")
            self.rest += more
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def ask(self, method, **params):
        """The result of a command; events that come before it are kept."""
        self.last += 1
        asked = {"id": self.last, "method": method, "params": params}
        if self.session:
            asked["sessionId"] = self.session
        data = json.dumps(asked).encode() + b"\0"
        while data:
            data = data[os.write(self.outgoing, data):]
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self.message(deadline)
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def wait(self, method):
        """Until an event has come."""
        deadline = time.monotonic() + PATIENCE
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.message(deadline))

    def close(self):
        self.session = None
        try:
            self.ask("Browser.close")
            self.process.wait(timeout=PATIENCE)
        except (SystemExit, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()


def open_page(browser, url, scheme, width, height, media=""):
    """A fresh tab with the page in it; what it asked for and complained of is in the events."""
    browser.session, browser.events = None, []
    target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
    browser.session = browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Network", "Log"):
        browser.ask(f"{domain}.enable")
    browser.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
    browser.ask("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.events = []
    failed = browser.ask("Page.navigate", url=url).get("errorText")
    if failed:
        raise SystemExit(f"{url}: {failed}")
    browser.wait("Page.loadEventFired")
    answer = browser.ask("Runtime.evaluate", expression=QUESTIONS, returnByValue=True)
    if "exceptionDetails" in answer:
        raise SystemExit(f"the questions failed: {answer['exceptionDetails']['exception'].get('description')}")
    return answer["result"]["value"]


def complaints(events, url):
    """What the page asked for beyond itself, and what the console says."""
    for event in events:
        method, params = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            asked = params["request"]["url"]
            if asked != url and not asked.startswith("data:"):
                yield f"asks for {asked}"
        elif method == "Runtime.exceptionThrown":
            yield f"an exception: {params['exceptionDetails'].get('text')}"
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            yield f"the console has an {params['type']}"
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            yield f"the log has: {params['entry']['text']}"


def wrong(seen, width, height, charts):
    """What is not as it should be on a screen."""
    verdict = seen["verdict"]
    if not verdict:
        yield "there is no verdict"
    else:
        if verdict["word"].lower() not in ("passed", "passed with warnings", "blocked", "failed"):
            yield f"the verdict is \"{verdict['word']}\""
        left, top, right, bottom = verdict["box"]
        if not verdict["shown"] or not (0 <= top < bottom <= height and 0 <= left < right <= width):
            yield f"the verdict is not within the first screen: {verdict['box']}"
        if not verdict["sign"]:
            yield "the verdict has no sign"
        if not verdict["first"]:
            yield "something comes before the verdict"
    count = len(seen["charts"])
    if count < charts:
        yield f"there are {count} charts, and at least {charts} were to be"
    for chart in seen["charts"]:
        yield from (f"chart \"{chart['title']}\": {what}" for what in wrong_chart(chart))
    yield from too_pale(seen)
    if seen["width"] > width:
        yield f"the page is {seen['width']} pixels wide and scrolls sideways"
    if seen["scripts"]:
        yield "there is a script"
    yield from (f"a picture cannot be seen: {alt}" for alt in seen["broken"])
    if not seen["language"]:
        yield "there is no language"
    level = 0
    for at, text in seen["headings"]:
        if at > level + 1:
            yield f"heading {at} \"{text}\" comes after one of level {level}"
        level = at
    for kind, ids in (("a link leads nowhere", seen["lost"]), ("a place is there twice", seen["twice"])):
        yield from (f"{kind}: #{place}" for place in ids)


def wrong_chart(chart):
    left, top, right, bottom = chart["box"]
    if not chart["shown"] or right - left < 50 or bottom - top < 20:
        yield f"is not seen: {chart['box']}"
    if not chart["title"] or not chart["about"]:
        yield "has no title or description"
    if chart["empty"]:
        if [word["text"] for word in chart["words"]] != ["no rows"]:
            yield "is empty and does not say so"
    elif not chart["marks"] and not chart["told"]:
        yield "has no marks, and does not say why"
    for word in chart["words"]:
        if not word["text"]:
            continue
        x1, y1, x2, y2 = word["box"]
        if x1 < left - 1.5 or y1 < top - 1.5 or x2 > right + 1.5 or y2 > bottom + 1.5:
            yield f"\"{word['text']}\" goes beyond it: {[round(side) for side in word['box']]} in {[round(side) for side in chart['box']]}"
        if word["size"] < 9:
            yield f"\"{word['text']}\" is {word['size']:.1f} pixels high"
        if "…" in word["text"] and not word["whole"]:
            yield f"\"{word['text']}\" is cut and nowhere whole"


def too_pale(seen):
    pale = [(name, ratio) for name, ratio in seen["texts"] if ratio < 4.5]
    for chart in seen["charts"]:
        pale += [(f"{chart['title']}: {word['text']}", word["contrast"]) for word in chart["words"] if word["contrast"] < 4.5]
    yield from (f"{name} has a contrast of {ratio:.2f}" for name, ratio in pale)


def wrong_on_paper(seen):
    yield from too_pale(seen)
    if seen["folded"]:
        yield f"{seen['folded']} folded parts stay folded"
    if seen["scrolling"]:
        yield f"{seen['scrolling']} boxes would have to be scrolled"


def main():
    parser = argparse.ArgumentParser(description="Asserts that a report page is as it should be in a browser.")
    parser.add_argument("program", help="Chromium")
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--charts", type=int, default=1, help="charts that the page must have at least")
    parser.add_argument("--shots", type=pathlib.Path, help="folder for screenshots and the printed page")
    given = parser.parse_args()
    if not given.page.is_file():
        raise SystemExit(f"tests/browser.py: there is no page {given.page}")
    if given.shots:
        given.shots.mkdir(parents=True, exist_ok=True)
    url = given.page.resolve().as_uri()
    faults = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(given.program, profile)
        try:
            for name, scheme, width, height in (("light", "light", 1280, 900), ("dark", "dark", 1280, 900),
                                                ("phone", "light", 390, 844), ("phone-dark", "dark", 390, 844)):
                seen = open_page(browser, url, scheme, width, height)
                found = [*wrong(seen, width, height, given.charts), *complaints(browser.events, url)]
                faults += [f"{name}: {what}" for what in found]
                marks = sum(chart["marks"] for chart in seen["charts"])
                palest = min(ratio for _, ratio in seen["texts"])
                print(f"{name}: {seen['verdict']['word'] if seen['verdict'] else 'no verdict'}, {len(seen['charts'])} charts, "
                      f"{marks} marks, {len(seen['texts'])} texts (least contrast {palest:.2f}), {seen['width']} x {seen['height']} px")
                if given.shots:
                    clip = {"x": 0, "y": 0, "width": width, "height": min(seen["height"], TALLEST), "scale": 1}
                    shot = browser.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
                    (given.shots / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))
            seen = open_page(browser, url, "dark", 794, 1123, media="print")
            faults += [f"paper: {what}" for what in wrong_on_paper(seen)]
            paper = base64.b64decode(browser.ask("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"])
            print(f"paper: {len(paper)} bytes of PDF")
            if given.shots:
                (given.shots / "paper.pdf").write_bytes(paper)
        finally:
            browser.close()
    for fault in faults[:50]:
        print(fault, file=sys.stderr)
    if faults:
        raise SystemExit(f"tests/browser.py: {len(faults)} faults in {given.page}")


if __name__ == "__main__":
    main()
