// What all load tests share: where to ask, how to ask, and what is measured of an answer beside k6's own figures.
import http from "k6/http";
import { check } from "k6";
import { Counter, Trend } from "k6/metrics";

export const BASE_URL = (__ENV.BASE_URL || "http://127.0.0.1:3000").replace(/\/+$/, "");
export const MODEL = __ENV.MODEL || "llama3.2:1b";
const WORDS = "the quick brown fox jumps over the lazy dog and reads a long report about it".split(" ");

// How long a request stood in line, as the proxy tells it; how long it was expected to when it came; and which backend answered.
export const queued = new Trend("sidecar_queue_ms", true);
export const estimated = new Trend("sidecar_estimate_ms", true);
export const answered = new Counter("sidecar_answers");
// Refused with 503 or 429 and a Retry-After: the line is full, or a limit is reached. That is an answer, not a failure.
export const refused = new Counter("sidecar_refused");

// A number of the environment; a mistake ends the run before it begins.
export function number(name, otherwise) {
  const value = __ENV[name] === undefined || __ENV[name] === "" ? otherwise : Number(__ENV[name]);
  if (!Number.isFinite(value) || value < 0) throw new Error(`${name}=${__ENV[name]}: a number is wanted, 0 or more`);
  return value;
}

// A prompt of so many words that no two requests share, so that nobody answers from a cache.
export function prompt(words) {
  const text = Array.from({ length: words }, (_, i) => WORDS[(i * 7 + __ITER) % WORDS.length]);
  return `${__VU}-${__ITER}-${Date.now()}: ${text.join(" ")}`;
}

export function post(path, body, { priority, tags = {} } = {}) {
  const headers = { "Content-Type": "application/json" };
  if (__ENV.KEY) headers.Authorization = `Bearer ${__ENV.KEY}`;
  if (priority !== undefined) headers["X-Priority"] = String(priority);
  const answer = http.post(BASE_URL + path, JSON.stringify(body), {
    headers,
    timeout: __ENV.TIMEOUT || "10m", // there is no limit on a request in the proxy; a load test wants one
    responseCallback: http.expectedStatuses(200, 429, 503),
    tags: { name: path, ...tags },
  });
  note(answer, tags);
  return answer;
}

function note(answer, tags) {
  const told = (name) => Number(answer.headers[name]);
  if (answer.status === 200) {
    answered.add(1, { backend: answer.headers["X-Sidecar-Backend"] || "unknown", ...tags });
    queued.add(told("X-Sidecar-Queue-Ms") || 0, tags);
    if (told("X-Sidecar-Estimate-Ms")) estimated.add(told("X-Sidecar-Estimate-Ms"), tags);
  } else if (answer.status === 429 || answer.status === 503) {
    refused.add(1, tags);
    check(answer, { "a refusal says when to come again": (a) => told("Retry-After") > 0 && a.body.length > 0 });
  }
}

// POST /ollama/generate: one JSON, unless stream is asked for.
export function generate({ words = 20, tokens = 16, stream, priority, tags } = {}) {
  const body = { model: MODEL, prompt: prompt(words), options: { num_predict: tokens } };
  if (stream !== undefined) body.stream = stream;
  if (priority !== undefined) body.priority = priority;
  return post("/ollama/generate", body, { tags });
}

// POST /v1/chat/completions, as OpenAI's clients ask.
export function chat({ words = 20, tokens = 16, stream = false, priority, tags } = {}) {
  const body = { model: MODEL, stream, max_tokens: tokens, messages: [{ role: "user", content: prompt(words) }] };
  return post("/v1/chat/completions", body, { priority, tags });
}

export function isWhole(answer) {
  return answer.status === 200 && answer.json("done") === true && answer.json("response") !== undefined;
}

export function isWholeChat(answer) {
  return answer.status === 200 && (answer.json("choices.0.finish_reason") || "") !== "";
}

// The last line of a stream of Ollama's says that it is done; of OpenAI's, [DONE]. An error object, or a cut, is neither.
export function isWholeStream(answer) {
  const lines = answer.status === 200 ? answer.body.trim().split("\n") : [];
  return lines.length > 0 && /"done":\s*true/.test(lines[lines.length - 1]);
}

export function isWholeEvents(answer) {
  return answer.status === 200 && answer.body.trim().endsWith("data: [DONE]");
}

// A run fails by these where a script says nothing else: no connection lost, no status but those expected, no answer cut.
export const THRESHOLDS = {
  checks: ["rate==1"],
  http_req_failed: ["rate<0.001"],
};
