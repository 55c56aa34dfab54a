// What a user of the openai package does; argv[2] is the server.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "hi" }];
const saw = { models: [], chunks: 0 };

for await (const model of await client.models.list()) saw.models.push(model.id);
saw.content = (await client.chat.completions.create({ model: "tiny", messages })).choices[0].message.content;
for await (const chunk of await client.chat.completions.create({ model: "tiny", messages, stream: true })) {
  saw.chunks++;
  saw.finish = chunk.choices[0]?.finish_reason ?? saw.finish;
}
try {
  await client.chat.completions.create({ model: "absent", messages });
} catch (error) {
  saw.error_status = error.status;
}
try {
  await client.chat.completions.create({ model: "tiny", messages }, { headers: { Origin: "http://foreign.example" } });
} catch (error) {
  saw.refused_status = error.status;
  saw.refused = error.message;
}
console.log(JSON.stringify(saw));
