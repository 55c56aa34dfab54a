// A chat with a model: its answer as it comes, images, and what the time of each answer went into.
import { ask, askJson, lines, wordsOf } from "./api.js";
import { phasesOf, timeBar } from "./charts.js";
import { fail, sayAloud } from "./dialogs.js";
import { button, byId, el } from "./dom.js";
import { count, ms, phaseWords, rate } from "./words.js";

const talk = []; // messages, as /api/chat takes them
const images = []; // for the next message: {name, base64, url}
let asked = null; // the answer that comes: {id, leave, began, words, row}

const newId = () => `ui-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;

// ---- images ----

const base64Of = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.addEventListener("load", () => resolve(reader.result.slice(reader.result.indexOf(",") + 1)));
  reader.addEventListener("error", () => reject(reader.error));
  reader.readAsDataURL(file);
});

function showImages() {
  byId("images").replaceChildren(...images.map((image, i) => el("li", {}, el("img", { src: image.url, alt: image.name }),
    button("drop-image", i, "Remove", { "aria-label": `remove ${image.name}` }))));
}

async function addImages(files) {
  for (const file of files) {
    if (!file.type.startsWith("image/")) {
      fail(`${file.name} is no image.`);
      continue;
    }
    images.push({ name: file.name || "image", base64: await base64Of(file), url: URL.createObjectURL(file) });
  }
  showImages();
}

// ---- messages ----

function addMessage(role, who, text, pictures = []) {
  const body = el("p", { class: "text" }, text);
  const message = el("article", { class: `message ${role}`, "aria-label": who }, el("small", {}, who),
    pictures.map((image) => el("img", { src: image.url, alt: image.name })), body);
  byId("talk").append(message);
  showEnd();
  return { message, body };
}

// Who reads further up stays there.
const talkIsAtEnd = () => byId("talk").scrollHeight - byId("talk").scrollTop - byId("talk").clientHeight < 30;
const showEnd = () => { byId("talk").scrollTop = byId("talk").scrollHeight; };

// Thoughts, where a model tells them, are folded away above its answer.
function thoughtsOf(message, body) {
  const text = el("p", { class: "text" });
  message.insertBefore(el("details", {}, el("summary", {}, "thoughts"), text), body);
  return text;
}

function showTimes(message, row) {
  const words = [row.wait_ms && `held ${ms(row.wait_ms)}`, row.queue_ms && `in line ${ms(row.queue_ms)}`, row.load_ms && `loaded ${ms(row.load_ms)}`,
    row.first_token_ms !== null && `first token after ${ms(row.first_token_ms)}`, `all of it ${ms(row.total_ms)}`, row.tokens && `${count(row.tokens)} tokens`,
    row.tokens_per_s && rate(row.tokens_per_s)].filter(Boolean);
  const times = el("footer", { class: "times" }, timeBar(phasesOf(row)), el("small", {}, words.join(" · ")));
  message.querySelector(".times")?.remove();
  message.append(times);
}

const headerMs = (answer, name) => Number(answer.headers.get(`X-Sidecar-${name}-Ms`) ?? 0);

// What the last line tells of tokens, as Ollama counts them.
const tokensOf = (last) => ({ tokens: last?.eval_count ?? null, prompt_tokens: last?.prompt_eval_count ?? null,
  tokens_per_s: last?.eval_count && last.eval_duration ? last.eval_count / (last.eval_duration / 1e9) : null });

// ---- an answer ----

// What came of it is in `said`, also where it breaks off.
async function read(answer, message, body, times, said) {
  let thoughts = null, last = null;
  const end = body.appendChild(document.createTextNode(""));
  for await (const line of lines(answer, (object) => object.done)) {
    const { content = "", thinking = "" } = line.message ?? {};
    if ((content || thinking) && times.first_token_ms === null) times.first_token_ms = performance.now() - asked.began;
    const isAtEnd = talkIsAtEnd();
    if (thinking) (thoughts ??= thoughtsOf(message, body)).append(thinking);
    if (content) end.appendData(content);
    if (isAtEnd) showEnd();
    said.content += content;
    if (line.done) last = line;
  }
  return last;
}

// A connection that breaks takes with it what was sent last: the sidecar knows better.
async function whyOf(error, id) {
  if (!(error instanceof TypeError)) return wordsOf(error);
  const rows = await askJson("sidecar/requests").then(({ requests }) => requests.recent, () => []);
  return rows.find((row) => row.id === id)?.error ?? wordsOf(error);
}

function begin(model) {
  const text = byId("prompt").value, pictures = images.splice(0);
  const message = { role: "user", content: text };
  if (pictures.length) message.images = pictures.map((image) => image.base64);
  talk.push(message);
  addMessage("user", "you", text, pictures);
  byId("prompt").value = "";
  showImages();
  asked = { id: newId(), message, pictures, leave: new AbortController(), began: performance.now(), words: "asked" };
  asked.ticks = setInterval(showProgress, 500);
}

// What nothing came of is no part of the talk: it can be sent again. By then a new talk may have begun.
function takeBack() {
  if (talk.at(-1) !== asked.message) return;
  const { content } = talk.pop();
  byId("prompt").value ||= content;
  images.unshift(...asked.pictures);
  showImages();
}

function end() {
  clearInterval(asked.ticks);
  asked = null;
  showProgress();
}

// Under way, its phase as the sidecar tells it.
function showProgress() {
  byId("send").disabled = asked !== null;
  byId("stop").disabled = asked === null;
  byId("progress").textContent = asked ? `${asked.words}, ${ms(performance.now() - asked.began)}` : "";
}

async function send() {
  const model = byId("model").value;
  if (asked || !byId("prompt").value.trim()) return;
  if (!model) {
    fail("There is no model yet: pull one, on the page Models.");
    return;
  }
  begin(model);
  showProgress();
  const { message, body } = addMessage("assistant", model, "");
  const times = { wait_ms: 0, queue_ms: 0, load_ms: 0, first_token_ms: null, total_ms: null };
  const said = { role: "assistant", content: "" };
  message.setAttribute("aria-busy", "true");
  message.dataset.id = asked.id;
  try {
    const answer = await ask("api/chat", { method: "POST", body: { model, messages: talk, stream: true }, signal: asked.leave.signal, headers: { "X-Request-Id": asked.id } });
    Object.assign(times, { wait_ms: headerMs(answer, "Wait"), queue_ms: headerMs(answer, "Queue"), load_ms: headerMs(answer, "Load") });
    Object.assign(times, tokensOf(await read(answer, message, body, times, said)));
    sayAloud("The answer is complete.");
  } catch (error) {
    const isStopped = asked.leave.signal.aborted, why = isStopped ? "Stopped." : await whyOf(error, asked.id);
    message.append(el("p", { class: isStopped ? "small" : "bad" }, why));
    if (!isStopped) fail(why);
    if (!said.content) takeBack();
  }
  times.total_ms = performance.now() - asked.began;
  message.removeAttribute("aria-busy");
  const isAtEnd = talkIsAtEnd();
  showTimes(message, times);
  if (isAtEnd) showEnd();
  if (talk.at(-1) === asked.message) talk.push(said);
  end();
}

// ---- what comes from the state ----

function fillModels(models) {
  const select = byId("model"), names = [...new Set(models.map((row) => row.name))], chosen = select.value;
  if (names.join("\n") === [...select.options].map((option) => option.value).join("\n")) return;
  const loaded = models.find((row) => row.state === "loaded")?.name;
  select.replaceChildren(...names.map((name) => el("option", { value: name }, name)));
  select.value = names.includes(chosen) ? chosen : loaded ?? names[0] ?? "";
}

// The sidecar knows what a request waits for, and what became of it, also where its headers had left before.
export function playgroundSees({ models = [], requests }) {
  fillModels(models);
  if (asked) {
    const row = requests.live.find((one) => one.id === asked.id);
    if (row) asked.words = phaseWords(row);
  }
  for (const row of requests.recent) {
    const message = row.id?.startsWith("ui-") && document.querySelector(`.message[data-id="${row.id}"]:not([aria-busy])`);
    if (!message) continue;
    showTimes(message, row);
    delete message.dataset.id;
  }
}

export const playgroundActions = {
  send,
  stop: () => asked?.leave.abort(),
  "drop-image": (i) => {
    URL.revokeObjectURL(images.splice(Number(i), 1)[0].url);
    showImages();
    byId("image").focus();
  },
  forget: () => {
    asked?.leave.abort();
    talk.length = 0;
    byId("talk").replaceChildren();
    byId("prompt").focus();
  },
};

export function startPlayground() {
  byId("image").addEventListener("change", async (event) => {
    await addImages(event.target.files);
    event.target.value = "";
  });
  byId("prompt").addEventListener("paste", (event) => addImages([...event.clipboardData.files]));
  byId("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
  });
  showProgress();
}
