"""Opens the sample reports in a headless Chromium and looks at them as a reader would.

Needs ASCERTAIN_REPORT_SAMPLE, the program that writes them, and ASCERTAIN_CHART_JS, the text of Chart.js.
"""
import os
import re
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree

import browser

NAMES = ("screened", "failing", "nothing", "hostile")


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if browser.program() is None:
            raise RuntimeError("no Chromium here; on Debian: apt-get install chromium")
        cls.folder = tempfile.TemporaryDirectory(prefix="ascertain-report-")
        subprocess.run([os.environ["ASCERTAIN_REPORT_SAMPLE"], os.environ["ASCERTAIN_CHART_JS"], cls.folder.name],
                       check=True)
        cls.page = browser.Page()

    @classmethod
    def tearDownClass(cls):
        cls.page.close()
        cls.folder.cleanup()

    def setUp(self):
        self.page.console.clear()
        self.page.requests.clear()

    def open(self, name, **view):
        self.page.open(os.path.join(self.folder.name, name + ".html"), **view)

    def each(self, **view):
        for name in NAMES:
            with self.subTest(name):
                self.setUp()
                self.open(name, **view)
                yield name

    def test_says_nothing_on_the_console(self):
        for _ in self.each():
            self.assertEqual(self.page.console, [])

    def test_asks_for_nothing_but_itself(self):
        for name in self.each():
            self.assertEqual([url for url in self.page.requests if not url.startswith("data:")],
                             ["file://" + os.path.join(self.folder.name, name + ".html")])

    def test_says_the_verdict_first(self):
        words = {"screened": "INCONCLUSIVE", "failing": "NOT QUALIFIED", "nothing": "INCONCLUSIVE",
                 "hostile": "INCONCLUSIVE"}
        for name in self.each():
            first = self.page.ask("document.body.innerText.trim().split('\\n')[0]")
            self.assertEqual(re.sub(r"[^A-Z ]", "", first).strip(), words[name])

    def test_draws_every_chart(self):
        for name in self.each():
            blank = self.page.ask("""[...document.querySelectorAll("canvas")].filter(canvas => {
                const bytes = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                return canvas.width === 0 || !bytes.some(byte => byte !== 0);
            }).map(canvas => canvas.id)""")
            self.assertEqual(blank, [])
            count = self.page.ask("document.querySelectorAll('canvas').length")
            self.assertEqual(count == 0, name == "nothing")

    def test_draws_them_in_the_colours_of_the_theme(self):
        def dot():
            return self.page.ask("getComputedStyle(document.querySelector('.verdict h1')).color")
        self.open("failing")
        light = dot()
        self.open("failing", dark=True)
        self.assertNotEqual(light, dot())
        self.assertEqual(self.page.console, [])

    def test_names_every_chart_for_those_who_cannot_see_it(self):
        for _ in self.each():
            self.assertEqual(self.page.ask(
                "[...document.querySelectorAll('canvas')].filter(c => !c.ariaLabel || c.role !== 'img').length"), 0)

    def test_fits_a_narrow_screen(self):
        for _ in self.each(width=380):
            self.assertLessEqual(self.page.ask("document.documentElement.scrollWidth"), 380)

    def test_keeps_text_readable(self):
        """WCAG 2.2, 1.4.3: contrast of 4.5 between text and what lies behind it, in both themes."""
        for dark in (False, True):
            for _ in self.each(dark=dark):
                self.assertEqual(self.page.ask(CONTRAST), [])

    def test_unfolds_what_a_link_leads_to(self):
        self.open("failing")
        self.page.ask("document.querySelector('a.record').click()")
        self.page.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        self.assertTrue(self.page.ask("document.querySelector(':target').closest('details').open"))

    def test_filters_the_checks(self):
        self.open("failing")
        self.page.ask("""(() => { const input = document.getElementById("filter");
            input.value = "softmax failed"; input.dispatchEvent(new Event("input")); })()""")
        self.assertEqual(self.page.ask(
            "[...document.querySelectorAll('#check-rows > tr')].filter(row => !row.hidden).length"), 1)

    def test_prints(self):
        self.open("failing")
        path = os.path.join(self.folder.name, "failing.pdf")
        self.page.pdf(path)
        with open(path, "rb") as file:
            self.assertTrue(file.read().startswith(b"%PDF"))
        self.assertEqual(self.page.console, [])

    def test_shows_the_tables_where_charts_cannot_be_drawn(self):
        folder = os.path.join(self.folder.name, "plain")
        os.mkdir(folder)
        empty = os.path.join(folder, "chart.js")
        open(empty, "w").close()
        subprocess.run([os.environ["ASCERTAIN_REPORT_SAMPLE"], empty, folder], check=True)
        self.page.open(os.path.join(folder, "failing.html"))
        self.assertEqual(self.page.console, [])
        self.assertTrue(self.page.ask(
            "[...document.querySelectorAll('figure.chart')].every(f => f.querySelector('details').open)"))


class Documents(unittest.TestCase):
    def test_junit_is_xml_that_counts_what_it_holds(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([os.environ["ASCERTAIN_REPORT_SAMPLE"], os.devnull, folder], check=True)
            for name in NAMES:
                root = xml.etree.ElementTree.parse(os.path.join(folder, name + ".xml")).getroot()
                for suite in root:
                    cases = suite.findall("testcase")
                    self.assertEqual(int(suite.get("tests")), len(cases))
                    for kind, counter in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
                        self.assertEqual(int(suite.get(counter)), sum(c.find(kind) is not None for c in cases))
                # None of the samples is qualified, so none of them may look like a pass.
                self.assertGreater(sum(int(s.get("failures")) + int(s.get("errors")) for s in root), 0)


# Texts whose contrast is too low, at most ten.
CONTRAST = """(() => {
  const numbers = colour => colour.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const element of document.querySelectorAll("main *, footer *")) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || element.tagName === "SCRIPT" || element.getClientRects().length === 0) continue;
    const [a, b] = [light(numbers(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    const contrast = (a + .05) / (b + .05);
    if (contrast < 4.5 && bad.length < 10) bad.push(`${element.textContent.slice(0, 40)}: ${contrast.toFixed(2)}`);
  }
  return bad;
})()"""

if __name__ == "__main__":
    unittest.main()
