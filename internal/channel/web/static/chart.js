// Charts as SVG. They are drawn here, and not by a library, because those found
// paint on a canvas, which a screen reader, forced colours and a change from
// light to dark do not reach; lines and bars are all that is needed, and SVG
// takes its colours from the style sheet, which the page's policy allows.

import { el, svg } from "./dom.js";
import { roundStep, scale, written, digits } from "./units.js";

const mostLines = 8, mostBars = 12, mostRows = 120;

// chart draws the data of a chart, to be read with eyes, mouse, keyboard or ears.
export function chart(data) {
  const head = el("figcaption", "block-head", el("span", "block-title", data.title || ""));
  const f = el("figure", "block chart", head);
  if (/^https?:\/\//.test(data.link || "")) {
    const a = el("a", "link", "Open the query");
    a.href = data.link;
    a.target = "_blank";
    a.rel = "noreferrer";
    head.append(a);
  }
  const series = (data.series || []).filter((s) => s.points?.length);
  if (!series.length) f.append(el("p", "quiet", "There are no points."));
  else if (data.kind === "bars") f.append(bars(data, series));
  else new Lines(data, series, f);
  return f;
}

// bars are a table with a bar in each row.
function bars(data, series) {
  const most = Math.max(...series.map((s) => Math.abs(s.points.at(-1).value)), Number.MIN_VALUE);
  const body = el("tbody");
  for (const s of series.slice(0, mostBars)) {
    const v = s.points.at(-1).value;
    const bar = svg("svg", { class: "bar-drawn", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { x: 0, y: 0, width: Math.max(0.5, (100 * Math.abs(v)) / most), height: 10 }));
    const name = el("th", "", s.name);
    name.scope = "row";
    body.append(el("tr", "", name, el("td", "bar-cell", bar), el("td", "number", written(s.unit || data.unit, v))));
  }
  const t = el("table", "bars", body);
  const left = series.length - mostBars;
  return left > 0 ? el("div", "", t, el("p", "quiet", `and ${left} more`)) : t;
}

const steps = [1, 5, 15, 30, 60, 300, 600, 900, 1800, 3600, 2 * 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 7 * 86400].map((s) => s * 1000);

// Lines is a chart over time, which is drawn anew when its room changes.
class Lines {
  constructor(data, series, figure) {
    const prepare = (s, earlier) => {
      const points = s.points.map((p) => ({ t: Date.parse(p.at), v: p.value })).filter((p) => !isNaN(p.t) && isFinite(p.v));
      return { name: s.name, earlier, points };
    };
    this.unit = data.unit;
    this.marks = (data.marks || []).map((m) => ({ from: Date.parse(m.at), to: m.until ? Date.parse(m.until) : NaN, label: m.label })).filter((m) => !isNaN(m.from));
    this.lines = [...series.slice(0, mostLines).map((s) => prepare(s, false)), ...(data.earlier || []).filter((s) => s.points?.length).slice(0, 3).map((s) => prepare(s, true))].filter((l) => l.points.length);
    const all = this.lines.flatMap((l) => l.points);
    const now = this.lines.filter((l) => !l.earlier).flatMap((l) => l.points);
    this.from = now.reduce((a, p) => Math.min(a, p.t), Infinity);
    this.to = now.reduce((a, p) => Math.max(a, p.t), -Infinity);
    if (this.to <= this.from) this.to = this.from + 60_000;
    this.top = all.reduce((a, p) => Math.max(a, p.v), 0);
    this.bottom = all.reduce((a, p) => Math.min(a, p.v), 0);
    if (this.top === this.bottom) this.top = this.bottom + 1;
    const [by, name] = scale(this.unit, this.top || this.bottom);
    this.by = by;
    this.unitName = name;
    const step = roundStep((this.top - this.bottom) * by, 4) / by;
    this.ticks = [];
    for (let v = Math.floor(this.bottom / step) * step; v < this.top + step * 0.999; v += step) this.ticks.push(v);
    this.top = this.ticks.at(-1);
    this.bottom = this.ticks[0];
    // The moments that the cursor stops at: those of the line with most points.
    this.moments = this.lines.reduce((a, l) => (!l.earlier && l.points.length > a.length ? l.points : a), []).map((p) => p.t);
    this.build(figure, data.title);
  }

  build(figure, title) {
    this.root = svg("svg", { class: "plot", tabindex: "0", role: "img" });
    this.root.setAttribute("aria-label", `${title || "Chart"}. ${this.summary()} Left and right arrows read single values.`);
    this.tip = el("div", "tip");
    this.tip.hidden = true;
    this.spoken = el("p", "sr");
    this.spoken.setAttribute("role", "status");
    const holder = el("div", "plot-box", this.root, this.tip);
    const legend = el("ul", "legend");
    this.lines.forEach((l, i) => legend.append(el("li", `key ${this.style(l, i)}`, svg("svg", { viewBox: "0 0 18 8", "aria-hidden": "true" }, svg("path", { d: "M0 4H18" })), l.name || "value")));
    figure.append(holder, this.spoken);
    if (this.lines.length > 1) figure.append(legend);
    if (this.marks.length) figure.append(el("ul", "marks", ...this.marks.slice(0, 8).map((m) => el("li", "", el("b", "", this.clock(m.from)), " ", m.label))));
    figure.append(this.table());
    new ResizeObserver(() => this.draw(holder.clientWidth)).observe(holder);
    this.root.addEventListener("pointermove", (e) => this.point(this.nearest(this.time(e.clientX - this.root.getBoundingClientRect().left))));
    this.root.addEventListener("pointerleave", () => this.point(-1));
    this.root.addEventListener("blur", () => this.point(-1));
    this.root.addEventListener("keydown", (e) => this.key(e));
  }

  key(e) {
    const last = this.moments.length - 1;
    const page = Math.max(1, Math.round(last / 10));
    const now = this.at >= 0 ? this.at : last + 1;
    const to = { ArrowLeft: now - 1, ArrowRight: now + 1, PageUp: now - page, PageDown: now + page, Home: 0, End: last, Escape: -1 }[e.key];
    if (to === undefined || (e.key === "Escape" && !(this.at >= 0))) return;
    e.preventDefault();
    e.stopPropagation();
    this.point(to < 0 && e.key !== "Escape" ? 0 : Math.min(last, to));
    this.spoken.textContent = this.at >= 0 ? `${this.clock(this.moments[this.at])}: ${this.values(this.moments[this.at]).map(({ line, v }) => `${line.name || "value"} ${written(this.unit, v)}`).join(", ")}` : "";
  }

  style(l, i) {
    return l.earlier ? "earlier e" + this.lines.filter((x) => x.earlier).indexOf(l) : "s" + i;
  }

  summary() {
    return this.lines.filter((l) => !l.earlier).slice(0, 4).map((l) => {
      const vs = l.points.map((p) => p.v);
      const min = vs.reduce((a, b) => Math.min(a, b)), max = vs.reduce((a, b) => Math.max(a, b));
      return `${l.name || "value"}: last ${written(this.unit, vs.at(-1))}, lowest ${written(this.unit, min)}, highest ${written(this.unit, max)}.`;
    }).join(" ");
  }

  clock(t) {
    const far = this.to - this.from > 36 * 3600_000;
    return new Date(t).toLocaleString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(far && { month: "short", day: "numeric" }), ...(this.to - this.from < 300_000 && { second: "2-digit" }) });
  }

  x(t) { return this.left + ((t - this.from) / (this.to - this.from)) * (this.width - this.left - 12); }
  y(v) { return 14 + (1 - (v - this.bottom) / (this.top - this.bottom)) * (this.height - 14 - 22); }
  time(x) { return this.from + ((x - this.left) / (this.width - this.left - 12)) * (this.to - this.from); }

  draw(width) {
    if (!width || width === this.width) return;
    this.width = width;
    this.height = width < 420 ? 190 : 230;
    const labels = this.ticks.map((v) => digits(v * this.by) + (this.unitName ? " " + this.unitName : ""));
    this.left = 12 + 6.6 * Math.max(...labels.map((l) => l.length));
    const r = this.root;
    r.replaceChildren();
    r.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
    r.setAttribute("width", width);
    r.setAttribute("height", this.height);
    this.ticks.forEach((v, i) => {
      r.append(svg("path", { class: "grid", d: `M${this.left} ${this.y(v)}H${width - 12}` }), svg("text", { class: "tick", x: this.left - 7, y: this.y(v) + 4, "text-anchor": "end" }, labels[i]));
    });
    const room = (width - this.left) / (this.to - this.from > 36 * 3600_000 ? 110 : 64);
    const step = steps.find((s) => (this.to - this.from) / s <= room) || steps.at(-1);
    const zone = new Date(this.from).getTimezoneOffset() * 60_000;
    for (let t = Math.ceil((this.from - zone) / step) * step + zone; t <= this.to; t += step) {
      const x = this.x(t);
      if (x > width - 30) break;
      r.append(svg("text", { class: "tick", x, y: this.height - 5, "text-anchor": "middle" }, this.clock(t)));
    }
    for (const m of this.marks) this.mark(m);
    [...this.lines.entries()].reverse().forEach(([i, l]) => r.append(svg("path", { class: "line " + this.style(l, i), d: this.path(l.points) })));
    this.cursor = svg("g", { class: "cursor" });
    r.append(this.cursor);
    if (this.at >= 0) this.point(this.at);
  }

  mark(m) {
    if (m.from > this.to || (isNaN(m.to) ? m.from : m.to) < this.from) return;
    const from = this.x(Math.max(m.from, this.from));
    if (!isNaN(m.to)) this.root.append(svg("rect", { class: "band", x: from, y: 14, width: Math.max(1, this.x(Math.min(m.to, this.to)) - from), height: this.height - 36 }));
    const right = from > this.width * 0.6;
    const label = m.label?.length > 34 ? m.label.slice(0, 33) + "…" : m.label || "";
    this.root.append(svg("path", { class: "mark", d: `M${from} 14V${this.height - 22}` }), svg("text", { class: "mark-label", x: from + (right ? -5 : 5), y: 11, "text-anchor": right ? "end" : "start" }, label));
  }

  // path draws a line; where points are missing there is a gap.
  path(points) {
    const apart = points.slice(1).map((p, i) => p.t - points[i].t).sort((a, b) => a - b);
    const most = 2.6 * (apart[Math.floor(apart.length / 2)] || Infinity);
    const inside = points.filter((p) => p.t >= this.from && p.t <= this.to);
    return inside.map((p, i) => `${i && p.t - inside[i - 1].t <= most ? "L" : "M"}${this.x(p.t).toFixed(1)} ${this.y(p.v).toFixed(1)}${inside.length === 1 ? "h1" : ""}`).join("");
  }

  nearest(t) {
    let best = -1;
    this.moments.forEach((m, i) => {
      if (best < 0 || Math.abs(m - t) < Math.abs(this.moments[best] - t)) best = i;
    });
    return best;
  }

  // values are what each line is at a moment.
  values(t) {
    const near = 1.5 * ((this.to - this.from) / Math.max(1, this.moments.length - 1));
    return this.lines.map((line, i) => {
      const p = line.points.reduce((a, b) => (!a || Math.abs(b.t - t) < Math.abs(a.t - t) ? b : a), null);
      return p && Math.abs(p.t - t) <= near ? { line, i, v: p.v } : null;
    }).filter(Boolean);
  }

  // point puts the cursor at a moment, or with -1 takes it away.
  point(i) {
    this.at = i;
    this.cursor.replaceChildren();
    this.tip.hidden = i < 0;
    if (i < 0) return;
    const t = this.moments[i], x = this.x(t);
    this.cursor.append(svg("path", { d: `M${x} 14V${this.height - 22}` }));
    this.tip.replaceChildren(el("b", "", this.clock(t)));
    for (const { line, i: n, v } of this.values(t)) {
      this.cursor.append(svg("circle", { class: this.style(line, n), cx: x, cy: this.y(v), r: 3.5 }));
      this.tip.append(el("span", "key " + this.style(line, n), svg("svg", { viewBox: "0 0 18 8", "aria-hidden": "true" }, svg("path", { d: "M0 4H18" })), el("span", "tip-name", line.name || "value"), el("span", "tip-value", written(this.unit, v))));
    }
    const right = x > this.width / 2;
    this.tip.style.left = right ? "auto" : x + 12 + "px";
    this.tip.style.right = right ? this.width - x + 12 + "px" : "auto";
  }

  // table is the same as numbers, thinned out where there are very many.
  table() {
    const d = el("details", "data", el("summary", "", "Data as a table"));
    d.addEventListener("toggle", () => {
      if (!d.open || d.childElementCount > 1) return;
      const head = el("tr", "", el("th", "", "Time"), ...this.lines.map((l) => el("th", "number", l.name || "value")));
      const body = el("tbody");
      const every = Math.ceil(this.moments.length / mostRows);
      for (const t of this.moments.filter((_, i) => i % every === 0).reverse()) {
        const at = this.values(t);
        const time = el("th", "", this.clock(t));
        time.scope = "row";
        body.append(el("tr", "", time, ...this.lines.map((l) => el("td", "number", at.find((a) => a.line === l) ? written(this.unit, at.find((a) => a.line === l).v) : "–"))));
      }
      for (const th of head.children) th.scope = "col";
      const box = el("div", "scroll", el("table", "", el("thead", "", head), body));
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", "Data of the chart");
      d.append(box);
    });
    return d;
  }
}
