"use strict";
/* Charts of values over runs or time, with marks, for every page that ciload writes. Needs uPlot; knows nothing of what is shown.

   ciloadCharts.draw(place, spec) draws into an element and answers a function that removes the chart again.
   spec: x           numbers, ascending
         byTime      whether they are seconds since 1970, in UTC
         tick(i)     what the axis says at the value with this number, unless byTime
         values      a number for each, null for none
         segments    [{from, to, value, color, width, dash}], level lines between two numbers of values
         marks       [{at, shape, color}], at numbers of values
         borders     [{at, label, color, dash}], upright lines
         format(v)   a value in words
         tip(i)      the content of the tip, as nodes
         label       what the chart shows, for who does not see it
   Colors are names of custom properties of the page, so that they follow its theme. */
const ciloadCharts = (() => {
  const DPR = () => window.devicePixelRatio || 1;
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const SHAPES = {
    triangle: (c, x, y, r) => polygon(c, [[x, y - r], [x + r, y + r * 0.8], [x - r, y + r * 0.8]]),
    diamond: (c, x, y, r) => polygon(c, [[x, y - r], [x + r, y], [x, y + r], [x - r, y]]),
    circle: (c, x, y, r) => { c.beginPath(); c.arc(x, y, r * 0.8, 0, 2 * Math.PI); },
    cross: (c, x, y, r) => {
      c.beginPath();
      for (const side of [-1, 1]) { c.moveTo(x - r, y - side * r); c.lineTo(x + r, y + side * r); }
    },
  };
  const FILLED = new Set(["triangle", "diamond"]);

  function polygon(c, points) {
    c.beginPath();
    points.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y)));
    c.closePath();
  }

  /* Also used for legends: one mark on a canvas of its own. */
  function mark(c, shape, x, y, r, name) {
    SHAPES[shape](c, x, y, r);
    c.lineWidth = r / 2.5;
    c.strokeStyle = c.fillStyle = color(name);
    if (FILLED.has(shape)) c.fill();
    c.stroke();
  }

  function markIcon(shape, name) {
    const icon = document.createElement("canvas");
    icon.width = icon.height = 16 * DPR();
    icon.className = "icon";
    icon.setAttribute("aria-hidden", "true");
    mark(icon.getContext("2d"), shape, 8 * DPR(), 8 * DPR(), 5 * DPR(), name);
    return icon;
  }

  function overlays(u, spec) {
    const { ctx, bbox } = u;
    const isShown = (x) => x >= u.scales.x.min && x <= u.scales.x.max;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, 0, bbox.width, bbox.top + bbox.height + 6 * DPR()); // with room for marks at 0
    ctx.clip();
    ctx.textAlign = "left";
    const taken = []; // by labels, from left to right
    for (const each of spec.borders) {
      if (!isShown(spec.x[each.at])) continue;
      const x = u.valToPos(spec.x[each.at], "x", true);
      ctx.strokeStyle = ctx.fillStyle = color(each.color);
      ctx.lineWidth = DPR() * 1.5;
      ctx.setLineDash(each.dash.map((part) => part * DPR()));
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.setLineDash([]);
      ctx.font = `${11 * DPR()}px system-ui, sans-serif`;
      const width = ctx.measureText(each.label).width;
      const start = Math.min(x, bbox.left + bbox.width - width);
      if (taken.some(([from, to]) => start < to + 4 * DPR() && start + width > from - 4 * DPR())) continue;
      taken.push([start, start + width]);
      ctx.fillText(each.label, start, bbox.top - 4 * DPR());
    }
    for (const each of spec.segments) {
      const y = u.valToPos(each.value, "y", true);
      ctx.strokeStyle = color(each.color);
      ctx.lineWidth = each.width * DPR();
      ctx.setLineDash(each.dash.map((part) => part * DPR()));
      ctx.beginPath();
      ctx.moveTo(u.valToPos(spec.x[each.from], "x", true) - 3 * DPR(), y);
      ctx.lineTo(u.valToPos(spec.x[each.to], "x", true) + 3 * DPR(), y);
      ctx.stroke();
    }
    ctx.setLineDash([]);
    for (const each of spec.marks) {
      if (spec.values[each.at] == null || !isShown(spec.x[each.at])) continue;
      const [x, y] = [u.valToPos(spec.x[each.at], "x", true), u.valToPos(spec.values[each.at], "y", true)];
      mark(ctx, each.shape, x, y, 5 * DPR(), each.color);
    }
    ctx.restore();
  }

  /* With the hour where ticks are less than a day apart. */
  function moment(second, by) {
    const text = new Date(second * 1e3).toISOString();
    return by < 86400 ? text.slice(5, 16).replace("T", " ") : text.slice(0, 10);
  }

  function axes(spec) {
    const common = {
      stroke: () => color("--muted"), font: "11px system-ui, sans-serif",
      grid: { stroke: () => color("--grid"), width: 1 }, ticks: { stroke: () => color("--grid"), width: 1, size: 4 },
    };
    const byRun = { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000], values: (u, at) => at.map(spec.tick) };
    const byTime = { values: (u, at, axis, space, by) => at.map((second) => moment(second, by)) };
    return [
      { ...common, space: 90, size: 26, ...(spec.byTime ? byTime : byRun) },
      { ...common, space: 28, size: 62, values: (u, at) => at.map(spec.format) },
    ];
  }

  /* Lines between neighbours, or only points where there are so many that lines would fill the chart. */
  function look(spec, width) {
    const dense = spec.values.length > width / 3;
    return {
      stroke: () => color("--line"), width: 1.5, spanGaps: true, ...(dense ? { paths: () => null } : {}),
      points: { show: dense || undefined, size: dense ? 3 : 5, width: 0, fill: () => color("--line") },
    };
  }

  /* As wide as the values and a little more, so that marks at the ends are whole. */
  function widened(u, low, high) {
    const more = low === high ? 1 : (high - low) / 60;
    return [low - more, high + more];
  }

  function draw(place, spec) {
    const tip = document.createElement("div");
    tip.className = "tip";
    tip.setAttribute("role", "status");
    tip.hidden = true;
    place.tabIndex = 0;
    place.setAttribute("role", "group");
    place.setAttribute("aria-label", spec.label);
    let pinned = false;
    let pressed = 0; // where the mouse was, along the axis
    let at = null;

    function tell(u) {
      if (pinned) return;
      at = u.cursor.idx;
      if (at == null || spec.values[at] == null) { tip.hidden = true; return; }
      tip.replaceChildren(...spec.tip(at));
      tip.hidden = false;
      const x = u.valToPos(spec.x[at], "x") + u.over.offsetLeft;
      const right = x > u.width / 2;
      tip.style.left = right ? "" : `${x + 12}px`;
      tip.style.right = right ? `${u.width - x + 12}px` : "";
    }

    const options = {
      width: Math.max(200, place.clientWidth), height: Math.max(120, place.clientHeight),
      padding: [18, 8, 0, 0],
      tzDate: (second) => uPlot.tzDate(new Date(second * 1e3), "UTC"),
      scales: {
        x: { time: spec.byTime, range: widened },
        y: { range: (u, low, high) => [0, high > 0 ? high * 1.1 : 1] },
      },
      axes: axes(spec),
      series: [{}, look(spec, place.clientWidth)],
      cursor: { y: false, drag: { x: true, y: false } },
      legend: { show: false },
      hooks: { draw: [(u) => overlays(u, spec)], setCursor: [tell] },
    };
    const chart = new uPlot(options, [spec.x, spec.values], place);
    chart.root.append(tip);

    function step(event) {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (event.key === "Escape") { unpin(); tip.hidden = true; return; }
      if (!by || event.target !== place) return;
      event.preventDefault();
      unpin();
      const { values } = spec;
      let next = at == null ? (by > 0 ? -1 : values.length) : at;
      do next += by; while (next >= 0 && next < values.length && values[next] == null);
      if (next < 0 || next >= values.length) return;
      chart.setCursor({ left: chart.valToPos(spec.x[next], "x"), top: 10 });
    }
    function unpin() {
      pinned = false;
      tip.classList.remove("pinned");
    }
    function pin(event) {
      const dragged = Math.abs(event.clientX - pressed) > 4;
      if (dragged || event.target.closest(".tip")) return;
      pinned = !pinned && !tip.hidden;
      tip.classList.toggle("pinned", pinned);
      if (!pinned) tell(chart);
    }
    const press = (event) => { pressed = event.clientX; };
    const leave = () => { if (!pinned) tip.hidden = true; };
    const listeners = { keydown: step, mousedown: press, click: pin, mouseleave: leave };
    for (const [name, what] of Object.entries(listeners)) place.addEventListener(name, what);
    const resized = new ResizeObserver(() => {
      if (place.clientWidth && place.clientWidth !== chart.width) {
        chart.setSize({ width: place.clientWidth, height: chart.height });
      }
    });
    resized.observe(place);
    const theme = matchMedia("(prefers-color-scheme: dark)");
    const redraw = () => chart.redraw(false);
    theme.addEventListener("change", redraw);
    return () => {
      resized.disconnect();
      theme.removeEventListener("change", redraw);
      for (const [name, what] of Object.entries(listeners)) place.removeEventListener(name, what);
      chart.destroy();
    };
  }

  return { draw, markIcon };
})();
