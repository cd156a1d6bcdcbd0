// Who this is, what there is for them, and how they come and go.

import { Failure, get, request } from "./api.js";
import { $, announce, button } from "./dom.js";
import { Recorder } from "./voice.js";

export class Account {
  #me = {};

  constructor() {
    $("logout").addEventListener("submit", (e) => {
      e.preventDefault();
      this.#leave();
    });
  }

  // load finds out who this is; a Failure of status 401 says that nobody knows.
  async load() {
    this.#me = await get("/api/v1/me");
    const me = this.#me;
    if (!me.name) throw new Failure(401, "");
    const name = me.person || me.name;
    $("who").textContent = me.may_write ? name : `${name} · read only`;
    $("talk").hidden = !(me.listens && Recorder.possible());
    $("aloud").hidden = !me.speaks;
    $("logout").hidden = !me.logout;
    $("sign-in").hidden = true;
  }

  // signIn shows the ways in.
  signIn() {
    const me = this.#me;
    $("sign-in").hidden = false;
    $("by-login").hidden = !me.login;
    if (me.login) $("by-login").href = me.login;
    $("by-token").hidden = me.token === false;
    (me.login ? $("by-login") : $("token")).focus();
  }

  async #leave() {
    try {
      await request(this.#me.logout, { method: "POST" });
    } catch (e) {
      return announce(e.message);
    }
    // What was said here is not for whoever comes next.
    sessionStorage.clear();
    location.reload();
  }

  // examples are sentences to begin with, with names that exist.
  async examples(pick) {
    let names = [];
    try {
      names = (await get("/api/v1/names")).names;
    } catch {
      // Then they are without names.
    }
    const [a, b = a] = names;
    const all = ["how is everything?", ...(a ? [`how is ${a}?`, `why is ${b} slow?`, `logs of ${b}`, `scale ${a} to five`] : ["list pods"]), "what fires?", "what can I say?"];
    $("examples").replaceChildren(...all.map((text) => button("example", text, () => pick(text))));
  }
}
