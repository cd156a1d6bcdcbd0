// Hearing and speaking: the microphone while a button or a key is held, and
// answers aloud where that is switched on.

import { speech } from "./api.js";

const longest = 58_000; // the server listens to a minute
const shortest = 350;

export class Recorder {
  #state = "idle"; // opening, recording
  #wanted = false;

  // on.state hears idle, opening and recording; on.level how loud it is, 0 to 1;
  // on.done gets the sound; on.trouble a sentence.
  constructor(on) {
    this.on = on;
  }

  static possible() {
    return Boolean(navigator.mediaDevices?.getUserMedia && window.MediaRecorder);
  }

  get active() {
    return this.#state !== "idle";
  }

  async start() {
    if (this.active) return;
    this.#wanted = true;
    this.#set("opening");
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true } });
    } catch (e) {
      this.#set("idle");
      this.on.trouble(e.name === "NotAllowedError" ? "The browser does not let this page use the microphone. Allow it beside the address, or type." : "There is no microphone. Please type.");
      return;
    }
    if (!this.#wanted) { // let go before it began
      this.#close(stream);
      this.#set("idle");
      return;
    }
    const type = ["audio/webm;codecs=opus", "audio/mp4"].find((t) => MediaRecorder.isTypeSupported(t));
    const recorder = new MediaRecorder(stream, type ? { mimeType: type } : undefined);
    const parts = [];
    const began = performance.now();
    recorder.addEventListener("dataavailable", (e) => e.data.size && parts.push(e.data));
    recorder.addEventListener("stop", () => {
      this.#close(stream);
      const sound = new Blob(parts, { type: (recorder.mimeType || "audio/webm").split(";")[0] });
      const long = performance.now() - began;
      const wanted = !this.cancelled;
      this.cancelled = false;
      this.#set("idle");
      if (!wanted) return;
      if (long < shortest || !sound.size) this.on.trouble("Hold the button while you speak.");
      else this.on.done(sound, long);
    });
    this.recorder = recorder;
    this.#meter(stream);
    recorder.start();
    this.timer = setTimeout(() => this.stop(), longest);
    this.#set("recording");
  }

  stop() {
    this.#wanted = false;
    clearTimeout(this.timer);
    // The last word is often still on its way when the key is let go.
    if (this.recorder?.state === "recording") setTimeout(() => this.recorder.state === "recording" && this.recorder.stop(), 200);
  }

  cancel() {
    this.#wanted = false;
    this.cancelled = this.#state === "recording";
    clearTimeout(this.timer);
    if (this.recorder?.state === "recording") this.recorder.stop();
  }

  #set(state) {
    this.#state = state;
    this.on.state(state);
  }

  #meter(stream) {
    this.context = new AudioContext();
    const analyser = this.context.createAnalyser();
    analyser.fftSize = 512;
    this.context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const look = () => {
      if (this.context.state === "closed") return;
      analyser.getFloatTimeDomainData(samples);
      this.on.level(Math.min(1, 4 * Math.sqrt(samples.reduce((a, v) => a + v * v, 0) / samples.length)));
      requestAnimationFrame(look);
    };
    look();
  }

  #close(stream) {
    for (const t of stream.getTracks()) t.stop();
    if (this.context && this.context.state !== "closed") this.context.close();
  }
}

// Speaker says answers aloud, one after the other.
export class Speaker {
  #queue = [];
  #over = new AbortController();
  #audio = null;
  #busy = false;

  constructor(trouble) {
    this.trouble = trouble;
  }

  get on() {
    return localStorage.getItem("aloud") === "yes";
  }

  set on(v) {
    localStorage.setItem("aloud", v ? "yes" : "no");
    if (!v) this.hush();
  }

  say(text, conversation) {
    if (!this.on || !text) return;
    this.#queue.push({ text, conversation });
    this.#next();
  }

  // hush ends what is being said, as when the person speaks.
  hush() {
    const was = this.#busy;
    this.#queue = [];
    this.#over.abort();
    this.#over = new AbortController();
    this.#audio?.pause();
    return was;
  }

  async #next() {
    if (this.#busy) return;
    this.#busy = true;
    for (let next; (next = this.#queue.shift());) {
      const { signal } = this.#over;
      try {
        await this.#play(await speech(next.text, next.conversation, signal), signal);
      } catch (e) {
        if (!signal.aborted) this.trouble(e.message);
      }
    }
    this.#busy = false;
  }

  #play(sound, signal) {
    return new Promise((done, fail) => {
      if (signal.aborted) return done();
      const url = URL.createObjectURL(sound);
      const a = (this.#audio = new Audio(url));
      const end = () => {
        URL.revokeObjectURL(url);
        done();
      };
      a.addEventListener("ended", end);
      a.addEventListener("pause", end);
      a.addEventListener("error", () => fail(new Error("The browser cannot play this sound.")));
      a.play().catch(() => fail(new Error("The browser does not let this page speak before you touched it.")));
    });
  }
}

// holding has a button talk for as long as it is held: by a pointer, or a key.
export function holding(b, talk, active) {
  let held = false;
  b.addEventListener("pointerdown", (e) => {
    if (e.button) return;
    e.preventDefault(); // no selection, no menu of a long press
    b.setPointerCapture(e.pointerId);
    held = true;
    talk(true);
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    b.addEventListener(end, () => {
      if (held) talk(false);
      held = false;
    });
  }
  b.addEventListener("contextmenu", (e) => e.preventDefault());
  b.addEventListener("keydown", (e) => {
    if (e.key !== " " && e.key !== "Enter") return;
    e.preventDefault();
    if (!e.repeat) talk(true);
  });
  b.addEventListener("keyup", (e) => (e.key === " " || e.key === "Enter") && talk(false));
  // What helps people press buttons sends a click alone: then one begins and one ends.
  b.addEventListener("click", (e) => e.detail === 0 && !e.pointerType && talk(!active()));
}
