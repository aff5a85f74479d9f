"use strict";
/* The page of trends. All text comes from the data and is only ever set as text. */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const MINUS = "\u2212";
  const STATES = {
    level: { words: "at the level" },
    accepted: { words: "was an alarm, accepted", shape: "diamond", color: "--accepted" },
    ended: { words: "alarm that ended by itself, counts", shape: "circle", color: "--ended" },
    open: { words: "alarm, open", shape: "triangle", color: "--worse" },
    excluded: { words: "alarm that stays out", shape: "cross", color: "--worse" },
    tainted: { words: "no measure", shape: "cross", color: "--out" },
  };
  const OF_ALL = ["p95", "p50", "mean", "p99", "failed requests", "failed checks", "requests/s", "CPU per request"];
  const OF_ENDPOINTS = ["p95", "p50", "mean", "p99", "failed requests"];
  // --- small things

  function make(tag, given, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(given || {})) {
      if (value == null) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child != null && child !== ""));
    return node;
  }
  const link = (text, address) =>
    address ? make("a", { href: address, rel: "noopener noreferrer" }, text) : document.createTextNode(text);
  const digits = (value, most) => value.toLocaleString("en", { maximumSignificantDigits: most });
  function format(value, unit, most = 3) {
    if (value == null) return "–";
    if (unit === "share") return `${digits(100 * value, most)}%`;
    if (unit === "/s") return `${digits(value, most)}/s`;
    if (value >= 1000) return `${digits(value / 1000, most)} s`;
    return value > 0 && value < 1 ? `${digits(1000 * value, most)} µs` : `${digits(value, most)} ms`;
  }
  function change(value, unit) {
    const much = Math.abs(100 * value);
    const sign = value < 0 ? MINUS : "+";
    if (unit === "share") return `${sign}${digits(much, 2)} points`;
    return value >= 9 ? `${digits(value + 1, 2)} times` : `${sign}${much < 10 ? much.toFixed(1) : much.toFixed(0)}%`;
  }
  const when = (second) => new Date(second * 1e3).toISOString().slice(0, 16).replace("T", " ");
  const day = (second) => new Date(second * 1e3).toISOString().slice(0, 10);
  const count = (number, what) => `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;

  function stateOf(run) {
    const words = STATES[run.state].words.replace("alarm", run.alarm ? `alarm (${run.alarm})` : "alarm");
    return run.why ? `${words}: ${run.why}` : words;
  }
  function shownAs(run) {
    const { shape, color } = STATES[run.state];
    return { shape, color: run.state === "open" && run.alarm === "better" ? "--better" : color };
  }
  function nameOf(run) {
    return run.commit ? [make("code", {}, link(run.commit, run.commitLink))] : [`run ${run.id}`];
  }

  // --- what the gate found

  function findings(kind) {
    const items = [];
    const say = (look, ...parts) => items.push(make("li", { class: look }, ...parts));
    const open = kind.runs.filter((run) => run.state === "open");
    if (open.length) {
      const latest = open[open.length - 1];
      const start = kind.moved == null ? null : kind.runs[kind.moved];
      say(latest.alarm, `${count(open.length, "open alarm")}: `,
        kind.shifted ? `the level has become ${latest.alarm}` : `${latest.alarm} than the level, or chance: the next runs decide`,
        ...(start ? ["; it most likely moved at ", ...nameOf(start), ` on ${day(start.at)}`] : []),
        ...(kind.shifted && latest.alarm === "worse" ? [". If it is meant: ciload accept."] : ["."]));
    }
    for (const drift of kind.drifts) {
      say("drift", `Slow drift: ${drift.metric} of the last ${count(drift.last.length, "run")} is ` +
        `${change(drift.change)} from the first ${drift.first.length} of this level ` +
        `(${format(drift.from, "ms")} → ${format(drift.to, "ms")}), little by little over ${drift.runs} runs.`);
    }
    for (const level of kind.levels.slice(1).reverse()) {
      const first = kind.runs[level.first];
      const where = [`Level ${level.number}, from `, ...nameOf(first), ` on ${day(first.at)}`];
      const moved = ["p50", "p95"].map((metric) => shift(kind, metric, level)).filter(Boolean).join(", ");
      const how = level.byItself ? "began by itself, as runs were better"
        : level.by ? `accepted by ${level.by}: ${level.reason}` : "accepted";
      say(level.byItself ? "better" : "accepted", ...where, moved ? ` (${moved}): ` : ": ", how);
    }
    const nothing = kind.levels.length ? "No open alarm, no drift, one level." : "No run is a measure yet.";
    return items.length ? items : [make("li", {}, nothing)];
  }
  function shift(kind, metric, level) {
    const series = kind.series.find((each) => each.endpoint === "" && each.metric === metric);
    const [before, after] = series ? [series.means[level.number - 2], series.means[level.number - 1]] : [];
    return before && after ? `${metric} ${format(before, "ms")} → ${format(after, "ms")}, ${change(after / before - 1)}` : "";
  }

  // --- charts

  function spec(kind, series, byTime) {
    const segments = kind.levels.map((level, number) => ({
      from: level.first, to: level.last, value: series.means[number], color: "--mean", width: 1.5, dash: [6, 4],
    })).filter((each) => each.value != null);
    for (const drift of kind.drifts) {
      if (series.endpoint !== "" || drift.metric !== series.metric) continue;
      for (const [value, where] of [[drift.from, drift.first], [drift.to, drift.last]]) {
        if (!where.length) continue;
        segments.push({ from: where[0], to: where[where.length - 1], value, color: "--drift", width: 4, dash: [] });
      }
    }
    // The newest first: where there is no room for all labels, its is there.
    const borders = kind.levels.slice(1).reverse().map((level) => ({
      at: level.first, label: `level ${level.number}`, color: level.byItself ? "--better" : "--accepted", dash: [],
    }));
    if (kind.moved != null) borders.unshift({ at: kind.moved, label: "moved here?", color: "--worse", dash: [4, 3] });
    const marks = kind.runs.flatMap((run, at) => (shownAs(run).shape ? [{ at, ...shownAs(run) }] : []));
    return {
      x: kind.runs.map((run, at) => (byTime ? run.at : at)), byTime,
      values: series.values, segments, marks, borders,
      tick: (at) => (kind.runs[at] ? day(kind.runs[at].at) : ""),
      format: (value) => format(value, series.unit),
      tip: (at) => tip(kind, series, at),
      label: `${titleOf(series)}: ${sentence(series)}. Arrow keys go from run to run; the table below has all values.`,
    };
  }
  function tip(kind, series, at) {
    const run = kind.runs[at];
    const mean = run.level ? series.means[run.level - 1] : null;
    const value = series.values[at];
    const against = mean && series.unit !== "share" ? ` (level ${format(mean, series.unit)}, ${change(value / mean - 1)})` : "";
    return [
      make("p", {}, make("strong", {}, format(value, series.unit, 4)), against),
      make("p", {}, ...nameOf(run), run.branch ? ` on ${run.branch}` : ""),
      make("p", {}, `${when(run.at)} UTC`, run.link ? " · " : "", run.link ? link("CI run", run.link) : ""),
      make("p", {}, `${stateOf(run)}${run.level ? `, level ${run.level}` : ""}`),
    ];
  }
  const titleOf = (series) => (series.endpoint ? `${series.endpoint}, ${series.metric}` : `${series.metric} of all requests`);
  /* Of the newest run against those that the gate compares it with: relative, of shares a difference. */
  function changeOf(series) {
    const now = newest(series);
    if (now == null || series.old == null || (series.unit !== "share" && !series.old)) return null;
    return series.unit === "share" ? now - series.old : now / series.old - 1;
  }
  const newest = (series) => series.values[series.values.length - 1];
  function sentence(series) {
    const now = newest(series) == null ? "not in the newest run" : format(newest(series), series.unit);
    const by = changeOf(series);
    return by == null ? now : `${now}, ${change(by, series.unit)} against the level`;
  }
  function nowOf(series) {
    if (newest(series) == null) return make("span", { class: "now muted" }, "not in the newest run");
    const node = make("span", { class: "now" }, format(newest(series), series.unit));
    const by = changeOf(series);
    if (by != null) {
      const much = Math.abs(by) >= (series.unit === "share" ? 0.01 : 0.1);
      const look = much ? (by * series.worse > 0 ? "worse" : "better") : "";
      node.append(" ", make("span", { class: look }, `${much ? (by > 0 ? "▲ " : "▼ ") : ""}${change(by, series.unit)}`));
      node.title = "the newest run, against the runs that the gate compares it with";
    }
    return node;
  }

  function card(kind, series, byTime, title) {
    const chart = make("div", { class: "chart" });
    const table = make("details", {
      ontoggle: () => {
        if (table.open && table.children.length === 1) table.append(valuesTable(kind, series));
      },
    }, make("summary", {}, "Table"));
    const figure = make("figure", { "data-name": series.endpoint },
      make("figcaption", {}, make("h3", {}, title), nowOf(series)), chart, table);
    plans.set(chart, () => ciloadCharts.draw(chart, spec(kind, series, byTime)));
    seen.observe(chart);
    return figure;
  }
  /* Charts are drawn when they come into view: there may be hundreds. */
  const plans = new Map();
  const removers = new Map();
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting || !plans.has(target)) continue;
      seen.unobserve(target);
      removers.set(target, plans.get(target)());
      plans.delete(target);
    }
  }, { rootMargin: "400px" });
  function replaceCards(place, cards) {
    for (const chart of place.querySelectorAll(".chart")) {
      seen.unobserve(chart);
      plans.delete(chart);
      removers.get(chart)?.();
      removers.delete(chart);
    }
    place.replaceChildren(...cards());
  }

  // --- tables

  function table(caption, heads, rows) {
    return make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
      make("table", {},
        make("thead", {}, make("tr", {}, ...heads.map(([text, look]) => make("th", { scope: "col", class: look }, text)))),
        make("tbody", {}, ...rows.map((cells) => make("tr", {},
          ...cells.map((cell, at) => make("td", { class: heads[at][1] }, ...[cell].flat())))))));
  }
  function valuesTable(kind, series) {
    const rows = kind.runs.map((run, at) => [
      when(run.at), nameOf(run), format(series.values[at], series.unit, 4), run.level || "–", stateOf(run),
    ]);
    const heads = [["when (UTC)"], ["commit"], [series.metric, "number"], ["level", "number"], ["state", "long"]];
    return table(titleOf(series), heads, rows.filter((_, at) => series.values[at] != null).reverse());
  }
  function runsTable(kind) {
    const of = (metric) => kind.series.find((each) => each.endpoint === "" && each.metric === metric);
    const metrics = ["p50", "p95", "failed requests"].map(of).filter(Boolean);
    const heads = [["when (UTC)"], ["commit"], ["branch"], ["CI"], ...metrics.map((each) => [each.metric, "number"]),
      ["level", "number"], ["state", "long"]];
    const rows = kind.runs.map((run, at) => [
      when(run.at), nameOf(run), run.branch || "–", run.link ? link("run", run.link) : "–",
      ...metrics.map((each) => format(each.values[at], each.unit, 4)), run.level || "–", stateOf(run),
    ]);
    return table("runs", heads, rows.reverse());
  }

  // --- the page

  function select(label, options, changed) {
    const node = make("select", { onchange: changed }, ...options.map(([value, text]) => make("option", { value }, text)));
    return [make("label", {}, label, node), node];
  }
  function legend() {
    const item = (icon, text) => make("li", {}, icon, text);
    return make("ul", { class: "legend", "aria-label": "marks" },
      ...Object.values(STATES).filter((each) => each.shape)
        .map((each) => item(ciloadCharts.markIcon(each.shape, each.color), each.words)),
      item(make("span", { class: "rule mean" }), "mean of the level"),
      item(make("span", { class: "rule drift" }), "slow drift: first and last runs of the level"));
  }
  function worst(kind, name, metric) {
    const rank = (each) => (changeOf(each) == null ? -Infinity : changeOf(each) * each.worse);
    const mine = kind.series.filter((each) => each.endpoint === name);
    const chosen = mine.find((each) => each.metric === metric && changeOf(each) != null);
    return chosen ? rank(chosen) : Math.max(-Infinity, ...mine.filter((each) => each.unit === "ms").map(rank));
  }

  function main() {
    const body = document.body;
    body.append(make("header", {}, make("h1", {}, data.title)));
    if (!data.kinds.length) { body.append(make("p", {}, "The baseline holds no runs.")); return; }
    const options = data.kinds.map((kind, at) =>
      [at, [kind.name, ...kind.facts.map(([name, value]) => (["load", "ciload"].includes(name) ? `${name} ${value}` : value)), count(kind.runs.length, "run")].join(" · ")]);
    const [kindLabel, kindSelect] = select("Runs of the same script, target, load and machine", options, showKind);
    kindLabel.hidden = data.kinds.length === 1;
    const facts = make("p", { class: "muted" });
    const found = make("ul", { class: "findings" });
    const all = make("div", { class: "grid" });
    const cards = make("div", { class: "grid", id: "endpoints" });
    const runs = make("details", {}, make("summary", {}, "All runs, as a table"));
    const [axisLabel, axisSelect] = select("Along the axis", [["run", "runs in order"], ["time", "time"]], drawAll);
    const [metricLabel, metricSelect] = select("Metric", [], drawEndpoints);
    const [orderLabel, orderSelect] = select("Order", [["worst", "worst first"], ["name", "by name"]], drawEndpoints);
    const filter = make("input", { type: "search", placeholder: "such as /users", oninput: applyFilter });
    const shown = make("span", { class: "muted", role: "status" });
    const endpointPart = make("section", { "aria-labelledby": "of-endpoints" },
      make("h2", { id: "of-endpoints" }, "Endpoints"),
      make("div", { class: "controls bar" }, make("label", {}, "Filter", filter), metricLabel, orderLabel, shown), cards);
    body.append(
      make("div", { class: "controls" }, kindLabel, axisLabel), facts,
      make("main", {},
        make("section", { "aria-labelledby": "found" }, make("h2", { id: "found" }, "What the gate found"), found),
        make("section", { "aria-labelledby": "of-all" }, make("h2", { id: "of-all" }, "All requests"), legend(), all),
        endpointPart,
        make("section", { "aria-labelledby": "all-runs" }, make("h2", { id: "all-runs" }, "Runs"), runs)),
      make("footer", {}, make("p", { class: "muted" }, `Made ${data.made}. Drag in a chart to look closer, click twice to see all again, click to keep a tip.`)));
    const kind = () => data.kinds[kindSelect.value];
    const byTime = () => axisSelect.value === "time";

    function showKind() {
      const { runs: each, facts: known } = kind();
      facts.textContent = [count(each.length, "run"), `${day(each[0].at)} to ${day(each[each.length - 1].at)}`,
        ...known.map(([name, value]) => `${name} ${value}`)].join(" · ");
      found.replaceChildren(...findings(kind()));
      runs.replaceChildren(runs.firstChild);
      if (runs.open) runs.append(runsTable(kind()));
      const metrics = OF_ENDPOINTS.filter((metric) => kind().series.some((one) => one.endpoint && one.metric === metric));
      metricSelect.replaceChildren(...metrics.map((metric) => make("option", { value: metric }, metric)));
      endpointPart.hidden = !metrics.length;
      drawAll();
    }
    function drawAll() {
      const total = kind().series.filter((each) => each.endpoint === "");
      const order = (each) => OF_ALL.indexOf(each.metric);
      replaceCards(all, () => total.filter((each) => order(each) >= 0).sort((a, b) => order(a) - order(b))
        .map((each) => card(kind(), each, byTime(), each.metric)));
      drawEndpoints();
    }
    function drawEndpoints() {
      const metric = metricSelect.value;
      const mine = kind().series.filter((each) => each.endpoint && each.metric === metric);
      const ranks = new Map(mine.map((each) => [each, worst(kind(), each.endpoint, metric)]));
      if (orderSelect.value === "worst") mine.sort((a, b) => ranks.get(b) - ranks.get(a) || 0);
      replaceCards(cards, () => mine.map((each) => card(kind(), each, byTime(), each.endpoint)));
      applyFilter();
    }
    function applyFilter() {
      const wanted = filter.value.trim().toLowerCase();
      const figures = [...cards.children];
      for (const each of figures) each.hidden = !each.dataset.name.toLowerCase().includes(wanted);
      shown.textContent = `${figures.filter((each) => !each.hidden).length} of ${count(figures.length, "endpoint")}`;
    }
    runs.addEventListener("toggle", () => {
      if (runs.open && runs.children.length === 1) runs.append(runsTable(kind()));
    });
    showKind();
  }
  main();
})();
