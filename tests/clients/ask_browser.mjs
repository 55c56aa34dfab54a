// A page in a browser, of another origin: asks by fetch what it is told to ask, and says what it saw (browser.py is the other end).

function textOf(value) {
  if (value.error) throw new Error(`error object: ${value.error.message ?? value.error}`);
  const choice = value.choices?.[0];
  return value.message?.content ?? (choice?.delta ?? choice?.message)?.content ?? "";
}

async function* linesOf(body) {
  let rest = "";
  for (const reader = body.pipeThrough(new TextDecoderStream()).getReader(); ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    yield* lines;
  }
}

// As the standard has it for EventSource, which itself can only GET.
async function* eventsOf(body) {
  let data = [];
  for await (const line of linesOf(body)) {
    if (line === "" && data.length > 0) {
      yield data.join("\n");
      data = [];
    } else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
  }
}

async function* answersOf({ url, api, model, stream }) {
  const path = api === "chat" ? "/api/chat" : "/v1/chat/completions";
  const answer = await fetch(url + path, {
    method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ model, stream, messages: [{ role: "user", content: "hi" }] }),
  });
  if (!answer.ok) throw Object.assign(new Error(await answer.text()), { status: answer.status });
  if (!stream) {
    yield textOf(await answer.json());
  } else if (api === "chat") {
    let isDone = false;
    for await (const line of linesOf(answer.body)) {
      const value = JSON.parse(line);
      isDone = value.done;
      yield textOf(value);
    }
    if (!isDone) throw new Error("no line said done");
  } else {
    let isDone = false;
    for await (const data of eventsOf(answer.body)) {
      if (data === "[DONE]") isDone = true;
      else yield textOf(JSON.parse(data));
    }
    if (!isDone) throw new Error("no [DONE]");
  }
}

const say = (saw) => fetch("/saw", { method: "POST", body: JSON.stringify(saw) });

async function answerOne(ask) {
  const saw = { id: ask.id, parts: [], error: null, status: null, raw: "" };
  try {
    for await (const text of answersOf(ask)) saw.parts.push(text);
  } catch (error) {
    saw.error = `${error.name}: ${error.message}`;
    saw.status = error.status ?? null;
  }
  await say(saw);
}

await say({ versions: { Chromium: navigator.userAgent.match(/Chrome\/([\d.]+)/)[1] } });
for (;;) answerOne(await (await fetch("/question")).json());
