// The outbox holds what was said until the server has answered it: one after the
// other, each with a key of its own, so that what was sent twice is done once.

import { Failure } from "./api.js";

// What waited for longer than this is not sent by itself: the cluster is another
// one by then, and so may be what its sentence means.
const staleAfter = 3 * 60_000;

const store = "outbox";

export function newKey() {
  const b = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(b, (n) => n.toString(16).padStart(2, "0")).join("");
}

export class Outbox {
  #items = [];
  #busy = false;
  #timer = 0;

  // deliver sends an item and returns the answer. tell hears of each change of an
  // item: its state is waiting, sending, stale, answered, failed or gone.
  constructor(deliver, tell) {
    this.deliver = deliver;
    this.tell = tell;
  }

  // kept returns what was not answered when the page was last left.
  static kept() {
    try {
      return JSON.parse(sessionStorage.getItem(store)) || [];
    } catch {
      return [];
    }
  }

  push(item) {
    this.#items.push({ at: Date.now(), key: newKey(), state: "waiting", ...item });
    const mine = this.#items.at(-1);
    this.#keep();
    this.flush();
    return mine;
  }

  // again sends an item that waited for too long, as it was said.
  again(item) {
    item.at = Date.now();
    this.#set(item, "waiting");
    this.flush();
  }

  drop(item) {
    this.#items = this.#items.filter((i) => i !== item);
    this.#keep();
    this.#set(item, "gone");
  }

  get waiting() {
    return this.#items.length;
  }

  // flush sends what waits, as long as somebody answers.
  async flush() {
    if (this.#busy) return;
    clearTimeout(this.#timer);
    this.#busy = true;
    try {
      for (let item; (item = this.#items.find((i) => i.state === "waiting"));) {
        if (item.tried && Date.now() - item.at > staleAfter) {
          this.#set(item, "stale");
          continue;
        }
        if (!(await this.#send(item))) return;
      }
    } finally {
      this.#busy = false;
    }
  }

  // #send reports whether there is sense in sending the next.
  async #send(item) {
    this.#set(item, "sending");
    item.tried = true;
    let answer, error;
    try {
      answer = await this.deliver(item);
    } catch (e) {
      error = e instanceof Failure ? e : new Failure(500, "Something went wrong in this page: " + e.message);
    }
    if (error?.away || error?.status === 401) {
      this.#set(item, "waiting");
      this.#keep();
      if (error.away) this.#timer = setTimeout(() => this.flush(), 2000);
      return false;
    }
    this.#items = this.#items.filter((i) => i !== item);
    this.#keep();
    this.#set(item, error ? "failed" : "answered", error || answer);
    return true;
  }

  #set(item, state, result) {
    item.state = state;
    this.tell(item, result);
  }

  // #keep lets what waits survive a reload, but for sound and what is secret.
  #keep() {
    const all = this.#items.filter((i) => !i.audio && !i.secret).map(({ key, conversation, text, confirm, deny, approve, at, tried }) => ({ key, conversation, text, confirm, deny, approve, at, tried }));
    sessionStorage.setItem(store, JSON.stringify(all));
  }
}
