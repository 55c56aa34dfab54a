// The state as it changes: one plain fetch, then server-sent events, again and again; a page that nobody looks at leaves them to others.
import { ask, askJson, events } from "./api.js";

const FIRST_PAUSE_MS = 1000, LAST_PAUSE_MS = 15000, POLL_MS = 5000, POLLS = 12, HIDDEN_MS = 60000;
const NO_EVENTS = [503, 403]; // all places to listen are taken; or its key sees some models only, and what is told there is told to all

// on: {status(object), rights(object), lost(error), refused(error)}; the last resolves to true where it is worth another try.
export function startFeed(on) {
  let leave = new AbortController(), pause = FIRST_PAUSE_MS, wake = () => {}, hidden = 0;

  const rest = (time) => new Promise((resolve) => {
    wake = resolve;
    if (time !== undefined) setTimeout(resolve, time);
  });

  function take(status) {
    pause = FIRST_PAUSE_MS;
    if (status.rights) on.rights(status.rights);
    on.status(status);
  }

  const look = async () => take(await askJson("sidecar/status", { signal: leave.signal }));

  async function listen() {
    for await (const [name, object] of events(await ask("sidecar/events", { headers: { Accept: "text/event-stream" }, signal: leave.signal }))) {
      if (name === "hello") on.rights(object.rights);
      else if (name === "status") take(object);
    }
  }

  async function poll() {
    for (let i = 0; i < POLLS; i++) {
      await rest(POLL_MS);
      await look();
    }
  }

  // Once, to its end; whether it may be tried again soon.
  async function follow() {
    try {
      await look();
      await listen().catch((error) => NO_EVENTS.includes(error.status) ? poll() : Promise.reject(error));
    } catch (error) {
      if (leave.signal.aborted) return;
      if (error.status !== 401 && error.status !== 403) on.lost(error);
      else if (!await on.refused(error)) await rest(); // until another key is given
    }
  }

  async function go() {
    for (;;) {
      await follow();
      if (document.hidden) await rest();
      else if (!leave.signal.aborted) {
        await rest(pause);
        pause = Math.min(pause * 2, LAST_PAUSE_MS);
      }
      if (leave.signal.aborted) leave = new AbortController();
    }
  }

  function again() {
    leave.abort();
    wake();
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(hidden);
    if (document.hidden) hidden = setTimeout(() => leave.abort(), HIDDEN_MS);
    else wake();
  });
  go();
  return { again };
}
