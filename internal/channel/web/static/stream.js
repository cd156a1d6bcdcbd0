// What the server tells without being asked, as server-sent events. It is read
// by fetch and not by EventSource, which can send no token and hides why it
// failed.

import { Failure, request } from "./api.js";

const silence = 45_000; // three heartbeats
const longest = 4000;

// follow listens to a conversation from a position on, for ever: a stream that
// breaks is taken up where it broke. on.event hears each event, on.state whether
// somebody is there. It returns how to stop, and how not to wait any longer.
export function follow(conversation, after, on) {
  const over = new AbortController();
  let hurry = () => {};
  let position = after;

  const take = (text) => {
    const field = {};
    for (const line of text.split("\n")) {
      const i = line.indexOf(":");
      if (i > 0) field[line.slice(0, i)] = line.slice(i + 1).replace(/^ /, "");
    }
    const known = field.event === "outcome" && Number(field.id) <= Number(position);
    if (field.id) {
      position = field.id;
      on.position(position);
    }
    if (field.data && !known) on.event(field.event, JSON.parse(field.data), field.id);
  };

  const read = async () => {
    const broken = new AbortController();
    let watchdog;
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => broken.abort(), silence);
    };
    alive();
    try {
      const resp = await request(`/api/v1/conversations/${encodeURIComponent(conversation)}/events`, {
        headers: { Accept: "text/event-stream", "Last-Event-ID": String(position) },
        signal: AbortSignal.any([over.signal, broken.signal]),
        limit: 0,
      });
      const reader = resp.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        alive();
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        if (blocks.length) on.state("here");
        blocks.forEach(take);
      }
    } finally {
      clearTimeout(watchdog);
    }
  };

  (async () => {
    let wait = 250;
    while (!over.signal.aborted) {
      const began = Date.now();
      try {
        await read();
      } catch (e) {
        if (over.signal.aborted) return;
        if (e instanceof Failure && !e.away) {
          on.state(e.status === 401 ? "stranger" : "refused", e.message);
          if (e.status !== 429 && e.status < 500) return; // coming back would not mend it
        }
      }
      if (over.signal.aborted) return;
      on.state("away");
      if (Date.now() - began > 5000) wait = 250;
      await new Promise((done) => {
        const timer = setTimeout(done, wait * (0.75 + Math.random() / 2));
        hurry = () => {
          clearTimeout(timer);
          done();
        };
      });
      wait = Math.min(2 * wait, longest);
    }
  })();

  return { stop: () => over.abort(), hurry: () => hurry() };
}
