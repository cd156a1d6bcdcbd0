// One card for each change: it is updated in place while the change goes on.

import { block } from "./blocks.js";
import { el, icon, since, stamp } from "./dom.js";

// states are what a card says in a word, with the icon beside it.
const states = {
  pending: ["running", "spin", "In progress"],
  done: ["done", "check", "Done"],
  failed: ["failed", "cross", "Failed"],
  rolled_back: ["failed", "undo", "Rolled back"],
  none: ["ended", "dot", "Ended"],
};

// what a change is, in a line: "web 3 → 5".
export function title(proposal) {
  const changes = proposal?.changes || [];
  if (!changes.length) return "Change";
  const all = changes.slice(0, 3).map((c) => (c.from && c.to ? `${c.name} ${c.from} → ${c.to}` : c.to ? `${c.name} → ${c.to}` : `${c.kind} ${c.name}`));
  return all.join(", ") + (changes.length > 3 ? ` and ${changes.length - 3} more` : "");
}

function place(proposal) {
  const c = proposal?.changes?.[0];
  return c ? [c.cluster, c.namespace].filter(Boolean).join(" / ") + " · " : "";
}

export class Card {
  constructor(action, proposal, at = new Date()) {
    this.action = action;
    this.started = at;
    this.ended = false;
    this.steps = [];
    this.pill = el("span", "pill");
    this.age = since(at);
    this.now = el("p", "card-now");
    this.meter = el("progress");
    this.meter.setAttribute("aria-label", "Progress of " + title(proposal));
    this.list = el("ol", "steps");
    this.count = el("summary", "", "Steps");
    this.history = el("details", "more", this.count, this.list);
    this.history.hidden = true;
    this.body = el("div", "card-body", this.now, this.meter);
    this.root = el("article", "turn bot card",
      el("header", "card-head", el("h3", "", title(proposal)), this.pill),
      el("p", "card-place", place(proposal), this.age),
      this.body, this.history);
    this.root.dataset.action = action;
    this.#state("pending");
  }

  #state(outcome) {
    const [name, symbol, word] = states[outcome] || states.none;
    this.root.dataset.state = name;
    this.pill.className = "pill " + name;
    this.pill.replaceChildren(icon(symbol), word);
  }

  // progress shows where the change is now; what was so before becomes a step.
  progress(text, at = new Date()) {
    if (this.ended || this.now.textContent === text) return;
    this.now.textContent = text;
    this.#step(text, at);
    // How far it is, where the words say it: "4 of 5 pods".
    const m = /(\d+) of (\d+)/.exec(text);
    if (m && Number(m[2]) > 0) {
      this.meter.max = Number(m[2]);
      this.meter.value = Math.min(Number(m[1]), Number(m[2]));
    } else this.meter.removeAttribute("value");
  }

  #step(text, at) {
    this.steps.push(text);
    this.list.append(el("li", "", stamp(at), " ", text));
    this.count.textContent = `${this.steps.length} ${this.steps.length === 1 ? "step" : "steps"}`;
    this.history.hidden = this.steps.length < 2;
  }

  // end shows how it went. extra is what there is to answer now.
  end(reply, extra, at = new Date()) {
    this.ended = true;
    this.#state(reply.outcome);
    this.now.textContent = reply.text || reply.speech || "";
    this.#step(this.now.textContent, at);
    this.meter.remove();
    this.age.replaceWith(stamp(at));
    for (const b of reply.blocks || []) this.body.append(block(b));
    if (extra) this.body.append(extra);
  }
}
