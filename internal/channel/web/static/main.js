// The console: puts its parts together.

import { Failure, token, turn, unauthorised } from "./api.js";
import { Account } from "./account.js";
import { $, announce, button, finePointer, refreshAges } from "./dom.js";
import { History } from "./history.js";
import { composer, Drawers, keys } from "./keys.js";
import { Log } from "./log.js";
import { newKey, Outbox } from "./outbox.js";
import { Panels } from "./panels.js";
import { follow } from "./stream.js";
import { holding, Recorder, Speaker } from "./voice.js";

const input = $("text"), secret = $("secret");
let stream = null; // what is listened to
let shown = ""; // the conversation on the page
let opened = 0; // how often one was put on the page
let asked = 0; // how many turns of it are on the page
const mine = new Map(); // key of what was said → how it is shown

const log = new Log($("log"), $("main"), (text, act) => say(text, act));
const drawers = new Drawers();
const speaker = new Speaker(announce);
const history = new History((id) => {
  drawers.close();
  open(id);
});
const account = new Account();
const panels = new Panels({
  ask: (text) => {
    drawers.close();
    say(text);
  },
  approve: (w) => {
    drawers.close();
    say("approve " + (w.code || w.what), { approve: `${w.id}@${w.digest}` });
  },
  open: (id) => {
    drawers.close();
    open(id);
  },
  waiting: count,
});

// ---- saying something

function say(text, act = {}) {
  speaker.hush();
  const hidden = Boolean(act.secret);
  empty(false);
  const view = log.mine(hidden ? "••••" : text || "Listening …", { spoken: Boolean(act.audio) });
  if (text && !hidden && !act.confirm && !act.approve) memory.remember(text);
  const key = newKey();
  mine.set(key, view);
  outbox.push({ key, conversation: shown, text: text || "", ...act });
  if (finePointer()) input.focus({ preventScroll: true });
}

const outbox = new Outbox(turn, (item, result) => {
  const view = mine.get(item.key);
  const here = item.conversation === shown;
  switch (item.state) {
    case "sending":
      view?.note("sending");
      if (here) log.thinking(true);
      break;
    case "waiting":
      log.thinking(false);
      view?.note("waiting", "Not sent yet", small("Discard", () => outbox.drop(item)));
      break;
    case "stale":
      log.thinking(false);
      view?.note("stale", "Not sent: it waited for too long", small("Send now", () => outbox.again(item)), small("Discard", () => outbox.drop(item)));
      break;
    case "gone":
      view?.note("gone", "Discarded");
      break;
    case "failed":
      log.thinking(false);
      view?.note("failed", "Not answered");
      if (here) log.trouble(result.message);
      break;
    case "answered":
      log.thinking(false);
      view?.note("answered");
      if (item.audio) view?.heard(result.heard);
      if (here) {
        asked++;
        answered(result);
      }
      panels.refresh();
      history.refresh();
  }
});

function small(label, act) {
  return button("small", label, act);
}

function answered(r) {
  log.reply(r);
  speaker.say(r.speech, shown);
  expect(r.expect);
}

// expect makes the input fit what is asked: a PIN is not shown, nor kept.
function expect(what) {
  const pin = what === "pin", there = document.activeElement === secret;
  secret.hidden = !pin;
  input.hidden = pin;
  if (pin) secret.focus();
  else if (there) input.focus();
}

function send() {
  const pin = !secret.hidden;
  const box = pin ? secret : input;
  const text = box.value.trim();
  if (!text) return;
  box.value = "";
  grow();
  if (pin) expect("none");
  say(text, pin ? { secret: true } : {});
}

// ---- the conversation

// open shows a conversation; told is what was said in it, where that is known.
async function open(id, told) {
  const nth = ++opened;
  stream?.stop();
  shown = history.current = id;
  asked = 0;
  mine.clear();
  log.clear();
  expect("none");
  let position = "0";
  try {
    if (!told) {
      told = await history.said(id);
      if (opened !== nth) return; // it, or another, was opened meanwhile
    }
    for (const t of told?.turns || []) replay(t);
    asked = turnsOf(told);
    expect(told?.turns.at(-1)?.reply.expect);
    if (told?.after) position = String(told.after);
  } catch (e) {
    if (e instanceof Failure && e.away) return away(id);
    if (e.status === 403) return open(history.fresh()); // that of who was here before
    announce(e.message);
  }
  empty(!$("log").childElementCount);
  log.toEnd();
  history.refresh();
  listen(id, position);
}

// turnsOf is how many turns people had in a conversation.
function turnsOf(told) {
  return (told?.turns || []).filter((t) => t.who).length;
}

// catchUp shows the conversation anew where it went on in another window. It is
// all shown again, as that cannot show anything twice; and only while nothing is
// being said here.
async function catchUp() {
  const nth = opened;
  const busy = () => outbox.waiting || recorder.active || !secret.hidden;
  if (!shown || busy()) return;
  let told;
  try {
    told = await history.said(shown);
  } catch {
    return; // it is seen later
  }
  if (opened !== nth || busy() || turnsOf(told) <= asked) return;
  const there = $("log").contains(document.activeElement);
  open(shown, told);
  if (there) input.focus({ preventScroll: true });
  announce("This conversation went on in another window.");
}

function replay(t) {
  if (t.who && t.text) log.mine(t.text, { at: t.at });
  if (!t.who) log.outcome(t.action, t.reply, { at: t.at, old: true });
  else log.reply(t.reply, { at: t.at, old: true });
}

// away waits for the server before it shows a conversation for the first time.
function away(id) {
  state("away");
  setTimeout(() => shown === id && open(id), 2000);
}

function listen(id, position) {
  stream = follow(id, position, {
    position: () => {},
    state,
    event: (kind, e) => {
      if (!log.knows(e.action)) catchUp(); // it was agreed to elsewhere
      if (kind === "progress") return log.progress(e.action, e);
      log.outcome(e.action, e);
      speaker.say(e.speech, shown);
      expect(e.expect);
      panels.refresh();
      if (document.hidden) document.title = (e.outcome === "done" ? "✓ " : "✗ ") + "firstmate";
    },
  });
}

// state shows whether the server is there; calmly, as it comes back by itself.
function state(now, why = "") {
  const was = document.body.dataset.server;
  if (was === now) return;
  document.body.dataset.server = now;
  $("status").textContent = { here: "Connected", away: "Reconnecting", stranger: "Not logged in", refused: "Not connected" }[now];
  const words = { away: "firstmate is away. What you say is kept, and sent when it is back.", refused: why }[now] || "";
  $("notice").textContent = words;
  $("notice").hidden = !words;
  if (now === "here") {
    outbox.flush();
    if (was === "away") {
      announce("firstmate is back.");
      panels.refresh();
    }
  }
}

// ---- talking

const recorder = new Recorder({
  state: (s) => {
    document.body.dataset.recording = s;
    $("talk").setAttribute("aria-pressed", String(s !== "idle"));
    $("hint").textContent = s === "recording" ? "Listening … let go to send, Esc to discard" : s === "opening" ? "Opening the microphone …" : "";
  },
  level: (v) => $("talk").style.setProperty("--level", v.toFixed(2)),
  done: (audio) => say("", { audio }),
  trouble: (text) => {
    $("hint").textContent = text;
    announce(text);
  },
});

function talk(on) {
  speaker.hush();
  if (on) recorder.start();
  else recorder.stop();
}

function stranger() {
  state("stranger");
  account.signIn();
}

function empty(on) {
  $("empty").hidden = !on;
}

function count(name, n) {
  for (const e of document.querySelectorAll(`[data-count="${name}"]`)) {
    e.querySelector("b").textContent = n;
    e.hidden = !n;
  }
  $("counts").hidden = !document.querySelector("#counts [data-count]:not([hidden])");
}

function grow() {
  input.style.height = "auto";
  input.style.height = Math.min(input.scrollHeight, 160) + "px";
}

const memory = composer(input, { send, talk, canTalk: () => !$("talk").hidden });

async function start() {
  try {
    await account.load();
  } catch (e) {
    if (e.status === 401) return stranger();
    state("away");
    return void setTimeout(start, 2000);
  }
  const kept = Outbox.kept();
  await open(history.current);
  for (const item of kept) {
    mine.set(item.key, log.mine(item.text, { at: item.at }));
    outbox.push(item);
  }
  panels.refresh();
  account.examples((text) => {
    // What would change something is only put into the input.
    if (!text.startsWith("scale")) return say(text);
    input.value = text;
    input.focus();
  });
}

// ---- what the page's own buttons do

function toggleAloud() {
  if ($("aloud").hidden) return;
  speaker.on = !speaker.on;
  $("aloud").setAttribute("aria-pressed", String(speaker.on));
  announce(speaker.on ? "Answers are spoken." : "Answers are not spoken.");
}

function fresh() {
  drawers.close();
  open(history.fresh());
  input.focus();
}

$("say").addEventListener("submit", (e) => {
  e.preventDefault();
  send();
});
input.addEventListener("input", grow);
secret.addEventListener("keydown", (e) => {
  if (e.key !== "Enter") return;
  e.preventDefault();
  send();
});
$("fresh").addEventListener("click", fresh);
$("aloud").addEventListener("click", toggleAloud);
$("aloud").setAttribute("aria-pressed", String(speaker.on));
$("sign-in").addEventListener("submit", (e) => {
  e.preventDefault();
  token.set($("token").value.trim());
  $("token").value = "";
  start();
});
unauthorised.addEventListener("unauthorised", stranger);
holding($("talk"), talk, () => recorder.active);
keys(drawers, {
  escape: () => {
    if (recorder.active) {
      recorder.cancel();
      return true;
    }
    if (speaker.hush()) return true;
    if (document.activeElement === input && input.value) {
      input.value = "";
      grow();
      return true;
    }
    return false;
  },
  fresh,
  aloud: toggleAloud,
});
addEventListener("online", () => stream?.hurry());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  document.title = "firstmate";
  stream?.hurry();
  catchUp();
});
setInterval(refreshAges, 1000);
start();
