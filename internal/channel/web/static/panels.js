// Beside the conversation: what is running, what fires, what waits for a yes.

import { get } from "./api.js";
import { diff } from "./blocks.js";
import { $, button, el, hour, icon, since } from "./dom.js";

const every = 5000;

const severities = { critical: "Critical", error: "Error", warning: "Warning", info: "Info" };

export class Panels {
  #shown = {};
  #timer = 0;

  // act.ask says a sentence, act.approve agrees to somebody else's change,
  // act.open shows a conversation; act.waiting hears how much there is of each.
  constructor(act) {
    this.act = act;
    document.addEventListener("visibilitychange", () => this.refresh());
  }

  // refresh asks for all three now, and again after a while.
  async refresh() {
    clearTimeout(this.#timer);
    if (document.hidden) return;
    await Promise.all([
      this.#load("running", "/api/v1/running", (d) => d.changes, (c) => this.#running(c), "Nothing is being changed."),
      this.#load("firing", "/api/v1/alerts", (d) => (d.known === false ? null : d.alerts), (a) => this.#alert(a), "Nothing fires."),
      this.#load("approvals", "/api/v1/approvals", (d) => d.waiting, (w) => this.#approval(w), "Nothing waits for you."),
    ]);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.refresh(), every);
  }

  async #load(name, path, pick, draw, none) {
    const section = $(name), list = section.querySelector("ul");
    let all;
    try {
      all = pick(await get(path));
    } catch (e) {
      section.hidden = e.status === 404; // a server that does not tell of it
      section.classList.toggle("old", e.status !== 404);
      return;
    }
    section.hidden = !all; // nobody can tell
    all ||= [];
    section.classList.remove("old");
    const text = JSON.stringify(all);
    if (this.#shown[name] === text) return;
    this.#shown[name] = text;
    section.querySelector(".badge").textContent = all.length || "";
    // A card that somebody is reading or about to press stays what it is.
    const before = new Map([...list.children].map((li) => [li.dataset.key, li]));
    const focused = document.activeElement;
    list.replaceChildren(...(all.length ? all.map((x) => {
      const key = JSON.stringify(x);
      const li = before.get(key) || draw(x);
      li.dataset.key = key;
      return li;
    }) : [el("li", "quiet", none)]));
    if (focused && focused !== document.activeElement && document.contains(focused)) focused.focus({ preventScroll: true });
    this.act.waiting(name, all.length);
  }

  #running(c) {
    const li = el("li", "item", el("p", "item-title", c.what), el("p", "item-note", c.progress || c.state || ""),
      el("p", "item-meta", c.who ? `${c.who} · ` : "", since(c.since)));
    if (c.conversation) li.append(button("small", "Show", () => this.act.open(c.conversation)));
    return li;
  }

  #alert(a) {
    const grave = severities[a.severity] ? a.severity : "info";
    const li = el("li", "item alert " + grave,
      el("p", "item-title", icon("bell"), el("span", "severity", severities[a.severity] || a.severity || "Alert"), " ", a.name),
      el("p", "item-note", a.summary || ""), el("p", "item-meta", a.about ? `${a.about} · ` : "", since(a.since)));
    const symptom = /latency|slow/i.test(a.name) ? "slow" : "failing";
    if (a.about) li.append(button("small", "Why?", () => this.act.ask(`why is ${a.about.split("/").at(-1)} ${symptom}?`)));
    return li;
  }

  #approval(w) {
    const box = el("li", "item approval", el("p", "item-title", w.what),
      el("p", "item-meta", w.mine ? "You ask" : `${w.who} asks`, w.expires ? ` · until ${hour(w.expires)}` : "", w.code ? ` · code ${w.code}` : ""),
      w.reason ? el("p", "item-note", w.reason) : "", w.diff ? diff(w.diff, "What would change") : "");
    // Who may not approve it is told why; it is for the others to see that it waits.
    if (!w.may) {
      box.append(el("p", "item-note why", w.mine ? "It waits for somebody else." : w.why));
      return box;
    }
    const approve = button("primary", "Approve", () => this.act.approve(w));
    approve.setAttribute("aria-label", `Approve: ${w.what}, asked by ${w.who}`);
    box.append(el("div", "answers", approve));
    return box;
  }
}
