// Small charts: lines over time, and bars of what the time went into. Each says in words what it shows.
import { el, svg } from "./dom.js";
import { UNKNOWN, ms } from "./words.js";

const WIDTH = 240, HEIGHT = 48;

// null: nothing is known of that step; the line goes on with the next.
function path(values, most) {
  const step = WIDTH / Math.max(values.length - 1, 1);
  const points = values.map((value, i) => value === null ? null : `${(i * step).toFixed(1)} ${(HEIGHT - 2 - (HEIGHT - 6) * value / most).toFixed(1)}`).filter(Boolean);
  return points.length ? `M${points.join("L")}${points.length === 1 ? "h-2" : ""}` : "";
}

// lines: [{name, values, words(value)}]; the first one's last value stands beside the title.
export function lineChart(title, lines, spanWords) {
  const numbers = lines.flatMap((line) => line.values.filter((value) => value !== null));
  const most = Math.max(...numbers, 1e-9);
  const last = (line) => line.values.findLast((value) => value !== null);
  const words = (line, value) => value === undefined ? UNKNOWN : line.words(value);
  const atMost = (line) => `at most ${words(line, last(line) === undefined ? undefined : Math.max(...line.values))}`; // null is less than what is known
  const told = lines.map((line) => `${line.name ? line.name + " " : ""}now ${words(line, last(line))}, ${atMost(line)}`);
  return el("figure", { class: "chart" },
    el("figcaption", {}, el("span", {}, title), el("strong", {}, words(lines[0], last(lines[0])))),
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${title}, ${spanWords}: ${told.join("; ")}` },
      lines.map((line, i) => svg("path", { d: path(line.values, most), class: `line line-${i}` }))),
    el("small", { class: "legend" }, lines.map((line, i) => el("span", { class: line.name && `key key-${i}` }, [line.name, atMost(line)].filter(Boolean).join(", ")))));
}

// What the colours of time bars mean.
export const legend = (names) => el("p", { class: "small legend" }, names.map((name, i) => el("span", { class: `swatch part-${i}` }, name)));

// parts: [[name, ms]]; null and 0 are left out.
export function timeBar(parts) {
  const there = parts.map(([name, time], i) => ({ name, time, i })).filter(({ time }) => time > 0);
  const whole = there.reduce((sum, part) => sum + part.time, 0);
  let at = 0;
  const bars = there.map((part) => {
    const bar = svg("rect", { x: at, y: 0, width: WIDTH * part.time / whole, height: 8, class: `part part-${part.i}` }, svg("title", {}, `${part.name} ${ms(part.time)}`));
    at += WIDTH * part.time / whole;
    return bar;
  });
  const label = there.map((part) => `${part.name} ${ms(part.time)}`).join(", ") || "nothing yet";
  return svg("svg", { class: "bar", viewBox: `0 0 ${WIDTH} 8`, preserveAspectRatio: "none", role: "img", "aria-label": label }, bars);
}

// What a request's time went into, of a row of `recent`, or what the playground measured of one. Of an answer as a whole no first token is known.
export function phasesOf(row) {
  const before = (row.wait_ms ?? 0) + (row.queue_ms ?? 0) + (row.load_ms ?? 0);
  const first = row.first_token_ms ?? null;
  return [["held", row.wait_ms], ["in line", row.queue_ms], ["loading", row.load_ms], ["prompt", first === null ? null : Math.max(first - before, 0)],
    ["answer", row.total_ms === null ? null : row.total_ms - (first ?? before)]];
}
