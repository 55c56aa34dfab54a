// A flood of one class keeps all backends busy, and now and then somebody of a higher class comes: he is the next to be served, and the
// flood goes on. The line is never longer than FLOOD_USERS, so that nothing but the order decides.
//   LOW (1), HIGH (9), FLOOD_USERS (20), HIGH_RATE (6 a minute), DURATION (3m), HIGH_QUEUE_P95_MS (30000), WORDS, TOKENS
import { check } from "k6";
import * as sidecar from "./lib/sidecar.js";

const words = sidecar.number("WORDS", 40);
const tokens = sidecar.number("TOKENS", 64);
const duration = __ENV.DURATION || "3m";

export const options = {
  scenarios: {
    flood: { executor: "constant-vus", vus: sidecar.number("FLOOD_USERS", 20), duration, exec: "flood" },
    high: {
      executor: "constant-arrival-rate",
      rate: sidecar.number("HIGH_RATE", 6),
      timeUnit: "1m",
      duration,
      preAllocatedVUs: 10,
      exec: "high",
    },
  },
  thresholds: {
    ...sidecar.THRESHOLDS,
    // No more than the rest of an answer that is under way: set it to what one of the flood's answers takes on your backends.
    "sidecar_queue_ms{class:high}": [`p(95)<${sidecar.number("HIGH_QUEUE_P95_MS", 30000)}`],
    "sidecar_queue_ms{class:low}": ["p(95)>=0"], // printed beside it
    "sidecar_answers{class:low}": ["count>0"], // and they do not starve
    "sidecar_answers{class:high}": ["count>0"],
  },
};

export function flood() {
  const answer = sidecar.generate({ words, tokens, priority: sidecar.number("LOW", 1), tags: { class: "low" } });
  check(answer, { "whole": sidecar.isWhole });
}

export function high() {
  const answer = sidecar.generate({ words, tokens, priority: sidecar.number("HIGH", 9), tags: { class: "high" } });
  check(answer, { "whole": sidecar.isWhole });
}
