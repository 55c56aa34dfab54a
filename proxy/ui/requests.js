// Who is being answered, what each waits for, and how the last ones ended.
import { legend, phasesOf, timeBar } from "./charts.js";
import { button, el, table } from "./dom.js";
import { badge, card } from "./overview.js";
import { UNKNOWN, clock, count, ms, phaseWords, rate, tone } from "./words.js";

const about = (row) => [el("strong", {}, row.model || UNKNOWN), el("small", {}, ` ${row.method} ${row.path}`)];
const who = (row) => [row.client, row.key && ` (${row.key})`, row.backend && ` → ${row.backend}`].filter(Boolean).join("");

function live({ requests }, rights) {
  if (!requests.live.length) return card("Under way", el("p", {}, "Nobody asks for anything."));
  const rows = requests.live.map((row) => [row.id, [
    about(row), who(row), el("span", { class: `phase ${row.phase}` }, `${phaseWords(row)} for ${ms(row.phase_ms)}`), ms(row.age_ms), count(row.tokens),
    button("cancel", row.id, "Cancel", { disabled: !rights.manage, "aria-label": `cancel the request ${row.id} for ${row.model || "no model"}` })]]);
  return card("Under way", table("Requests under way", ["model", "client", "phase", "age", "tokens", "change"], rows),
    requests.more > 0 && el("p", {}, `and ${requests.more} more`));
}

function recent({ requests }) {
  if (!requests.recent.length) return card("Ended", el("p", {}, "None so far."));
  const rows = requests.recent.map((row) => [`${row.id} ${row.at}`, [
    clock(row.at), about(row), who(row), [badge(row.ended, row.status >= 400 ? "bad" : tone(row.ended)), ` ${row.status || ""}`, row.error && el("small", { class: "bad" }, ` ${row.error}`)],
    timeBar(phasesOf(row)), ms(row.first_token_ms), ms(row.total_ms), row.tokens === null ? UNKNOWN : `${count(row.prompt_tokens)} → ${count(row.tokens)}`, rate(row.tokens_per_s)]]);
  return card("Ended", table("Requests that ended, the last one first", ["at", "model", "client", "end", "where the time went", "first token", "in all", "tokens", "speed"], rows),
    legend(["held", "in line", "loading", "prompt", "answer"]));
}

function queue({ queue: line }) {
  const priorities = Object.entries(line?.by_priority ?? {}).filter(([, n]) => n > 0);
  return priorities.length > 0 && card("In line", el("p", {}, priorities.map(([priority, n]) => `priority ${priority}: ${n}`).join(", ")));
}

// All of it, as nodes.
export const requests = ({ status, rights }) => [live(status, rights), queue(status), recent(status)];
