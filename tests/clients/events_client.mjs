// What a page does that reads POST /generate as events: fetch() and eventsource-parser. argv[2] is the server.
import { createParser } from "eventsource-parser";

const saw = { events: 0, parts: 0, text: "", last: "", comments: 0, names: [] };
const parser = createParser({
  onEvent(event) {
    saw.events++;
    saw.last = event.data;
    if (event.event) saw.names.push(event.event);
    if (event.data === "[DONE]") return;
    const value = JSON.parse(event.data);
    saw.text += value.response ?? "";
    saw.parts += value.response ? 1 : 0;
    saw.error ??= value.error;
  },
  onComment: () => saw.comments++,
});

async function ask(body) {
  return fetch(`${process.argv[2]}/generate`, {
    method: "POST",
    headers: { Accept: "text/event-stream", "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}

const answer = await ask({ model: "tiny", prompt: "hi" });
saw.status = answer.status;
saw.type = answer.headers.get("content-type");
for await (const text of answer.body.pipeThrough(new TextDecoderStream())) parser.feed(text);
const refused = await ask({ model: "tiny", prompt: 7 });
saw.refused = [refused.status, (await refused.json()).error];
console.log(JSON.stringify(saw));
