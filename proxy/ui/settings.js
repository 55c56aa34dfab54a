// Which settings are in force, and where each comes from.
import { askJson, wordsOf } from "./api.js";
import { byId, el, place, table } from "./dom.js";
import { UNKNOWN } from "./words.js";

let rows = [];

const matches = (row, text, isChanged) => (!isChanged || row.source !== "default") && `[${row.section}] ${row.key} ${row.value}`.toLowerCase().includes(text);
const from = (row) => row.source === "default" ? "default" : [row.source, row.where].filter(Boolean).join(": ");

function showRows() {
  const text = byId("settings-filter").value.toLowerCase(), isChanged = byId("settings-changed").checked;
  const found = rows.filter((row) => matches(row, text, isChanged));
  const cells = (row) => [el("code", {}, `[${row.section}] ${row.key}`), el("code", { class: "value" }, row.value ?? UNKNOWN), from(row),
    row.source === "default" ? "" : el("code", { class: "value" }, row.default ?? UNKNOWN)];
  place(byId("settings-rows"), [found.length ? table(`${found.length} of ${rows.length} settings`, ["setting", "value", "from", "default"],
    found.map((row) => [`${row.section} ${row.key}`, cells(row)])) : el("p", {}, "There is no such setting.")]);
}

export async function lookAtSettings() {
  try {
    rows = (await askJson("sidecar/settings")).settings;
    showRows();
  } catch (error) {
    place(byId("settings-rows"), [el("p", { class: "bad" }, wordsOf(error))]);
  }
}

export function startSettings() {
  byId("settings-filter").addEventListener("input", showRows);
  byId("settings-changed").addEventListener("change", showRows);
}
