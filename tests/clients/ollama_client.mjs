// What a user of the ollama package does; argv[2] is the server.
import { Ollama } from "ollama";

const client = new Ollama({ host: process.argv[2] });
const messages = [{ role: "user", content: "hi" }];
const saw = {};

saw.models = (await client.list()).models.map((model) => model.name);
saw.generated = (await client.generate({ model: "tiny", prompt: "hi" })).response;
saw.generate_parts = 0;
for await (const _ of await client.generate({ model: "tiny", prompt: "hi", stream: true })) saw.generate_parts++;
saw.chat_parts = 0;
for await (const _ of await client.chat({ model: "tiny", messages, stream: true })) saw.chat_parts++;
saw.embeddings = (await client.embed({ model: "tiny", input: ["a", "b"] })).embeddings.length;
try {
  await client.generate({ model: "absent", prompt: "hi" });
} catch (error) {
  saw.error = error.message;
  saw.error_status = error.status_code;
}
try {
  const stream = await client.generate({ model: "tiny", prompt: "hi", stream: true, options: { num_predict: 20000 } });
  for await (const _ of stream) stream.abort();
} catch (error) {
  saw.aborted = error.name;
}
console.log(JSON.stringify(saw));
