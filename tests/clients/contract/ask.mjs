// The clients for Node: each line of stdin names one and a case, each line of stdout says what it saw (asking.py is the other end;
// contract_cases.py says what is to be seen). A client is an object, a case one of its functions.
import { createInterface } from "node:readline";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateObject, generateText, isStepCount, jsonSchema, streamText, tool } from "ai";
import { createOllama } from "ai-sdk-ollama";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

globalThis.AI_SDK_LOG_WARNINGS = false;
const system = "Be short.";
const said = [{ role: "system", content: system }, { role: "user", content: "hi" }];
const turns = [{ role: "user", content: "one word ".repeat(200) }, { role: "assistant", content: "and another ".repeat(200) }, said[1]];
const results = { add: "42", weather: "rain" };
const picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const texts = ["one", "two words"];
const leftAfter = 3;
const timeout = 3000;
const sight = z.object({ kind: z.enum(["cat", "dog"]), is_tame: z.boolean() });
const sightSchema = z.toJSONSchema(sight);
const parameters = {
  add: { type: "object", properties: { a: { type: "integer" }, b: { type: "integer" } }, required: ["a", "b"] },
  weather: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const tools = Object.keys(parameters).map((name) => ({ type: "function", function: { name, description: name, parameters: parameters[name] } }));
const saidWith = (url) => [{ role: "user", content: [{ type: "text", text: "what is it?" }, { type: "image_url", image_url: { url } }] }];

const countsOf = (usage) => (usage ? { in: usage.prompt_tokens, out: usage.completion_tokens, sum: usage.total_tokens } : { in: null });
const floatsOf = (vectors) => ({ vectors: vectors.map((vector) => [...vector]) });
const callsOf = (calls) => ({ calls: calls.map(({ name, args }) => [name, args]), ids_n: new Set(calls.map(({ id }) => id).filter(Boolean)).size });

// A fetch that sends the question's tag and keeps every answer.
const recording = (ask, wire) => async (address, init = {}) => {
  const headers = new Headers(init.headers);
  headers.set("X-Request-Id", ask.tag);
  const answer = await fetch(address, { ...init, headers });
  const record = { path: new URL(address.url ?? address).pathname, status: answer.status, type: answer.headers.get("content-type") ?? "", body: "" };
  wire.push(record);
  const body = answer.body?.pipeThrough(new TransformStream({
    transform(data, out) {
      record.body += Buffer.from(data).toString("latin1");
      out.enqueue(data);
    },
  }));
  return new Response(body, { status: answer.status, headers: answer.headers });
};

async function leave(stream, stop) {
  let parts = 0;
  for await (const _ of stream) {
    if (++parts === leftAfter) {
      stop?.();
      break;
    }
  }
  return { parts_n: parts };
}

function openaiNode(ask, wire) {
  const { model } = ask;
  const client = new OpenAI({ baseURL: `${ask.url}/v1`, apiKey: ask.key ?? "none", maxRetries: ask.retries ?? 0, fetch: recording(ask, wire) });
  const create = (more = {}, options = {}) => client.chat.completions.create({ model, messages: said, ...more }, options);
  const whole = (answer) => ({
    text: answer.choices[0].message?.content ?? answer.choices[0].text, finish: answer.choices[0].finish_reason, ...countsOf(answer.usage),
  });
  const read = async (stream) => {
    const saw = { text: "", parts_n: 0, finish: null, reasoning: "" };
    let usage = null;
    for await (const chunk of await stream) {
      usage = chunk.usage ?? usage;
      for (const choice of chunk.choices) {
        const text = choice.text ?? choice.delta.content ?? "";
        saw.text += text;
        saw.parts_n += text ? 1 : 0;
        saw.reasoning += choice.delta?.reasoning ?? "";
        saw.finish = choice.finish_reason ?? saw.finish;
      }
    }
    return { ...saw, ...countsOf(usage) };
  };
  const useTools = async (choice, more, finish) => {
    const calls = (choice.message.tool_calls ?? []).map(({ id, function: { name, arguments: args } }) => ({ id, name, args: JSON.parse(args) }));
    const messages = [...said, choice.message, ...calls.map(({ id, name }) => ({ role: "tool", tool_call_id: id, content: results[name] }))];
    return { ...callsOf(calls), finish: choice.finish_reason, text: (await finish(create({ tools, messages, ...more }))).text };
  };
  const embed = async (more) => {
    const answer = await client.embeddings.create({ model, input: texts, ...more });
    return { ...floatsOf(answer.data.map(({ embedding }) => embedding)), in: answer.usage.prompt_tokens };
  };
  const format = { response_format: zodResponseFormat(sight, "sight"), max_tokens: 128 };
  return {
    chat: async () => whole(await create({ max_tokens: ask.max_tokens })),
    stream: () => read(create({ stream: true })),
    conversation: () => read(create({ stream: true, messages: [said[0], ...turns] })),
    usage: () => read(create({ stream: true, stream_options: { include_usage: true } })),
    length: async () => ({ ...whole(await create({ max_completion_tokens: 3 })), text: whole(await create({ max_tokens: 3 })).text }),
    tools: async () => useTools((await create({ tools })).choices[0], {}, async (answer) => whole(await answer)),
    tools_stream: async () => useTools((await client.chat.completions.stream({ model, messages: said, tools }).finalChatCompletion()).choices[0],
      { stream: true }, read),
    tool_choice: async () => {
      const { message, finish_reason: finish } = (await create({ tools, tool_choice: { type: "function", function: { name: "add" } } })).choices[0];
      return { names: (message.tool_calls ?? []).map((call) => call.function.name), finish };
    },
    tool_none: async () => {
      const { message } = (await create({ tools, tool_choice: "none" })).choices[0];
      return { calls: message.tool_calls ?? [], text: message.content };
    },
    schema: async () => ({ object: (await client.chat.completions.parse({ model, messages: said, ...format })).choices[0].message.parsed }),
    schema_stream: async () => {
      const answer = await client.chat.completions.stream({ model, messages: said, ...format }).finalChatCompletion();
      return { object: answer.choices[0].message.parsed };
    },
    json_object: async () => ({ object: JSON.parse(whole(await create({ response_format: { type: "json_object" } })).text) }),
    embed: () => embed({}),
    embed_float: () => embed({ encoding_format: "float" }),
    embed_tokens: () => client.embeddings.create({ model, input: [[1, 2], [3]] }),
    text: async () => whole(await client.completions.create({ model, prompt: "hi" })),
    text_stream: () => read(client.completions.create({ model, prompt: "hi", stream: true, stream_options: { include_usage: true } })),
    models: async () => ({ ids: (await client.models.list()).data.map(({ id }) => id).sort() }),
    retrieve: async () => ({ id: (await client.models.retrieve(model)).id }),
    retrieve_unknown: () => client.models.retrieve("absent"),
    image: async () => whole(await create({ messages: saidWith(`data:image/png;base64,${picture}`) })),
    image_address: () => create({ messages: saidWith("http://127.0.0.1:1/cat.png") }),
    unknown: () => create({ model: "absent" }),
    bad_value: () => create({ temperature: "hot", max_tokens: "few" }),
    several: () => create({ n: 2 }),
    cancel: async () => leave(await create({ stream: true, max_tokens: 20000 })),
    timeout: () => create({}, { timeout }),
    thinking: async () => {
      const { message } = (await create({ reasoning_effort: "high" })).choices[0];
      return { text: message.content, reasoning: message.reasoning, same: (await read(create({ stream: true }))).reasoning };
    },
    logprobs: async () => {
      const { content } = (await create({ logprobs: true, top_logprobs: 2 })).choices[0].logprobs;
      const plain = (await create({ logprobs: true })).choices[0].logprobs.content;
      return { n: content.length, tops: content[0].top_logprobs.length, plain_tops: plain[0].top_logprobs.length };
    },
    responses: () => client.responses.create({ model, input: "hi" }),
  };
}

// The AI SDK hands errors of a stream to onError, and as a part of fullStream.
function aiSdk(ask, { chat, text, embedding, responses }) {
  const common = { maxRetries: ask.retries ?? 0, instructions: system, prompt: "hi" };
  const finishOf = (reason) => reason.replace("-", "_");
  const counts = ({ inputTokens, outputTokens, totalTokens }) => ({ in: inputTokens ?? null, out: outputTokens, sum: totalTokens });
  const whole = (answer) => ({ text: answer.text, finish: finishOf(answer.finishReason), reasoning: answer.reasoningText, ...counts(answer.usage) });
  const read = async (more) => {
    const saw = { text: "", parts_n: 0, reasoning: "" };
    const stream = streamText({ ...common, model: chat, onError: () => {}, ...more });
    for await (const part of stream.fullStream) {
      if (part.type === "error") throw part.error;
      if (part.type === "text-delta" && part.text) saw.parts_n++;
      if (part.type === "text-delta") saw.text += part.text;
      if (part.type === "reasoning-delta") saw.reasoning += part.text;
    }
    return { ...saw, finish: finishOf(await stream.finishReason), ...counts(await stream.usage), steps: await stream.steps };
  };
  // The answers to calls are given by the functions of the tools, and asked on until there is a text.
  const calls = [];
  const toolOf = (name) => tool({
    description: name, inputSchema: jsonSchema(parameters[name]),
    execute: (args, { toolCallId: id }) => (calls.push({ id, name, args }), results[name]),
  });
  const used = { tools: { add: toolOf("add"), weather: toolOf("weather") }, stopWhen: isStepCount(2) };
  const useTools = ({ steps, text: answer }) => ({
    ...callsOf(calls.sort((one, other) => one.name.localeCompare(other.name))), finish: finishOf(steps[0].finishReason), text: answer,
  });
  const generate = (more = {}) => generateText({ ...common, model: chat, ...more });
  const withoutHands = { tools: Object.fromEntries(Object.keys(parameters).map((name) => [name, tool({ inputSchema: jsonSchema(parameters[name]) })])) };
  return {
    chat: async () => whole(await generate({ maxOutputTokens: ask.max_tokens })),
    stream: () => read({}),
    conversation: () => read({ prompt: undefined, messages: turns }),
    length: async () => whole(await generate({ maxOutputTokens: 3 })),
    tools: async () => useTools(await generate(used)),
    tools_stream: async () => useTools(await read(used)),
    tool_choice: async () => {
      const answer = await generate({ ...withoutHands, toolChoice: { type: "tool", toolName: "add" } });
      return { names: answer.toolCalls.map(({ toolName }) => toolName), finish: finishOf(answer.finishReason) };
    },
    tool_none: async () => {
      const answer = await generate({ ...withoutHands, toolChoice: "none" });
      return { calls: answer.toolCalls, text: answer.text };
    },
    schema: async () => ({ object: (await generateObject({ ...common, model: chat, schema: sight, maxOutputTokens: 128 })).object }),
    embed: async () => {
      const answer = await embedMany({ model: embedding, values: texts, maxRetries: 0 });
      return { ...floatsOf(answer.embeddings), in: answer.usage.tokens };
    },
    text: async () => whole(await generate({ model: text })),
    text_stream: () => read({ model: text }),
    image: async () => whole(await generate({
      prompt: undefined,
      messages: [{ role: "user", content: [{ type: "text", text: "what is it?" }, { type: "image", image: picture, mediaType: "image/png" }] }],
    })),
    unknown: () => generate(),
    cancel: async () => {
      const gone = new AbortController();
      return leave(streamText({ ...common, model: chat, maxOutputTokens: 20000, abortSignal: gone.signal, onError: () => {} }).textStream, () => gone.abort());
    },
    timeout: () => generate({ abortSignal: AbortSignal.timeout(timeout) }),
    thinking: async () => ({ ...whole(await generate({ providerOptions: { sidecar: { reasoningEffort: "high" } } })), same: (await read({})).reasoning }),
    responses: () => generate({ model: responses }),
  };
}

function ollamaJs(ask, wire) {
  const { model } = ask;
  const client = new Ollama({ host: ask.url, fetch: recording(ask, wire), headers: ask.key ? { Authorization: `Bearer ${ask.key}` } : {} });
  const chat = (more = {}) => client.chat({ model, messages: said, ...more });
  const whole = (part) => ({ text: part.message?.content ?? part.response, finish: part.done_reason, in: part.prompt_eval_count, out: part.eval_count });
  const read = async (stream) => {
    let text = "", last = null, parts = 0, calls = [];
    for await (const part of await stream) {
      text += part.message.content;
      parts += part.message.content ? 1 : 0;
      calls = calls.concat(part.message.tool_calls ?? []);
      last = part;
    }
    return { ...whole(last), text, parts_n: parts, calls };
  };
  const useTools = async (calls, more, finish) => {
    const told = calls.map(({ function: { name, arguments: args } }) => [name, args]);
    const messages = [...said, { role: "assistant", content: "", tool_calls: calls },
      ...told.map(([name]) => ({ role: "tool", tool_name: name, content: results[name] }))];
    return { calls: told, text: (await finish(chat({ tools, messages, ...more }))).text };
  };
  return {
    chat: async () => whole(await chat({ options: { num_predict: ask.max_tokens } })),
    stream: () => read(chat({ stream: true })),
    length: async () => whole(await chat({ options: { num_predict: 3 } })),
    tools: async () => useTools((await chat({ tools })).message.tool_calls ?? [], {}, async (answer) => whole(await answer)),
    tools_stream: async () => useTools((await read(chat({ tools, stream: true }))).calls, { stream: true }, read),
    schema: async () => ({ object: sight.parse(JSON.parse((await chat({ format: sightSchema, options: { num_predict: 128 } })).message.content)) }),
    json_object: async () => ({ object: JSON.parse((await chat({ format: "json" })).message.content) }),
    embed: async () => {
      const answer = await client.embed({ model, input: texts });
      return { ...floatsOf(answer.embeddings), in: answer.prompt_eval_count };
    },
    text: async () => whole(await client.generate({ model, prompt: "hi" })),
    models: async () => ({ ids: (await client.list()).models.map(({ name }) => name).sort() }),
    image: async () => whole(await chat({ messages: [{ role: "user", content: "what is it?", images: [picture] }] })),
    unknown: () => client.chat({ model: "absent", messages: said }),
    cancel: async () => {
      const stream = await chat({ stream: true, options: { num_predict: 20000 } });
      return leave(stream, () => stream.abort()); // it goes on reading where the loop alone is left
    },
    thinking: async () => {
      const { message } = await chat({ think: true });
      return { text: message.content, reasoning: message.thinking };
    },
  };
}

const providerOf = (ask, wire) => ({ baseURL: `${ask.url}/v1`, apiKey: ask.key ?? "none", fetch: recording(ask, wire) });
const nameOf = (ask) => (ask.case === "unknown" ? "absent" : ask.model);
const clients = {
  "openai (Node)": openaiNode,
  "ollama (Node)": ollamaJs,
  "@ai-sdk/openai-compatible": (ask, wire) => {
    const made = createOpenAICompatible({ name: "sidecar", supportsStructuredOutputs: true, includeUsage: true, ...providerOf(ask, wire) });
    const name = nameOf(ask);
    return aiSdk(ask, { chat: made.chatModel(name), text: made.completionModel(name), embedding: made.embeddingModel(name) });
  },
  "@ai-sdk/openai": (ask, wire) => {
    const made = createOpenAI(providerOf(ask, wire));
    const name = nameOf(ask);
    return aiSdk(ask, { chat: made.chat(name), text: made.completion(name), embedding: made.embedding(name), responses: made(name) });
  },
  "ai-sdk-ollama": (ask, wire) => {
    const headers = ask.key ? { Authorization: `Bearer ${ask.key}` } : {};
    const made = createOllama({ baseURL: ask.url, fetch: recording(ask, wire), headers });
    return aiSdk(ask, { chat: made(nameOf(ask), ask.case === "thinking" ? { think: true } : {}), embedding: made.embedding(ask.model) });
  },
};

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

// What an error says of itself, or of what it wraps.
function told(error) {
  const inner = error?.lastError ?? (error?.status === undefined && error?.statusCode === undefined && error?.cause instanceof Error ? error.cause : error);
  const body = inner?.data?.error ?? {};
  return {
    name: inner?.constructor?.name ?? typeof inner, message: inner?.message ?? String(inner), status_code: inner?.status ?? inner?.status_code ?? inner?.statusCode ?? null,
    param: inner?.param ?? body.param ?? null, code: inner?.code ?? body.code ?? null, type: inner?.type ?? body.type ?? null,
  };
}

async function answerOne(ask) {
  const saw = { id: ask.id, value: null, error: null, wire: [] };
  try {
    saw.value = (await clients[ask.client](ask, saw.wire)[ask.case]()) ?? null;
  } catch (error) {
    saw.error = told(error);
  }
  say(saw);
}

say({ versions: {} });
createInterface({ input: process.stdin }).on("line", (line) => answerOne(JSON.parse(line)));
