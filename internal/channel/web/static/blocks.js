// What stands beside the words of an answer: tables, diffs, logs.

import { chart } from "./chart.js";
import { copyButton, el } from "./dom.js";

// block draws one; what it does not know it shows as text.
export function block(b) {
  switch (b.type) {
    case "table": return table(b);
    case "diff": return diff(b.text, b.title);
    case "log": return log(b);
    case "chart": if (b.chart) return chart(b.chart);
  }
  return framed(b.title, "text", () => b.text || "", el("pre", "", b.text || ""));
}

// framed is a block with its title and a button that copies it.
function framed(title, what, text, content) {
  const head = el("figcaption", "block-head", el("span", "block-title", title || ""), copyButton(what, text));
  const f = el("figure", "block " + what, head, content);
  return f;
}

// scroller lets wide things scroll, with the keyboard too.
function scroller(label, content) {
  const s = el("div", "scroll", content);
  s.tabIndex = 0;
  s.setAttribute("role", "region");
  s.setAttribute("aria-label", label);
  return s;
}

// diff is a unified diff: what goes and what comes is told by sign, element and colour.
export function diff(text = "", title = "") {
  const pre = el("pre", "lines");
  let plus = 0, minus = 0;
  for (const line of text.replace(/\n$/, "").split("\n")) {
    if (/^(\+\+\+|---) /.test(line)) pre.append(el("span", "file", line));
    else if (line.startsWith("@@")) pre.append(el("span", "hunk", line));
    else if (line.startsWith("+")) {
      plus++;
      pre.append(el("ins", "", line));
    } else if (line.startsWith("-")) {
      minus++;
      pre.append(el("del", "", line));
    } else pre.append(el("span", "", line || " "));
  }
  const counts = el("span", "counts", el("span", "plus", "+" + plus), " ", el("span", "minus", "−" + minus));
  counts.setAttribute("aria-label", `${plus} added, ${minus} removed`);
  counts.setAttribute("role", "img");
  const f = framed(title, "diff", () => text, scroller("Diff " + title, pre));
  f.querySelector(".block-title").after(counts);
  return f;
}

const numeric = /^[-+]?[\d.,]+( ?[%a-zA-Zµ/]+)?$/;

function table(b) {
  const columns = b.columns || [], rows = b.rows || [];
  const t = el("table");
  const head = el("tr"), body = el("tbody");
  const right = columns.map((_, i) => rows.length > 0 && rows.every((r) => !r[i] || numeric.test(r[i])) && rows.some((r) => r[i]));
  const long = columns.map((_, i) => rows.some((r) => r[i]?.length > 48));
  const kind = (i) => (right[i] ? "number" : long[i] ? "long" : "");
  columns.forEach((c, i) => {
    const th = el("th", kind(i), c);
    th.scope = "col";
    head.append(th);
  });
  for (const row of rows) {
    const tr = el("tr");
    row.forEach((c, i) => {
      const cell = el(i === 0 ? "th" : "td", kind(i), c);
      if (i === 0) cell.scope = "row";
      tr.append(cell);
    });
    body.append(tr);
  }
  t.append(el("thead", "", head), body);
  const text = () => [columns, ...rows].map((r) => r.join("\t")).join("\n");
  return framed(b.title || `${rows.length} ${rows.length === 1 ? "row" : "rows"}`, "table", text, scroller(b.title || "Table", t));
}

const levels = { debug: "debug", info: "info", warning: "warn", error: "error", fatal: "fatal" };

function log(b) {
  const lines = b.lines || [];
  const text = () => b.text || lines.map((l) => l.message).join("\n");
  if (!lines.length) return framed(b.title || "Log", "log", text, scroller("Log", el("pre", "", b.text || "")));
  const pods = new Set(lines.map((l) => l.pod || ""));
  const list = el("ol", "log-lines");
  for (const l of lines) {
    const li = el("li", "log-line " + (levels[l.level] || ""));
    const at = new Date(l.at);
    if (l.at && !isNaN(at) && at.getUTCFullYear() > 1) {
      const t = el("time", "", at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }));
      t.dateTime = l.at;
      t.title = l.at;
      li.append(t);
    }
    if (l.level) li.append(el("span", "level", (levels[l.level] || l.level).toUpperCase()));
    if (pods.size > 1 && l.pod) li.append(el("span", "pod", l.pod));
    const said = el("span", "message", l.message || "");
    for (const f of l.fields || []) said.append(el("span", "field", ` ${f.key}=`, el("b", "", f.value)));
    li.append(said);
    if (l.stack) {
      const d = el("details", "stack", el("summary", "", "stack trace"), el("pre", "", l.stack));
      li.append(d);
    }
    list.append(li);
  }
  return framed(b.title || `${lines.length} ${lines.length === 1 ? "line" : "lines"}`, "log", text, scroller("Log", list));
}
