// So many requests a second, whether earlier ones have ended or not, as users are who do not know of each other.
//   RATE (2 a second), DURATION (5m), P95_MS (60000: of a whole answer), WORDS, TOKENS
import { check } from "k6";
import * as sidecar from "./lib/sidecar.js";

const words = sidecar.number("WORDS", 60);
const tokens = sidecar.number("TOKENS", 64);

export const options = {
  scenarios: {
    steady: {
      executor: "constant-arrival-rate",
      rate: Math.round(sidecar.number("RATE", 2) * 60),
      timeUnit: "1m",
      duration: __ENV.DURATION || "5m",
      preAllocatedVUs: 50,
      maxVUs: sidecar.number("MAX_VUS", 500),
    },
  },
  thresholds: {
    ...sidecar.THRESHOLDS,
    http_req_duration: [`p(95)<${sidecar.number("P95_MS", 60000)}`],
    sidecar_refused: ["count==0"],
    dropped_iterations: ["count==0"], // all users were in use: MAX_VUS is too low, or the rate too high for these backends
  },
};

export default function () {
  if (__ITER % 2 === 0) check(sidecar.generate({ words, tokens }), { "whole": sidecar.isWhole });
  else check(sidecar.chat({ words, tokens }), { "whole": sidecar.isWholeChat });
}
