// Numbers and states as people read them.

export const UNKNOWN = "–";
const known = (value) => value !== null && value !== undefined;

export function bytes(n) {
  if (!known(n)) return UNKNOWN;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  for (; n >= 1000 && i < units.length - 1; i++) n /= 1000;
  return `${i && n < 100 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

export function ms(n) {
  if (!known(n)) return UNKNOWN;
  if (n < 1000) return `${Math.round(n)} ms`;
  return n < 99950 ? `${(n / 1000).toFixed(1)} s` : seconds(n / 1000);
}

export function seconds(n) {
  if (!known(n)) return UNKNOWN;
  n = Math.round(n);
  if (n < 100) return `${n} s`;
  if (n < 7200) return `${Math.round(n / 60)} min`;
  return n < 172800 ? `${(n / 3600).toFixed(1)} h` : `${Math.round(n / 86400)} days`;
}

export const rate = (n) => known(n) ? `${n < 100 ? n.toFixed(1) : Math.round(n)}/s` : UNKNOWN;
export const percent = (part, whole) => whole > 0 ? Math.floor(100 * part / whole) : 0;
export const count = (n) => known(n) ? n.toLocaleString("en") : UNKNOWN;
export const clock = (at) => {
  const time = new Date(at);
  return Number.isNaN(time.getTime()) ? UNKNOWN : time.toLocaleTimeString("en-GB");
};

const STATES = {
  ready: "Ready.",
  asleep: "Asleep, as nobody needed it. The next request wakes it.",
  waking: "Waking: requests are held until it is there.",
  starting: "Starting: requests are held until it is there.",
  pulling: "Pulling models.",
  loading: "Loading a model.",
  hung: "Hung: it does not answer, and is started again.",
  failed: "Failed.",
};

// The whole state in a sentence or two.
export function stateWords(health) {
  if (!health) return UNKNOWN;
  return [STATES[health.state] ?? `${health.state}.`, health.error && `${health.error[0].toUpperCase()}${health.error.slice(1)}.`].filter(Boolean).join(" ");
}

// good, busy, idle or bad: what a state is shown as.
export function tone(state) {
  if (["ready", "up", "loaded", "done", "ok", "success", "running", "awake"].includes(state)) return "good";
  if (["failed", "hung", "down", "backoff", "timeout", "error"].includes(state) || state?.startsWith("backend_")) return "bad";
  return ["asleep", "on disk", "listed", "exited", "drained", "stopped"].includes(state) ? "idle" : "busy";
}

const PHASES = {
  receiving: "its body is coming", held: "held", pulling: "waits for its model to be pulled", loading: "loads its model", queued: "in line",
  waiting: "waits for the first token", streaming: "streaming", listening: "listens to another's answer", mapping: "summarises parts",
};
export const phaseWords = (row) => (PHASES[row.phase] ?? row.phase) + (row.phase === "queued" && row.place ? `, place ${row.place}` : "");
