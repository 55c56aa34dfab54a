// What runs, what it takes, and what went wrong last.
import { legend, lineChart, timeBar } from "./charts.js";
import { button, el, table } from "./dom.js";
import { UNKNOWN, bytes, clock, count, ms, percent, rate, seconds, stateWords, tone } from "./words.js";

export const badge = (state, shade = tone(state)) => el("span", { class: `badge ${shade}` }, state?.replaceAll("_", " ") ?? UNKNOWN);
export const card = (title, ...children) => el("section", { class: "card", "aria-label": title, "data-key": title }, el("h3", {}, title), ...children);

// What a thing's progress is, to be seen and to be heard.
export function progress(name, completed, total) {
  if (!total) return el("p", {}, name);
  const words = `${percent(completed, total)} %, ${bytes(completed)} of ${bytes(total)}`;
  return el("p", { class: "progress" }, el("span", {}, name), el("progress", { max: total, value: completed, "aria-label": `${name}: ${words}` }), el("small", {}, words));
}

const pair = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));

const NOW = [["in_flight", "under way"], ["held", "held"], ["queued", "in line"]];

function stateCard({ health, requests, models = [], version, uptime_s }) {
  const loaded = models.filter((row) => row.state === "loaded").map((row) => row.name);
  const { pulling = [], loading = [], failed = [] } = health.models ?? {};
  return card("State",
    el("p", { class: "large" }, stateWords(health)),
    health.state === "asleep" && el("p", {}, el("a", { href: "#playground" }, "Ask it something"), ", or ", el("a", { href: "#models" }, "load a model"), ", to wake it now."),
    health.waiting_for?.length > 0 && el("p", {}, `Waits for ${health.waiting_for.join(", ")}.`),
    loading.map((name) => el("p", {}, `Loads ${name}.`)),
    pulling.map((row) => progress(row.name, row.completed, row.total)),
    failed.map((row) => el("p", { class: "bad" }, `${row.name}: ${row.reason}`)),
    el("p", {}, NOW.map(([key, name]) => `${requests[key]} ${name}`).join(", "), loaded.length > 0 && `. In memory: ${loaded.join(", ")}`, "."),
    el("p", { class: "small" }, `Version ${version}, up for ${seconds(uptime_s)}.`));
}

function charts({ series }) {
  if (!series) return null;
  const span = `last ${Math.round(series.tokens.length * series.step_s / 60)} minutes`;
  const perSecond = (values) => values.map((value) => value === null ? null : value / series.step_s);
  return el("section", { class: "charts", "aria-label": `Charts, ${span}` },
    lineChart("Tokens per second", [{ values: perSecond(series.tokens), words: rate }], span),
    lineChart("Time to first token", [{ values: series.first_token_ms, words: ms }], span),
    lineChart("Requests under way", [{ name: "all", values: series.in_flight, words: count }, { name: "held", values: series.held, words: count }], span),
    lineChart("Requests ended", [{ name: "all", values: series.requests, words: count }, { name: "errors", values: series.errors, words: count }], span),
    el("p", { class: "small" }, `The ${span}, in steps of ${seconds(series.step_s)}.`));
}

function sleepCard({ sleep }) {
  if (!sleep) return null;
  const whole = sleep.awake_s + sleep.asleep_s;
  return card("Sleep",
    el("dl", {}, pair("Ollama is", [badge(sleep.state), ` for ${seconds(sleep.for_s)}`]), pair("idle limit", sleep.idle_timeout_s ? seconds(sleep.idle_timeout_s) : "none"),
      pair("awake", `${seconds(sleep.awake_s)}, ${percent(sleep.awake_s, whole)} %`), pair("asleep", seconds(sleep.asleep_s)),
      pair("cold starts", count(sleep.cold_starts)), pair("wakes", count(sleep.wakes))),
    el("meter", { min: 0, max: Math.max(whole, 1), value: sleep.awake_s, "aria-label": `awake ${percent(sleep.awake_s, whole)} % of the time` }));
}

function memoryCard({ memory }) {
  if (!memory || memory.used_bytes === null) return null;
  const limit = memory.limit_bytes;
  return card("Memory",
    limit > 0 && el("meter", { min: 0, max: limit, high: limit * 0.9, value: memory.used_bytes, "aria-label": `${percent(memory.used_bytes, limit)} % of memory is used` }),
    el("dl", {}, pair("used", bytes(memory.used_bytes)), pair("limit", bytes(limit)), pair("peak", bytes(memory.peak_bytes)),
      pair("OOM kills", count(memory.oom_kills))));
}

function programs({ programs: rows = [] }) {
  return card("Programs", table("Programs that the supervisor runs", ["name", "state", "uptime", "restarts", "memory", "CPU time", "last exit"], rows.map((row) => [row.name, [
    row.name, badge(row.state, row.state === "down" && !row.reason ? "idle" : undefined), row.pid ? seconds(row.uptime_s) : UNKNOWN, count(row.restarts), bytes(row.rss_bytes),
    row.cpu_ms === null ? UNKNOWN : seconds(row.cpu_ms / 1000), [row.reason || row.last_exit || UNKNOWN, row.status ? ` (${row.status})` : ""].join("")]])));
}

function engines({ instances = [] }) {
  if (!instances.length) return null;
  return card("Engines", table("Engines that serve a model each", ["model", "engine", "state", "uptime", "memory", "reason"], instances.map((row) => [`${row.model} ${row.port}`, [
    row.model, row.engine, badge(row.state), seconds(row.uptime_s), bytes(row.rss_bytes), row.reason || UNKNOWN]])));
}

const BOOT = [["process", "exec_ms"], ["API", "api_ms"], ["models", "models_ms"], ["load", "load_ms"], ["first token", "first_token_ms"]];

// Each phase counts from the boot's beginning, and not every boot has all of them.
function bootParts(boot) {
  let before = 0;
  return BOOT.map(([name, key]) => {
    if (boot[key] === null || boot[key] === undefined) return [name, null];
    const time = Math.max(boot[key] - before, 0);
    before = Math.max(boot[key], before);
    return [name, time];
  });
}

function boots({ boots: rows = [] }) {
  if (!rows.length) return null;
  return card("Cold starts", table("The last starts of Ollama, and when each phase had ended", ["cause", "ago", "phases", ...BOOT.map(([name]) => name)],
    rows.map((boot, i) => [`boot${i}`, [boot.cause, seconds(boot.ago_s), timeBar(bootParts(boot)), ...BOOT.map(([, key]) => ms(boot[key]))]])), legend(BOOT.map(([name]) => name)),
    el("p", { class: "small" }, "The times count from the beginning of each start."));
}

function drainButton(row, rights) {
  if (row.drained === undefined || row.api === "openai") return UNKNOWN;
  const what = row.drained ? "undrain" : "drain";
  return button(what, row.name, row.drained ? "Undrain" : "Drain", { disabled: !rights.manage, "aria-label": `${what} ${row.name}` });
}

function backends({ backends: rows = [] }, rights) {
  if (!rows.length) return null;
  return card("Backends", table("Backends that answer", ["name", "state", "slots", "speed", "why", "change"], rows.map((row) => [row.name, [
    [row.name, row.url ? el("small", {}, ` ${row.url}`) : null], badge(row.drained ? "drained" : row.state), `${row.used ?? UNKNOWN} of ${row.slots || "any number"}`,
    row.speeds?.length ? row.speeds.map((speed) => `${speed.model} ${rate(speed.decode_per_s)}`).join(", ") : UNKNOWN, row.why || row.error || UNKNOWN, drainButton(row, rights)]])));
}

const FIRST_ERRORS = 5;

const errorRow = (row) => el("li", { "data-key": `${row.at} ${row.from} ${row.id} ${row.what}` },
  el("span", { class: "when" }, `${clock(row.at)} ${row.from}`), el("span", { class: "what" }, `${row.what}${row.times > 1 ? ` (${row.times} times)` : ""}`),
  row.do && el("span", { class: "todo" }, row.do), row.id && el("small", {}, ` request ${row.id}`));

function errors({ errors: rows = [] }) {
  if (!rows.length) return card("Errors", el("p", {}, "None so far."));
  const list = (some) => el("ul", { class: "errors" }, some.map(errorRow));
  const older = rows.slice(FIRST_ERRORS);
  return card("Errors", list(rows.slice(0, FIRST_ERRORS)), older.length > 0 && el("details", {}, el("summary", {}, `${older.length} before`), list(older)));
}

// All of it, as nodes.
export function overview({ status, rights }) {
  const supervisor = status.supervisor ?? {};
  return [stateCard(status), charts(status), errors(status),
    el("div", { class: "pairs" }, sleepCard(supervisor), memoryCard(supervisor)),
    status.supervisor ? programs(supervisor) : card("Programs", el("p", {}, "The proxy runs alone: no supervisor tells of programs, memory and sleep.")),
    engines(supervisor), backends(status, rights), boots(supervisor)];
}
