// The conversations of this person: which there are, and which is open.

import { get } from "./api.js";
import { $, button, el, stamp } from "./dom.js";
import { newKey } from "./outbox.js";

const nowKey = "conversation";

export class History {
  // open is called with the id of a conversation that was chosen.
  constructor(open) {
    this.open = open;
  }

  // current is the conversation of this tab.
  get current() {
    const id = sessionStorage.getItem(nowKey);
    return id || this.fresh();
  }

  set current(id) {
    sessionStorage.setItem(nowKey, id);
  }

  fresh() {
    const id = "web-" + newKey();
    this.current = id;
    return id;
  }

  // said is what was said in a conversation, oldest first; null where the server
  // knows nothing of it.
  async said(id) {
    try {
      return await get("/api/v1/conversations/" + encodeURIComponent(id));
    } catch (e) {
      if (e.status === 404) return null;
      throw e;
    }
  }

  // refresh shows which conversations there are.
  async refresh() {
    const nav = $("conversations");
    let all;
    try {
      all = (await get("/api/v1/conversations")).conversations || [];
    } catch (e) {
      nav.closest("nav").hidden = e.status === 404;
      return;
    }
    nav.closest("nav").hidden = false;
    const focused = document.activeElement?.dataset?.id;
    // An entry that somebody is about to press stays what it is.
    const before = new Map([...nav.children].map((li) => [li.dataset.key, li]));
    nav.replaceChildren(...(all.length ? all.map((c) => {
      const key = JSON.stringify([c, c.id === this.current]);
      const li = before.get(key) || this.#entry(c);
      li.dataset.key = key;
      return li;
    }) : [el("li", "quiet", "What you say here is listed here.")]));
    if (focused) nav.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  #entry(c) {
    const b = button("entry", "", () => this.open(c.id));
    b.append(el("span", "entry-title", c.title || "New conversation"), stamp(c.updated));
    b.dataset.id = c.id;
    if (c.id === this.current) b.setAttribute("aria-current", "true");
    return el("li", "", b);
  }
}
