// Small helpers to build the page. Everything that is shown was said by a
// person, a cluster or a log, so it goes in as text only: data is never markup.

export const $ = (id) => document.getElementById(id);

const svgNS = "http://www.w3.org/2000/svg";

// el makes an element; children are elements, or strings that become text.
export function el(tag, className, ...children) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...children.filter((c) => c !== undefined && c !== null && c !== ""));
  return e;
}

// svg makes an element of a drawing.
export function svg(tag, attributes = {}, ...children) {
  const e = document.createElementNS(svgNS, tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

// icon is one of the page's symbols; it says nothing to a screen reader.
export function icon(name) {
  return svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: "#i-" + name }));
}

// button makes a button that does something.
export function button(className, label, act) {
  const b = el("button", className, label);
  b.type = "button";
  b.addEventListener("click", act);
  return b;
}

// iconButton is a button that shows an icon and is called by its label.
export function iconButton(className, name, label, act) {
  const b = button("icon-button " + className, icon(name), act);
  b.setAttribute("aria-label", label);
  b.title = label;
  return b;
}

// copyButton copies what text gives, and says that it did.
export function copyButton(what, text) {
  const b = iconButton("copy", "copy", "Copy " + what, async () => {
    try {
      await navigator.clipboard.writeText(text());
      b.replaceChildren(icon("check"));
      announce("Copied.");
    } catch {
      announce("The browser does not let this page copy.");
    }
    setTimeout(() => b.replaceChildren(icon("copy")), 1500);
  });
  return b;
}

// announce tells those who listen to the screen, without haste.
export function announce(text) {
  const box = $("announce");
  const line = el("p", "", text);
  box.append(line);
  // What is gone is not read twice; what is still being read stays.
  while (box.childElementCount > 4) box.firstChild.remove();
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long", hourCycle: "h23" });
const dated = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

// stamp is a moment as it stands beside what was said then.
export function stamp(at = new Date()) {
  const d = new Date(at);
  const t = el("time", "stamp", new Date().toDateString() === d.toDateString() ? clock.format(d) : dated.format(d));
  t.dateTime = d.toISOString();
  t.title = whole.format(d);
  return t;
}

// hour is a moment as a clock shows it.
export const hour = (at) => clock.format(new Date(at));

// span is a length of time in few words.
export function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " min";
  if (s < 48 * 3600) return Math.floor(s / 3600) + " h";
  return Math.floor(s / 86400) + " d";
}

// since is for how long something has been so; refreshAges keeps it true.
export function since(at) {
  const t = el("time", "age", span(Date.now() - new Date(at)));
  t.dateTime = new Date(at).toISOString();
  t.title = whole.format(new Date(at));
  return t;
}

// refreshAges brings every age on the page up to now.
export function refreshAges() {
  for (const t of document.querySelectorAll("time.age")) {
    const now = span(Date.now() - new Date(t.dateTime));
    if (t.textContent !== now) t.textContent = now;
  }
}

// finePointer says that there is a mouse, so that focusing the input does not
// open a keyboard over what is to be read.
export const finePointer = () => matchMedia("(hover: hover) and (pointer: fine)").matches;
