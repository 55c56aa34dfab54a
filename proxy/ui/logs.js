// What the programs write, as it comes.
import { ask, lines, wordsOf } from "./api.js";
import { byId, el } from "./dom.js";
import { clock } from "./words.js";

const KEPT = 1000, FIRST = 200, PAUSE_MS = 3000;

let leave = null; // NULL: the view is not looked at
let names = new Set();

const isWanted = (row) => (!byId("log-program").value || row.dataset.name === byId("log-program").value)
  && row.textContent.toLowerCase().includes(byId("log-filter").value.toLowerCase());

function fillNames(name) {
  if (!name || names.has(name)) return;
  names = new Set([...names, name].sort());
  const select = byId("log-program"), chosen = select.value;
  select.replaceChildren(el("option", { value: "" }, "all"), ...[...names].map((one) => el("option", { value: one }, one)));
  select.value = chosen;
}

function add(line) {
  const list = byId("log");
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 30;
  const row = line.dropped !== undefined ? el("li", { class: "warning" }, `${line.dropped} lines were lost`)
    : el("li", { class: line.level, "data-name": line.name }, el("span", { class: "when" }, clock(line.at)), el("span", { class: "name" }, line.name), el("span", { class: "text" }, line.line));
  fillNames(line.name);
  row.hidden = !isWanted(row);
  list.append(row);
  while (list.childElementCount > KEPT) list.firstChild.remove();
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}

async function follow(signal) {
  const answer = await ask(`sidecar/logs?lines=${FIRST}&follow=1`, { signal });
  byId("log").replaceChildren();
  byId("log-state").textContent = "";
  for await (const line of lines(answer)) add(line);
}

async function go(signal) {
  while (!signal.aborted) {
    try {
      await follow(signal);
      byId("log-state").textContent = "The log has ended; it is asked for again.";
    } catch (error) {
      if (signal.aborted) return;
      byId("log-state").textContent = wordsOf(error);
      if (error.status) return; // it says why, and asking again would change nothing
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

// While it is looked at, it is followed.
export function lookAtLogs(isLookedAt) {
  if (isLookedAt === Boolean(leave)) return;
  leave?.abort();
  leave = isLookedAt ? new AbortController() : null;
  if (leave) go(leave.signal);
}

export function startLogs() {
  const filter = () => [...byId("log").children].forEach((row) => { row.hidden = !isWanted(row); });
  byId("log-filter").addEventListener("input", filter);
  byId("log-program").addEventListener("change", filter);
}
