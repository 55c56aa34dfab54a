// The clients for Node: each line of stdin asks one of them, each line of stdout says what it saw (asking.py is the other end).
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import { createOllama } from "ai-sdk-ollama";
import { Ollama } from "ollama";
import OpenAI from "openai";

globalThis.AI_SDK_LOG_WARNINGS = false;
const messages = [{ role: "user", content: "hi" }];

async function* ollamaJs({ url, api, model, stream }) {
  const client = new Ollama({ host: url });
  const answer = await (api === "chat" ? client.chat({ model, messages, stream }) : client.generate({ model, prompt: "hi", stream }));
  const textOf = (part) => (api === "chat" ? part.message.content : part.response);
  if (!stream) yield textOf(answer);
  else for await (const part of answer) yield textOf(part);
}

async function* openaiNode({ url, api, model, stream }) {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
  const answer = await (api === "chat" ? client.chat.completions.create({ model, messages, stream })
    : client.completions.create({ model, prompt: "hi", stream }));
  const textOf = (choice) => (choice.delta ?? choice.message)?.content ?? choice.text ?? "";
  if (!stream) yield* answer.choices.map(textOf);
  else for await (const part of answer) yield* part.choices.map(textOf);
}

// The AI SDK hands errors of a stream to onError, and as a part of fullStream.
async function* aiSdk(model, { stream }) {
  const question = { model, prompt: "hi", maxRetries: 0, onError: () => {} };
  if (!stream) {
    yield (await generateText(question)).text;
    return;
  }
  for await (const part of streamText(question).fullStream) {
    if (part.type === "error") throw part.error;
    if (part.type === "text-delta") yield part.text;
  }
}

const clients = {
  "ollama (Node)": ollamaJs,
  "openai (Node)": openaiNode,
  "ai-sdk-ollama": (ask) => aiSdk(createOllama({ baseURL: ask.url })(ask.model), ask),
  "@ai-sdk/openai-compatible": (ask) => {
    const provider = createOpenAICompatible({ name: "sidecar", baseURL: `${ask.url}/v1` });
    return aiSdk(ask.api === "chat" ? provider.chatModel(ask.model) : provider.completionModel(ask.model), ask);
  },
};

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

// An HTTP status, wherever in an error it is.
function statusOf(error) {
  if (!(error instanceof Object)) return null;
  return error.status ?? error.status_code ?? error.statusCode ?? statusOf(error.cause) ?? statusOf(error.lastError);
}

async function answerOne(ask) {
  const saw = { id: ask.id, parts: [], error: null, status: null, raw: "" };
  try {
    for await (const text of clients[ask.client](ask)) saw.parts.push(text);
  } catch (error) {
    const name = error?.constructor?.name ?? typeof error;
    saw.error = `${name}: ${error?.message ?? JSON.stringify(error)}${error?.cause ? ` (${error.cause.message ?? error.cause})` : ""}`;
    saw.status = statusOf(error);
  }
  say(saw);
}

const versionOf = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version;
say({
  versions: {
    Node: process.versions.node, "ollama (Node)": versionOf("ollama"), "openai (Node)": versionOf("openai"), ai: versionOf("ai"),
    "ai-sdk-ollama": versionOf("ai-sdk-ollama"), "@ai-sdk/openai": versionOf("@ai-sdk/openai"),
    "@ai-sdk/openai-compatible": versionOf("@ai-sdk/openai-compatible"),
  },
});
createInterface({ input: process.stdin }).on("line", (line) => answerOne(JSON.parse(line)));
