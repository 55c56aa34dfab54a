// Which models there are, and what becomes of them: loaded, unloaded, pulled, deleted.
import { ask, askJson, lines } from "./api.js";
import { confirmed, fail, say } from "./dialogs.js";
import { button, byId, el, table } from "./dom.js";
import { badge, card, progress } from "./overview.js";
import { UNKNOWN, bytes, ms } from "./words.js";

const PULLS = 2; // at once from here: a browser has six connections

const pulls = new Map(); // of this page: model -> {leave, status, completed, total}
const busy = new Map(); // model -> what is done with it

function changes(row, rights) {
  if (busy.has(row.name)) return busy.get(row.name);
  const one = (what, text) => button(what, row.name, text, { disabled: !rights.manage, "aria-label": `${what} ${row.name}`, "data-where": row.where });
  const isOurs = row.where === "ollama" || row.where === "hub";
  if (row.state === "loaded") return [one("unload", "Unload"), isOurs && one("delete", "Delete")];
  if (row.state === "on disk" || row.state === "failed") return [one("load", "Load"), isOurs && one("delete", "Delete")];
  return row.state === "listed" && isOurs ? one("load", "Load") : UNKNOWN;
}

function listed({ models = [] }, rights) {
  if (!models.length) return el("p", {}, "There is no model yet: pull one.");
  return table("Models", ["name", "where", "state", "size", "in memory", "until", "change"], models.map((row) => [`${row.where} ${row.name}`, [
    el("strong", {}, row.name), row.where, [badge(row.state), row.reason && el("small", { class: "bad" }, ` ${row.reason}`)], bytes(row.size_bytes), bytes(row.memory_bytes),
    row.expires_at ? new Date(row.expires_at).toLocaleTimeString("en-GB") : UNKNOWN, changes(row, rights)]]));
}

function pulling(status) {
  const rows = new Map((status.pulls ?? []).map((row) => [row.model, row]));
  for (const [model, row] of pulls) rows.set(model, { model, ...row });
  return rows.size > 0 && card("Pulls", [...rows.values()].map((row) => el("div", { class: "pull", "data-key": row.model },
    progress(`${row.model}: ${row.status || "pulling"}`, row.completed, row.total), pulls.has(row.model) && button("stop-pull", row.model, "Stop", { "aria-label": `stop pulling ${row.model}` }))));
}

// All of it but the form, as nodes.
export const models = ({ status, rights }) => [pulling(status), card("Models", listed(status, rights))];

// Notes in `notes` what is done with a model, does it, and tells of it when all is drawn as it is then.
async function doing(notes, model, note, work, failed, render) {
  let tell;
  notes.set(model, note);
  render();
  try {
    const words = await work();
    tell = () => say(words);
  } catch (error) {
    tell = () => failed(error);
  }
  notes.delete(model);
  render();
  tell();
}

const change = (model, words, work, render) => doing(busy, model, words, work, (error) => fail(error, `${model}: `), render);

const isHub = (name) => name.includes("/") && byId("pull-from").value === "hub";

function pull(model, isOfHub, render) {
  const row = { leave: new AbortController(), status: "asked" };
  const work = async () => {
    const answer = await ask(isOfHub ? "pull" : "api/pull", { method: "POST", body: { model, stream: true }, signal: row.leave.signal });
    for await (const line of lines(answer, (last) => last.status === "success")) {
      Object.assign(row, { status: line.status, completed: line.completed ?? row.completed, total: line.total ?? row.total });
      render();
    }
    return `${model} is there.`;
  };
  const failed = (error) => row.leave.signal.aborted ? say(`${model} is pulled no more from here.`) : fail(error, `${model} could not be pulled: `);
  return doing(pulls, model, row, work, failed, render);
}

// What the buttons of this view do, by their names.
export const modelActions = (render) => ({
  load: (model) => change(model, "loading…", async () => {
    const { load_ms } = await askJson("sidecar/models/load", { method: "POST", body: { model } });
    return `${model} is loaded${load_ms === undefined || load_ms === null ? "" : `, in ${ms(load_ms)}`}.`;
  }, render),
  unload: (model) => change(model, "unloading…", async () => {
    await askJson("sidecar/models/unload", { method: "POST", body: { model } });
    return `${model} is unloaded.`;
  }, render),
  delete: async (model, from) => {
    if (!await confirmed(`Delete ${model} from the disk?`, "Delete")) return;
    await change(model, "deleting…", async () => {
      if (from.dataset.where === "hub") await ask(`models/${model.split("/").map(encodeURIComponent).join("/")}`, { method: "DELETE" });
      else await ask("api/delete", { method: "DELETE", body: { model } });
      return `${model} is deleted.`;
    }, render);
  },
  "stop-pull": (model) => pulls.get(model)?.leave.abort(),
  pull: () => {
    const model = byId("pull-model").value.trim();
    if (!model || pulls.has(model)) return;
    if (pulls.size >= PULLS) fail(`${PULLS} pulls at once are enough: wait for one of them, or stop it.`);
    else {
      byId("pull-model").value = "";
      pull(model, isHub(model), render);
    }
  },
});
