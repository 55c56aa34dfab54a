// A quiet time, a wave of many at once, and quiet again. In the wave requests stand in line, or are told 503 with a Retry-After
// where that is full; nobody is cut off. Behind it the line empties.
//   BASE_RATE (1 a second), PEAK_RATE (20), QUIET (1m), WAVE (30s), AFTER (3m), WORDS, TOKENS
import { check } from "k6";
import * as sidecar from "./lib/sidecar.js";

const base = Math.round(sidecar.number("BASE_RATE", 1) * 60);
const peak = Math.round(sidecar.number("PEAK_RATE", 20) * 60);
const words = sidecar.number("WORDS", 40);
const tokens = sidecar.number("TOKENS", 32);

export const options = {
  scenarios: {
    spike: {
      executor: "ramping-arrival-rate",
      startRate: base,
      timeUnit: "1m",
      preAllocatedVUs: 100,
      maxVUs: sidecar.number("MAX_VUS", 1000),
      stages: [
        { target: base, duration: __ENV.QUIET || "1m" },
        { target: peak, duration: "1s" },
        { target: peak, duration: __ENV.WAVE || "30s" },
        { target: base, duration: "1s" },
        { target: base, duration: __ENV.AFTER || "3m" },
      ],
    },
  },
  thresholds: sidecar.THRESHOLDS,
};

export default function () {
  const answer = sidecar.generate({ words, tokens });
  check(answer, { "whole, or refused in words": (a) => sidecar.isWhole(a) || a.status === 503 || a.status === 429 });
}
