// The keyboard: everything can be done with it alone.

import { $, finePointer } from "./dom.js";

// drawers are what stands beside the conversation, and over it where the screen is narrow.
export class Drawers {
  #opened = null; // who is to have the focus back

  constructor() {
    for (const b of document.querySelectorAll("[data-drawer]")) {
      b.addEventListener("click", () => this.toggle(b.dataset.drawer, b));
    }
    for (const b of document.querySelectorAll("[data-close]")) b.addEventListener("click", () => this.close());
    $("shade").addEventListener("click", () => this.close());
    const wide = [matchMedia("(min-width: 72rem)"), matchMedia("(min-width: 56rem)")];
    for (const m of wide) m.addEventListener("change", () => this.close());
  }

  // over says whether a drawer lies over the conversation on this screen.
  over(id) {
    return getComputedStyle($(id)).position === "fixed";
  }

  toggle(id, by) {
    if (document.body.dataset.drawer === id) return this.close();
    this.close();
    if (!this.over(id)) return $(id).querySelector("button, a, [tabindex]")?.focus();
    document.body.dataset.drawer = id;
    this.#opened = by || document.activeElement;
    for (const part of [$("middle"), ...document.querySelectorAll("aside")]) part.inert = part.id !== id;
    for (const b of document.querySelectorAll(`[data-drawer="${id}"]`)) b.setAttribute("aria-expanded", "true");
    $(id).querySelector("[data-close]").focus();
  }

  close() {
    const id = document.body.dataset.drawer;
    if (!id) return false;
    delete document.body.dataset.drawer;
    for (const part of [$("middle"), ...document.querySelectorAll("aside")]) part.inert = false;
    for (const b of document.querySelectorAll("[data-drawer]")) b.setAttribute("aria-expanded", "false");
    this.#opened?.focus({ preventScroll: true });
    return true;
  }
}

const typing = (e) => e.target instanceof Element && e.target.matches("input, textarea, select");

// keys listens to the whole page. act.escape does what Escape does when nothing
// is open; act.talk begins and ends talking.
export function keys(drawers, act) {
  const help = $("help"), input = $("text");
  $("show-help").addEventListener("click", () => help.showModal());
  help.addEventListener("click", (e) => e.target === help && help.close());

  document.addEventListener("keydown", (e) => {
    if (e.isComposing || help.open) return;
    if (e.key === "Escape") {
      if (act.escape() || drawers.close()) e.preventDefault();
      else if (document.activeElement !== input && finePointer()) input.focus();
      return;
    }
    if (e.altKey && !e.ctrlKey && !e.metaKey) {
      const does = { KeyN: act.fresh, KeyC: () => drawers.toggle("history"), KeyP: () => drawers.toggle("now"), KeyS: act.aloud }[e.code];
      if (does) {
        e.preventDefault();
        does();
      }
      return;
    }
    if (e.ctrlKey || e.metaKey || typing(e)) return;
    if (e.key === "/") {
      e.preventDefault();
      drawers.close();
      input.focus();
    } else if (e.key === "?") {
      e.preventDefault();
      help.showModal();
    }
  });
}

// composer gives the input its keys: Enter sends, the arrows bring back what was
// said before, Space held in the empty input talks, ? in it asks for help.
export function composer(input, act) {
  const said = [];
  let at = 0, draft = "", talking = false;

  const put = (text) => {
    input.value = text;
    input.dispatchEvent(new Event("input"));
    input.setSelectionRange(text.length, text.length);
  };

  input.addEventListener("keydown", (e) => {
    if (e.isComposing) return;
    const empty = input.value === "";
    if (e.key === "Enter" && !e.shiftKey) {
      e.preventDefault();
      act.send();
    } else if (e.key === "ArrowUp" && (empty || at < said.length) && at > 0 && !input.value.includes("\n")) {
      e.preventDefault();
      if (at === said.length) draft = input.value;
      put(said[--at]);
    } else if (e.key === "ArrowDown" && at < said.length && !input.value.includes("\n")) {
      e.preventDefault();
      put(++at === said.length ? draft : said[at]);
    } else if (e.key === "?" && empty) {
      e.preventDefault();
      $("help").showModal();
    } else if (e.key === " " && empty && act.canTalk()) {
      e.preventDefault(); // a sentence does not begin with a space
      if (e.repeat || talking) return;
      talking = true;
      act.talk(true);
    }
  });
  input.addEventListener("keyup", (e) => {
    if (e.key !== " " || !talking) return;
    talking = false;
    act.talk(false);
  });
  input.addEventListener("blur", () => {
    if (talking) act.talk(false);
    talking = false;
  });

  return {
    remember(text) {
      if (said.at(-1) !== text) said.push(text);
      if (said.length > 100) said.shift();
      at = said.length;
      draft = "";
    },
  };
}
