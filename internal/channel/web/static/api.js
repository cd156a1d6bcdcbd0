// Calls of the server.

// Failure is an answer that is none. Its message is a sentence to be shown.
export class Failure extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }

  // away says that nobody answered, or somebody who stands before firstmate: it
  // is worth to try again.
  get away() {
    return [0, 502, 503, 504].includes(this.status);
  }
}

const tokenKey = "token";

// token is what the server asks for where there is no log-in.
export const token = {
  get: () => sessionStorage.getItem(tokenKey) || "",
  set: (v) => sessionStorage.setItem(tokenKey, v),
};

// unauthorised is told whenever the server wants to know who this is.
export const unauthorised = new EventTarget();

// request sends one request and returns the response, which is 200.
export async function request(path, { method = "GET", json, body, headers = {}, signal, limit = 60_000 } = {}) {
  const h = { ...headers };
  if (token.get()) h.Authorization = "Bearer " + token.get();
  if (json !== undefined) {
    h["Content-Type"] = "application/json";
    body = JSON.stringify(json);
  }
  const signals = [signal, limit && AbortSignal.timeout(limit)].filter(Boolean);
  let resp;
  try {
    resp = await fetch(path, { method, headers: h, body, signal: signals.length ? AbortSignal.any(signals) : undefined, credentials: "same-origin" });
  } catch (e) {
    if (signal?.aborted) throw e;
    throw new Failure(0, "I cannot reach firstmate.");
  }
  if (resp.ok) return resp;
  if (resp.status === 401) unauthorised.dispatchEvent(new Event("unauthorised"));
  let sentence = "";
  try {
    sentence = (await resp.json()).error;
  } catch {
    // Not firstmate's own answer; the status says what there is to say.
  }
  throw new Failure(resp.status, sentence || `The server answered with status ${resp.status}.`);
}

// get reads JSON.
export async function get(path, options) {
  return (await request(path, { limit: 10_000, ...options })).json();
}

// turn says something. Where the answer is lost, the same key gets it again.
export async function turn(item) {
  const headers = { "Idempotency-Key": item.key };
  if (item.audio) {
    const form = new FormData();
    form.append("conversation", item.conversation);
    form.append("audio", item.audio, item.audio.type.includes("mp4") ? "said.mp4" : "said.webm");
    return (await request("/api/v1/turns", { method: "POST", body: form, headers })).json();
  }
  const { conversation, text, confirm, deny, approve } = item;
  return (await request("/api/v1/turns", { method: "POST", json: { conversation, text, confirm, deny, approve }, headers })).json();
}

// speech is what was said in a conversation, as sound.
export async function speech(text, conversation, signal) {
  return (await request("/api/v1/speech", { method: "POST", json: { text, conversation }, signal })).blob();
}
