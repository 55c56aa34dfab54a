// Nodes are made here. Whatever a model, a program or a client has written becomes a text node, and nothing else.
import { UNKNOWN } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const byId = (id) => document.getElementById(id);
export const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// A button that main.js knows by `what`, and what it is about.
export const button = (what, about, text, more = {}) => el("button", { type: "button", "data-do": what, "data-about": about, ...more }, text);

// Each key once: clients may give requests the same name.
function distinct(keys) {
  const counts = new Map();
  return keys.map((key) => {
    counts.set(key, (counts.get(key) ?? 0) + 1);
    return counts.get(key) > 1 ? `${key} ${counts.get(key)}` : key;
  });
}

// A table that is a list of cards on a small screen; rows: [key, cells]. Roles are said, as a browser forgets them there.
export function table(caption, heads, rows) {
  const keys = distinct(rows.map(([key]) => key));
  const isShort = (content) => typeof content === "string" && content.length <= 16;
  const cell = (content, i) => el("td", { role: "cell", "data-label": heads[i], class: content === UNKNOWN ? "unknown" : isShort(content) && "short" }, content);
  return el("table", { role: "table", "aria-label": caption },
    el("caption", {}, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, heads.map((head) => el("th", { role: "columnheader", scope: "col" }, head)))),
    el("tbody", { role: "rowgroup" }, rows.map(([, cells], i) => el("tr", { role: "row", "data-key": keys[i] }, cells.map(cell)))));
}

const keyOf = (node) => node.dataset?.key;

function drop(node) {
  const heading = node.contains(document.activeElement) && node.parentNode.closest("main > section")?.querySelector("h2");
  node.remove();
  if (heading) heading.focus(); // who was there with the keyboard is not thrown back to the page's beginning
}

function morph(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  place(old, [...fresh.childNodes]);
}

// Makes the children of `parent` what `fresh` is, and keeps those that are the same: focus, selection and what is open stay.
export function place(parent, nodes) {
  const fresh = nodes.filter(Boolean);
  const wanted = new Set(fresh.map(keyOf));
  for (const node of [...parent.childNodes]) if (keyOf(node) !== undefined && !wanted.has(keyOf(node))) drop(node);
  const keyed = new Map([...parent.childNodes].filter((node) => keyOf(node) !== undefined).map((node) => [keyOf(node), node]));
  let at = parent.firstChild;
  for (const node of fresh) {
    const key = keyOf(node);
    const same = key !== undefined ? keyed.get(key) : at && keyOf(at) === undefined && at.nodeName === node.nodeName ? at : null;
    if (!same || same.nodeName !== node.nodeName) {
      parent.insertBefore(node, at);
      continue;
    }
    if (same === at) at = at.nextSibling;
    else parent.insertBefore(same, at);
    morph(same, node);
  }
  while (at) {
    const next = at.nextSibling;
    drop(at);
    at = next;
  }
}
