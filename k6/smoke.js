// One user, every form of request once: is all of it there, and does it answer as it should? Run it before the others.
import { check } from "k6";
import * as sidecar from "./lib/sidecar.js";

export const options = { vus: 1, iterations: 1, thresholds: { checks: ["rate==1"] } };

export default function () {
  check(sidecar.generate(), {
    "POST /ollama/generate is one JSON": sidecar.isWhole,
    "it tells which backend answered": (a) => Boolean(a.headers["X-Sidecar-Backend"]),
  });
  check(sidecar.generate({ stream: true }), { "… and streams if asked": sidecar.isWholeStream });
  check(sidecar.generate({ priority: 9 }), { "a priority is taken": sidecar.isWhole });
  const wrong = sidecar.post("/ollama/generate", { model: sidecar.MODEL, prompt: "hi", priority: 10 });
  check(wrong, { "one that is out of range is a 400 in words": (a) => a.status === 400 && /priority/.test(a.body) });
  check(sidecar.chat(), { "POST /v1/chat/completions": sidecar.isWholeChat });
  check(sidecar.chat({ stream: true, priority: 7 }), { "… streams, with X-Priority": sidecar.isWholeEvents });
}
