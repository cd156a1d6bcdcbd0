"use strict";
// Everything that is shown was said by a person, a cluster or a log, so it is
// put in with textContent only: data is never HTML.

const $ = (id) => document.getElementById(id);
const log = $("log"), input = $("text"), statusLine = $("status"), login = $("login");
const maxKept = 100; // turns that survive a reload

let conversation = sessionStorage.getItem("conversation") || fresh();
let token = sessionStorage.getItem("token") || "";
let lastEvent = sessionStorage.getItem("lastEvent") || "0";
let kept = JSON.parse(sessionStorage.getItem("turns") || "[]");
const progress = new Map(); // proposal id → line

function fresh() {
  const b = crypto.getRandomValues(new Uint8Array(16));
  const id = "web-" + Array.from(b, (n) => n.toString(16).padStart(2, "0")).join("");
  sessionStorage.setItem("conversation", id);
  return id;
}

function el(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

function headers(extra) {
  return token ? { ...extra, Authorization: "Bearer " + token } : extra;
}

// ---- showing

function keep(turn) {
  kept = [...kept, turn].slice(-maxKept);
  sessionStorage.setItem("turns", JSON.stringify(kept));
}

function add(e) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  log.append(e);
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function showMine(text) {
  closeQuestions(); // whatever was asked is moot once something else was said
  add(el("div", "turn me", text));
}

function showReply(r) {
  // What is pushed leaves an open question open, unless it asks one itself.
  if (r.expect && r.expect !== "none") closeQuestions();
  const failed = r.fault || r.outcome === "failed" || r.outcome === "rolled_back";
  const box = el("div", "turn bot" + (failed ? " bad" : ""));
  box.append(el("p", "", r.text || r.speech || ""));
  for (const b of r.blocks || []) box.append(block(b));
  const answers = el("div", "answers");
  if (r.expect === "confirm") {
    // The button says yes to this proposal and no other, whatever comes meanwhile.
    answers.append(answer("Yes", "yes", r.proposal ? r.proposal.id : "", "yes"), answer("No", "no", "", ""));
  }
  for (const c of r.choices || []) answers.append(answer(c, c, "", ""));
  if (answers.childNodes.length) box.append(answers);
  add(box);
}

function answer(label, text, confirm, className) {
  const b = el("button", className, label);
  b.type = "button";
  b.addEventListener("click", () => send(text, confirm));
  return b;
}

function closeQuestions() {
  for (const b of log.querySelectorAll(".answers button")) b.disabled = true;
}

function block(b) {
  if (b.type === "table") return table(b);
  if (b.type === "chart" && b.chart) return chart(b.chart);
  const pre = el("pre");
  if (b.title) pre.append(el("div", "", b.title));
  for (const line of (b.text || "").split("\n")) {
    const kind = b.type !== "diff" ? "" : line.startsWith("+") ? "plus" : line.startsWith("-") ? "minus" : "";
    pre.append(el("span", kind, line + "\n"));
  }
  return pre;
}

// chart has the server draw the data, in the colours and times of this screen.
function chart(data) {
  const box = el("div", "chart", data.title || "");
  const dark = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const tz = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  fetch("/api/v1/charts?theme=" + dark + "&tz=" + encodeURIComponent(tz), {
    method: "POST",
    headers: headers({ "Content-Type": "application/json" }),
    body: JSON.stringify(data),
  }).then((r) => (r.ok ? r.blob() : null)).then((picture) => {
    if (!picture) return; // its title stands there, and the numbers are in the text
    const img = el("img");
    img.alt = data.title || "chart";
    img.src = URL.createObjectURL(picture);
    img.addEventListener("load", () => URL.revokeObjectURL(img.src));
    box.replaceChildren(img);
    if (/^https?:\/\//.test(data.link || "")) {
      const a = el("a", "", "the query");
      a.href = data.link;
      a.target = "_blank";
      a.rel = "noreferrer";
      box.append(a);
    }
  }).catch(() => {});
  return box;
}

function table(b) {
  const t = el("table");
  if (b.title) t.append(el("caption", "", b.title));
  const head = el("tr");
  for (const c of b.columns || []) head.append(el("th", "", c));
  const thead = el("thead"), tbody = el("tbody");
  thead.append(head);
  for (const row of b.rows || []) {
    const tr = el("tr");
    for (const c of row) tr.append(el("td", "", c));
    tbody.append(tr);
  }
  t.append(thead, tbody);
  const box = el("div", "table");
  box.append(t);
  return box;
}

function showProgress(action, text) {
  let line = progress.get(action);
  if (!line) {
    line = el("div", "progress");
    progress.set(action, line);
    add(line);
  }
  line.textContent = text;
}

// ---- talking

async function send(text, confirm) {
  showMine(text);
  keep({ me: text });
  try {
    const resp = await fetch("/api/v1/turns", {
      method: "POST",
      headers: headers({ "Content-Type": "application/json" }),
      body: JSON.stringify({ conversation, text, confirm }),
    });
    const body = await resp.json();
    if (resp.status === 401) askToken();
    if (!resp.ok) return showReply({ text: body.error || "Something went wrong.", fault: "internal" });
    keep({ reply: body });
    showReply(body);
  } catch {
    showReply({ text: "I cannot reach firstmate; is it running?", fault: "unavailable" });
  }
}

$("say").addEventListener("submit", (e) => {
  e.preventDefault();
  const text = input.value.trim();
  if (!text) return;
  input.value = "";
  send(text, "");
});

// ---- listening

// fetch and not EventSource, which cannot send a token.
let listening = new AbortController();

async function listen() {
  const mine = (listening = new AbortController());
  while (!mine.signal.aborted) {
    try {
      const resp = await fetch("/api/v1/conversations/" + encodeURIComponent(conversation) + "/events", {
        headers: headers({ Accept: "text/event-stream", "Last-Event-ID": lastEvent }),
        signal: mine.signal,
      });
      if (resp.status === 401) return askToken();
      if (resp.ok) {
        statusLine.textContent = "connected";
        await read(resp.body);
      }
    } catch {
      // The connection broke; it is taken up again below.
    }
    if (mine.signal.aborted) return;
    statusLine.textContent = "reconnecting…";
    await new Promise((done) => setTimeout(done, 1000));
  }
}

async function read(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    blocks.forEach(take);
  }
}

function take(text) {
  const field = {};
  for (const line of text.split("\n")) {
    const i = line.indexOf(": ");
    if (i > 0) field[line.slice(0, i)] = line.slice(i + 2);
  }
  if (field.id) sessionStorage.setItem("lastEvent", (lastEvent = field.id));
  if (!field.data) return;
  const reply = JSON.parse(field.data);
  if (field.event === "progress") return showProgress(reply.action, reply.text || reply.speech);
  const line = progress.get(reply.action);
  if (line) line.remove();
  progress.delete(reply.action);
  keep({ reply });
  showReply(reply);
}

function askToken() {
  statusLine.textContent = "not signed in";
  login.hidden = false;
  $("token").focus();
}

login.addEventListener("submit", (e) => {
  e.preventDefault();
  token = $("token").value.trim();
  sessionStorage.setItem("token", token);
  login.hidden = true;
  listening.abort();
  listen();
});

$("fresh").addEventListener("click", () => {
  for (const k of ["turns", "lastEvent"]) sessionStorage.removeItem(k);
  kept = [];
  lastEvent = "0";
  progress.clear();
  log.replaceChildren();
  conversation = fresh();
  listening.abort();
  listen();
  input.focus();
});

for (const t of kept) t.me !== undefined ? showMine(t.me) : showReply(t.reply);
listen();
