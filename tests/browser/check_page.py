#!/usr/bin/env python3
"""check_page.py PAGE.html [--need SELECTOR]... [--in-sight SELECTOR]... [--screenshots FOLDER]

Opens a page in headless Chromium, at three widths and in both colour schemes, and looks at what is
rendered. Ends with 1 and a list of what is wrong. Needs the program chromium and no Python package:
it talks to the browser by the DevTools protocol over two pipes.
"""

import argparse
import base64
import fcntl
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile

WIDTHS = (1280, 800, 400)
SCHEMES = ("light", "dark")

# Runs in the page and gives a list of complaints.
LOOK = r"""
((needed, inSight) => {
  const wrong = [];
  const name = e => {
    const id = e.id ? '#' + e.id : '';
    const kind = e.getAttribute('class') ? '.' + e.getAttribute('class').replace(/ +/g, '.') : '';
    const text = (e.textContent || '').trim().replace(/\s+/g, ' ').slice(0, 30);
    return e.localName + id + kind + (text ? ` "${text}"` : '');
  };
  const closed = e => e.parentElement.closest('details:not([open])') && !e.closest('summary');

  for (const selector of needed) {
    const found = [...document.querySelectorAll(selector)];
    if (!found.length) wrong.push(`missing: ${selector}`);
    for (const e of found) {
      const box = e.getBoundingClientRect();
      if (!closed(e) && (box.width < 1 || box.height < 1)) wrong.push(`empty: ${name(e)}`);
    }
  }
  for (const e of document.querySelectorAll('section'))
    if (e.textContent.trim() === (e.querySelector('h2')?.textContent ?? '').trim())
      wrong.push(`nothing but a heading: ${name(e)}`);

  for (const e of document.images) {
    if (!e.complete || !e.naturalWidth) wrong.push(`image does not load: ${e.alt || e.src.slice(0, 60)}`);
    if (!(e.getAttribute('alt') ?? '').trim()) wrong.push(`image without alt: ${e.src.slice(0, 60)}`);
  }
  for (const e of document.querySelectorAll('svg'))
    if (!e.getAttribute('aria-label') && !e.querySelector('title')) wrong.push(`svg without a label`);

  // Something that scrolls by itself may hold more than it shows; the page may not.
  const scrolls = e => ['auto', 'scroll'].includes(getComputedStyle(e).overflowX);
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width)
    wrong.push(`the page is ${document.documentElement.scrollWidth} wide, the window ${width}`);
  for (const e of document.body.querySelectorAll('*')) {
    let around = e.parentElement;
    while (around && !scrolls(around)) around = around.parentElement;
    const box = e.getBoundingClientRect();
    if (!around && box.width && (box.right > width + 0.5 || box.left < -0.5))
      wrong.push(`over the edge of the window: ${name(e)}`);
  }
  for (const e of inSight.flatMap(selector => [...document.querySelectorAll(selector)]))
    if (!closed(e) && e.getBoundingClientRect().right > width + 0.5)
      wrong.push(`out of sight: ${name(e)}`);
  // What scrolls from side to side hides or scrolls what is too high for it, which nobody wants.
  // That of closed details shows only when they are open.
  const shut = [...document.querySelectorAll('details:not([open])')];
  for (const e of shut) e.open = true;
  for (const e of document.body.querySelectorAll('*'))
    if (scrolls(e) && e.scrollHeight > e.clientHeight)
      wrong.push(`${e.scrollHeight} high in ${e.clientHeight}: ${name(e)}`);
  for (const e of shut) e.open = false;
  // Text of a plot within the plot, and no two of its texts on each other.
  for (const svg of document.querySelectorAll('svg')) {
    const edge = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].filter(t => t.textContent.trim());
    const boxes = texts.map(t => t.getBoundingClientRect());
    boxes.forEach((a, i) => {
      if (a.left < edge.left - 1 || a.right > edge.right + 1 || a.top < edge.top - 1 ||
          a.bottom > edge.bottom + 1)
        wrong.push(`text outside its plot: ${name(texts[i])}`);
      boxes.slice(0, i).forEach((b, j) => {
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > 1 && down > Math.min(a.height, b.height) / 2)
          wrong.push(`texts on each other: ${name(texts[i])} and ${name(texts[j])}`);
      });
    });
  }

  // Contrast of text and what is behind it (WCAG 2.1: at least 4.5).
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  canvas.canvas.width = canvas.canvas.height = 1;
  const blended = colours => {
    for (const c of colours) {
      canvas.fillStyle = c;
      canvas.fillRect(0, 0, 1, 1);
    }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = rgb => {
    const [r, g, b] = rgb.map(v => v / 255)
                         .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  // What the browser paints below everything, where the page says that it knows both schemes.
  const knows = getComputedStyle(document.documentElement).colorScheme.includes('dark');
  const base = dark && knows ? 'rgb(18, 18, 18)' : 'white';
  const complained = new Set();
  for (const e of document.body.querySelectorAll('*')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || closed(e) || !e.getBoundingClientRect().width) continue;
    const behind = [];
    for (let p = e; p; p = p.parentElement) behind.unshift(getComputedStyle(p).backgroundColor);
    const s = getComputedStyle(e);
    const ink = e.namespaceURI.endsWith('svg') ? s.fill : s.color;
    const a = luminance(blended([base, ...behind]));
    const b = luminance(blended([base, ...behind, ink]));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const key = ink + behind;
    if (ratio < 4.5 && !complained.has(key)) {
      complained.add(key);
      wrong.push(`contrast ${ratio.toFixed(1)}: ${name(e)}`);
    }
  }
  return wrong;
})
"""


class Browser:
    """A headless Chromium with one page."""

    def __init__(self, program, profile):
        (from_us, self.out), (self.into, to_us) = os.pipe(), os.pipe()
        # Chromium reads from 3 and writes to 4.
        high = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (from_us, to_us)]
        quiet = os.open(os.devnull, os.O_RDWR)
        self.process = os.posix_spawn(
            program,
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--hide-scrollbars", "--no-first-run", "--remote-debugging-pipe",
             f"--user-data-dir={profile}", "about:blank"],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, quiet, 1), (os.POSIX_SPAWN_DUP2, quiet, 2),
                          (os.POSIX_SPAWN_DUP2, high[0], 3), (os.POSIX_SPAWN_DUP2, high[1], 4)],
            setpgroup=0)
        for end in (from_us, to_us, quiet, *high):
            os.close(end)
        self.last, self.rest, self.events, self.session = 0, b"", [], None
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(t["targetId"] for t in targets if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]

    def receive(self):
        while b"\0" not in self.rest:
            block = os.read(self.into, 1 << 16)
            if not block:
                raise SystemExit("check_page: chromium ended")
            self.rest += block
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise SystemExit(f"check_page: {method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, method):
        while not any(e.get("method") == method for e in self.events):
            self.events.append(self.receive())

    def close(self):
        try:
            os.killpg(self.process, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self.process, 0)


def complaints_of_browser(events, url):
    """What the console says, and every request beyond the page itself."""
    for event in events:
        p = event.get("params", {})
        kind = event.get("method")
        if kind == "Runtime.exceptionThrown":
            yield "exception: " + p["exceptionDetails"]["text"]
        elif kind == "Runtime.consoleAPICalled" and p["type"] in ("error", "warning", "assert"):
            yield "console: " + " ".join(str(a.get("value")) for a in p["args"])
        elif kind == "Log.entryAdded" and p["entry"]["level"] in ("error", "warning"):
            yield "console: " + p["entry"]["text"]
        elif kind == "Network.requestWillBeSent":
            asked = p["request"]["url"]
            if asked != url and not asked.startswith("data:"):
                yield "asks for " + asked


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    arguments.add_argument("page", type=pathlib.Path)
    arguments.add_argument("--need", action="append", default=[], metavar="SELECTOR",
                           help="must be there, and be seen")
    arguments.add_argument("--in-sight", action="append", default=[], metavar="SELECTOR",
                           help="must not be scrolled to from side to side")
    arguments.add_argument("--screenshots", type=pathlib.Path, metavar="FOLDER")
    o = arguments.parse_args()
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        print("skipped: the program chromium is not installed (Debian: chromium)")
        return 0
    url = o.page.resolve(strict=True).as_uri()
    wrong = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        try:
            for domain in ("Page", "Runtime", "Log", "Network"):
                browser.call(domain + ".enable")
            for scheme in SCHEMES:
                for width in WIDTHS:
                    browser.events.clear()
                    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900,
                                 deviceScaleFactor=1, mobile=False)
                    browser.call("Emulation.setEmulatedMedia",
                                 features=[{"name": "prefers-color-scheme", "value": scheme}])
                    browser.call("Page.navigate", url=url)
                    browser.wait_for("Page.loadEventFired")
                    result = browser.call("Runtime.evaluate", returnByValue=True,
                                          expression=f"({LOOK.strip()})({json.dumps(o.need)}, "
                                                     f"{json.dumps(o.in_sight)})")
                    if "exceptionDetails" in result:
                        raise SystemExit("check_page: " + json.dumps(result["exceptionDetails"]))
                    found = result["result"]["value"] + [
                        *complaints_of_browser(browser.events, url)]
                    for complaint in found:
                        wrong.setdefault(complaint, set()).add(f"{scheme} {width}")
                    if o.screenshots:
                        o.screenshots.mkdir(parents=True, exist_ok=True)
                        shot = browser.call("Page.captureScreenshot", captureBeyondViewport=True)
                        (o.screenshots / f"{o.page.stem}-{scheme}-{width}.png").write_bytes(
                            base64.b64decode(shot["data"]))
        finally:
            browser.close()
    for complaint, where in wrong.items():
        print(f"{complaint}   [{', '.join(sorted(where))}]")
    if not wrong:
        print(f"{o.page}: right at {len(WIDTHS)} widths, light and dark")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
