// A page in a browser that fetches what it is told, as an app's own code would, and says all that it was allowed to see (browser.py is
// the other end).

function bodyOf({ body, form }) {
  if (!form) return body === undefined ? undefined : JSON.stringify(body);
  const data = new FormData();
  for (const [name, value] of Object.entries(form)) {
    if (typeof value === "string") data.append(name, value);
    else data.append(name, new Blob([Uint8Array.from(atob(value.base64), (c) => c.charCodeAt(0))], { type: value.type }), value.name);
  }
  return data;
}

async function answerTo(ask) {
  const answer = await fetch(ask.url, { method: ask.method ?? "POST", headers: ask.headers, body: bodyOf(ask) });
  const saw = { status: answer.status, headers: Object.fromEntries(answer.headers), parts: [], times: [] };
  if (!answer.body) return saw;
  for (const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader(); ;) {
    const { value, done } = await reader.read();
    if (done) return saw;
    saw.parts.push(value);
    saw.times.push(performance.now());
  }
}

const say = (saw) => fetch("/saw", { method: "POST", body: JSON.stringify(saw) });

async function answerOne(ask) {
  try {
    await say({ id: ask.id, error: null, ...await answerTo(ask) });
  } catch (error) {
    await say({ id: ask.id, error: `${error.name}: ${error.message}` });
  }
}

await say({ versions: { Chromium: navigator.userAgent.match(/Chrome\/([\d.]+)/)[1] } });
for (;;) answerOne(await (await fetch("/question")).json());
