// Draws the charts and helps a reader move about. The page is complete without it: every chart has
// its table, every row is there.
"use strict";
(() => {
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const lineColours = ["device", "reference", "third", "none"];
  const short = value => {
    if (value === 0) return "0";
    const size = Math.abs(value);
    return size >= 1e4 || size < 1e-3 ? value.toExponential(0).replace("e+", "e") : String(+value.toPrecision(3));
  };

  // Axes and text that every chart shares.
  const base = () => ({
    animation: false, responsive: true, maintainAspectRatio: false,
    color: colour("quiet"), layout: { padding: { right: 12 } },
    plugins: { legend: { display: false } },
  });
  const axis = (label, extra) => ({
    title: { display: Boolean(label), text: label, color: colour("quiet") },
    ticks: { color: colour("quiet"), maxRotation: 0, ...(extra && extra.ticks) },
    grid: { color: colour("line"), drawBorder: false, ...(extra && extra.grid) },
    ...Object.fromEntries(Object.entries(extra || {}).filter(([key]) => key !== "ticks" && key !== "grid")),
  });
  // Round numbers between the ends of a logarithmic axis: decades when there are several of them.
  const roundNumbers = (min, max) => {
    const wide = max / min > 60;
    const numbers = [];
    for (let decade = Math.floor(Math.log10(min)); 10 ** decade <= max; ++decade) {
      for (const digit of wide ? [1] : [1, 2, 5]) {
        const value = Number(`${digit}e${decade}`);
        if (value >= min * .999 && value <= max * 1.001) numbers.push({ value });
      }
    }
    const step = Math.ceil(numbers.length / 5);
    return numbers.filter((_, i) => i % step === 0);
  };
  const logarithmic = (label, extra) => axis(label, {
    type: "logarithmic", afterBuildTicks: scale => { scale.ticks = roundNumbers(scale.min, scale.max); },
    ...extra, ticks: { callback: short, autoSkip: false } });

  // Runs over steps. A value that is not finite is a gap in the line.
  function lines(drawing) {
    return {
      type: "line",
      data: {
        datasets: drawing.series.map((series, i) => ({
          label: series.name, data: series.points, borderColor: colour(lineColours[i % 4]),
          backgroundColor: colour(lineColours[i % 4]), borderWidth: 1.5, pointRadius: 0, pointHitRadius: 6,
          borderDash: i === 1 ? [5, 3] : [], spanGaps: false,
        })),
      },
      options: {
        ...base(), parsing: false, normalized: true, interaction: { mode: "nearest", axis: "x", intersect: false },
        plugins: { legend: { display: drawing.series.length > 1, align: "end",
                             labels: { color: colour("ink"), boxWidth: 22, boxHeight: 0 } } },
        scales: { x: axis(drawing.x_label, { type: "linear", ticks: { maxTicksLimit: 7 }, grid: { display: false } }),
                  y: axis(drawing.y_label, { ticks: { maxTicksLimit: 6, callback: short } }) },
      },
    };
  }

  // One row per name: a dot for the value, a thin line for its interval, a tick for its bound, a bar
  // for the band it should lie in.
  const marks = {
    id: "marks",
    beforeDatasetsDraw(chart) {
      const { ctx, scales: { x, y } } = chart;
      const floor = x.min;
      const at = value => x.getPixelForValue(Math.max(value, floor));
      chart.options.rows.forEach((row, i) => {
        const middle = y.getPixelForValue(i);
        if (row.band_low != null && row.band_high != null) {
          ctx.fillStyle = colour("line");
          ctx.fillRect(at(row.band_low), middle - 6, Math.max(2, at(row.band_high) - at(row.band_low)), 12);
        }
        if (row.low != null && row.high != null) {
          ctx.fillStyle = colour("quiet");
          ctx.fillRect(at(row.low), middle - .75, Math.max(1, at(row.high) - at(row.low)), 1.5);
        }
        for (const bound of [row.at_most, row.at_least]) {
          if (bound == null || bound <= 0) continue;
          ctx.fillStyle = colour("ink");
          ctx.fillRect(at(bound) - 1, middle - 8, 2, 16);
        }
      });
    },
  };
  const shapes = { good: "circle", open: "triangle", bad: "rect", none: "circle" };
  function dots(drawing) {
    const rows = drawing.rows;
    const known = rows.flatMap(row => [row.value, row.low, row.high, row.at_most, row.at_least, row.band_low, row.band_high])
      .filter(value => value != null && value > 0);
    const min = Math.min(...known, 1e300) / 1.6, max = Math.max(...known, min * 4) * 1.6;
    return {
      type: "scatter",
      data: {
        datasets: [{
          data: rows.map((row, i) => ({ x: row.value > min ? row.value : min, y: i })),
          pointBackgroundColor: rows.map(row => row.value > 0 ? colour(row.tone) : colour("paper")),
          pointBorderColor: rows.map(row => colour(row.tone)),
          pointStyle: rows.map(row => shapes[row.tone]), pointRadius: 4.5, pointHoverRadius: 6, borderWidth: 1.5,
        }],
      },
      options: {
        ...base(), rows,
        plugins: { legend: { display: false }, tooltip: { callbacks: {
          label: item => `${rows[item.dataIndex].label}: ${rows[item.dataIndex].value} ${drawing.unit}` } } },
        scales: {
          x: logarithmic(drawing.x_label, { min, max }),
          y: axis("", { min: -.7, max: rows.length - .3, reverse: true, grid: { display: false },
                        afterBuildTicks: scale => { scale.ticks = rows.map((row, value) => ({ value })); },
                        ticks: { autoSkip: false, color: colour("ink"),
                                 callback: value => { const name = rows[value] ? rows[value].label : ""; return name.length > 24 ? name.slice(0, 23) + "…" : name; } } }),
        },
      },
      plugins: [marks],
    };
  }

  function histogram(drawing) {
    return {
      type: "bar",
      data: { labels: drawing.labels, datasets: [{
        data: drawing.counts, categoryPercentage: 1, barPercentage: .92,
        backgroundColor: drawing.beyond.map(beyond => colour(beyond ? "bad" : "device")) }] },
      options: { ...base(), scales: {
        x: axis(drawing.x_label, { ticks: { maxTicksLimit: 8 }, grid: { display: false } }),
        y: drawing.linear ? axis(drawing.y_label, { ticks: { maxTicksLimit: 6 } }) : logarithmic(drawing.y_label, { min: .8 }) } },
    };
  }

  const kinds = { lines, dots, histogram };
  const drawn = [];
  function draw() {
    drawn.splice(0).forEach(chart => chart.destroy());
    for (const source of document.querySelectorAll("script[data-chart]")) {
      const figure = source.closest("figure");
      if (typeof Chart === "undefined") {  // built without Chart.js: the tables speak
        figure.classList.add("undrawn");
        figure.querySelector("details").open = true;
        continue;
      }
      Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
      const drawing = JSON.parse(source.textContent);
      drawn.push(new Chart(document.getElementById(source.dataset.chart), kinds[drawing.kind](drawing)));
    }
  }

  // A link into a folded part unfolds it.
  function unfold() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
    const own = target.querySelector("details");
    if (own && target.tagName === "TR") own.open = true;
    target.scrollIntoView();
  }

  function filter() {
    const input = document.getElementById("filter");
    if (!input) return;
    const rows = [...document.querySelectorAll("#check-rows > tr")];
    input.closest("p").hidden = false;
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/);
      for (const row of rows) row.hidden = !words.every(word => row.dataset.find.toLowerCase().includes(word));
      document.getElementById("filter-count").textContent = `${rows.filter(row => !row.hidden).length} of ${rows.length}`;
    });
  }

  draw();
  unfold();
  filter();
  addEventListener("hashchange", unfold);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  // Paper is white: charts are drawn anew in the light colours.
  const print = on => { document.documentElement.classList.toggle("printing", on); draw(); };
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
})();
