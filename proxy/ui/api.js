// What is asked of the sidecar, with the key that was given, if any. Addresses are relative, so that the page works behind a prefix.

const KEY = "sidecar-key";
let key = sessionStorage.getItem(KEY);

export const hasKey = () => Boolean(key);

export function setKey(text) {
  key = text || null;
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

// An answer that is an error: what its sender says of it.
export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function errorOf(answer) {
  const text = (await answer.text()).slice(0, 2000);
  try {
    const { error } = JSON.parse(text);
    return new Refused(answer.status, error.message ?? String(error));
  } catch {
    return new Refused(answer.status, `the answer was ${answer.status}, without words`);
  }
}

// Resolves to an answer of status 2xx; else it throws what Refused or fetch() says.
export async function ask(path, { method = "GET", body, signal, headers = {} } = {}) {
  const lines = { ...headers };
  if (key) lines.Authorization = `Bearer ${key}`;
  if (body !== undefined) lines["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, signal, headers: lines, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store" });
  if (!answer.ok) throw await errorOf(answer);
  return answer;
}

export const askJson = async (path, options) => (await ask(path, options)).json();

// The pieces of an answer that one of these ends. What comes last before a connection breaks is read, too; who leaves early asks for no more.
async function* pieces(answer, end) {
  const reader = answer.body.getReader(), decoder = new TextDecoder();
  let rest = "";
  try {
    for (let part = {}; !part.done;) {
      part = await reader.read();
      const parts = (rest + decoder.decode(part.value, { stream: !part.done })).split(end);
      rest = parts.pop();
      yield* parts;
    }
    if (rest.trim()) yield rest;
  } finally {
    reader.cancel().catch(() => {}); // it is broken already
  }
}

const BROKEN = "the answer ended in the middle";

function objectOf(line) {
  try {
    return JSON.parse(line);
  } catch {
    throw new Error(BROKEN);
  }
}

// Objects, a line each, of which one that isLast() has to come; blank lines are signs of life, and one that is an error is thrown.
export async function* lines(answer, isLast) {
  let isWhole = !isLast;
  for await (const line of pieces(answer, "\n")) {
    if (!line.trim()) continue;
    const object = objectOf(line);
    if (object.error) throw new Error(object.error.message ?? object.error);
    isWhole ||= isLast(object);
    yield object;
  }
  if (!isWhole) throw new Error(BROKEN);
}

// What an error says to a person; fetch() throws a TypeError where a connection fails.
export const wordsOf = (error) => error instanceof TypeError ? `the connection to the sidecar was lost (${error.message})` : error.message;

// Server-sent events: [name, object]. https://html.spec.whatwg.org/multipage/server-sent-events.html
export async function* events(answer) {
  let name = "message", data = [];
  for await (const line of pieces(answer, /\r\n|\n|\r/)) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5));
    else if (line === "" && data.length) {
      yield [name, JSON.parse(data.join("\n"))];
      name = "message";
      data = [];
    }
  }
}
