// The conversation as it is shown.

import { block } from "./blocks.js";
import { Card } from "./card.js";
import { announce, button, copyButton, el, icon, stamp } from "./dom.js";

const sentence = (s) => s.charAt(0).toUpperCase() + s.slice(1);

export class Log {
  #cards = new Map();

  // say is what a button does: it says a text, or agrees to what was shown.
  constructor(root, scroller, say) {
    this.root = root;
    this.scroller = scroller;
    this.say = say;
    // Who reads the newest goes on reading it when the room changes, as when a
    // phone shows its keyboard.
    this.atEnd = true;
    scroller.addEventListener("scroll", () => (this.atEnd = this.#near(160)), { passive: true });
    new ResizeObserver(() => this.atEnd && this.toEnd()).observe(scroller);
  }

  #near(room) {
    const s = this.scroller;
    return s.scrollHeight - s.scrollTop - s.clientHeight < room;
  }

  // knows reports whether a change has its card.
  knows(action) {
    return this.#cards.has(action);
  }

  clear() {
    this.#cards.clear();
    this.root.replaceChildren();
  }

  #add(e) {
    const atEnd = this.#near(160);
    // The sign that an answer is on its way stays the last.
    if (this.pending?.isConnected && e !== this.pending) this.pending.before(e);
    else this.root.append(e);
    if (atEnd) this.show(e);
  }

  // show scrolls to what was added; what is too long is read from its beginning.
  show(e) {
    const s = this.scroller;
    if (e.offsetHeight < s.clientHeight - 40) this.toEnd();
    else s.scrollTop += e.getBoundingClientRect().top - s.getBoundingClientRect().top - 12;
  }

  toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  // mine shows what the person said; what it returns changes it.
  mine(text, { at = new Date(), spoken = false } = {}) {
    this.closeQuestions(); // whatever was asked is moot once something else was said
    const said = el("p", "said", text);
    const foot = el("footer", "foot", stamp(at));
    const note = el("span", "note");
    foot.prepend(note);
    const box = el("article", "turn me", el("h2", "sr", "You said"), said, foot);
    if (spoken) said.prepend(icon("mic"), " ");
    this.#add(box);
    this.toEnd();
    return {
      root: box,
      heard: (t) => said.replaceChildren(icon("mic"), " ", t || "(nothing)"),
      note: (state, words = "", ...buttons) => {
        box.dataset.state = state;
        note.replaceChildren(words, ...buttons);
      },
    };
  }

  // thinking shows that an answer is on its way.
  thinking(on) {
    this.pending?.remove();
    this.pending = undefined;
    if (!on) return;
    this.pending = el("div", "thinking", el("span"), el("span"), el("span"));
    this.pending.setAttribute("aria-hidden", "true");
    this.#add(this.pending);
  }

  // reply shows an answer. What was answered long ago is not announced.
  reply(r, { at = new Date(), old = false } = {}) {
    // What is pushed leaves an open question open, unless it asks one itself.
    if (r.expect && r.expect !== "none") this.closeQuestions();
    const action = r.proposal?.id;
    if (action && r.intent === "confirm" && r.expect === "none" && r.outcome === "pending") {
      this.#card(action, r.proposal, at).progress(r.text || r.speech, at);
    } else {
      this.#add(this.#message(r, at));
    }
    if (!old) announce(r.speech || r.text);
  }

  #card(action, proposal, at) {
    let c = this.#cards.get(action);
    if (!c) {
      c = new Card(action, proposal, at);
      this.#cards.set(action, c);
      this.#add(c.root);
    }
    return c;
  }

  progress(action, r) {
    const known = this.#cards.has(action);
    const atEnd = this.#near(160);
    this.#card(action, r.proposal, new Date()).progress(r.text || r.speech);
    if (!known) announce(r.speech || r.text);
    else if (atEnd) this.toEnd();
  }

  // outcome ends a change: in its card, and where that is far up by now, below too.
  outcome(action, r, { at = new Date(), old = false } = {}) {
    if (r.expect && r.expect !== "none") this.closeQuestions();
    const card = this.#cards.get(action);
    const atEnd = this.#near(160);
    if (card && !card.ended) {
      const last = card.root === this.root.lastElementChild || card.root === this.pending?.previousElementSibling;
      if (last) card.end(r, this.#answers(r), at);
      else {
        card.end({ ...r, blocks: [] }, null, at);
        this.#add(this.#message(r, at));
      }
      if (atEnd && last) this.show(card.root);
    } else if (!card) this.#add(this.#message(r, at));
    if (!old) announce(r.speech || r.text);
  }

  // trouble shows what kept a sentence from being answered.
  trouble(text) {
    this.#add(this.#message({ text, fault: "internal", blocks: [] }, new Date()));
    announce(text);
  }

  #message(r, at) {
    const failed = r.fault || r.outcome === "failed" || r.outcome === "rolled_back";
    const box = el("article", "turn bot" + (failed ? " bad" : r.outcome === "done" ? " good" : ""), el("h2", "sr", "firstmate said"));
    const text = r.text || r.speech || "";
    box.append(el("p", "said", text));
    for (const b of r.blocks || []) box.append(block(b));
    const answers = this.#answers(r);
    if (answers) box.append(answers);
    box.append(el("footer", "foot", copyButton("this answer", () => text), stamp(at)));
    return box;
  }

  // answers are the buttons under an answer; each is bound to what it is under.
  #answers(r) {
    const box = el("div", "answers");
    const add = (label, className, act, text = sentence(label)) => box.append(button(className, text, () => this.say(label, act)));
    const id = r.proposal?.id || "";
    const risky = r.proposal?.risk === "high"; // what is risky does not invite
    switch (r.expect) {
      case "confirm":
        add("yes", risky ? "danger" : "primary", { confirm: id });
        for (const c of r.choices || []) add(c, "", {});
        add("no", "", id ? { deny: id } : {});
        box.setAttribute("aria-label", "Answer: " + (r.speech || "yes or no"));
        break;
      case "approval":
        add("no", "", id ? { deny: id } : {}, "Withdraw");
        break;
      case "pin":
        add("no", "", id ? { deny: id } : {}, "Cancel");
        break;
      case "none": case "": case undefined:
        if (r.outcome === "done" && r.proposal) add("undo", "", {});
        if (r.intent === "diagnose" && !r.fault) add("why do you think so?", "", {});
        break;
      default:
        for (const c of r.choices || []) add(c, "", {}, c);
        box.setAttribute("aria-label", "Choose one");
    }
    if (!box.childElementCount) return null;
    box.setAttribute("role", "group");
    box.classList.toggle("question", !["none", "", undefined].includes(r.expect));
    if (!box.hasAttribute("aria-label")) box.setAttribute("aria-label", "What next");
    return box;
  }

  // closeQuestions takes back what was asked or offered: each is good for one answer.
  closeQuestions() {
    for (const a of this.root.querySelectorAll(".answers")) {
      if (a.contains(document.activeElement)) document.getElementById("text").focus({ preventScroll: true });
      for (const b of a.querySelectorAll("button")) b.disabled = true;
      a.classList.add("closed");
    }
  }
}
