// Streams side by side, in both forms: each comes to its end, and its head soon. k6 gives a body when it is whole, so what is measured is
// the time to the first byte (http_req_waiting): the first token, or the first heartbeat where that takes longer than heartbeat_after.
//   USERS (10), DURATION (3m), FIRST_BYTE_P95_MS (30000), WORDS, TOKENS
import { check } from "k6";
import * as sidecar from "./lib/sidecar.js";

const words = sidecar.number("WORDS", 60);
const tokens = sidecar.number("TOKENS", 128);

export const options = {
  scenarios: {
    streams: { executor: "constant-vus", vus: sidecar.number("USERS", 10), duration: __ENV.DURATION || "3m", gracefulStop: "5m" },
  },
  thresholds: {
    ...sidecar.THRESHOLDS,
    http_req_waiting: [`p(95)<${sidecar.number("FIRST_BYTE_P95_MS", 30000)}`],
  },
};

export default function () {
  const stream = true;
  if (__ITER % 2 === 0) check(sidecar.generate({ words, tokens, stream }), { "lines to the last": sidecar.isWholeStream });
  else check(sidecar.chat({ words, tokens, stream }), { "events to [DONE]": sidecar.isWholeEvents });
}
