// What is said, and asked, beside the views.
import { hasKey, setKey, wordsOf } from "./api.js";
import { byId } from "./dom.js";

// The box is moved away rather than hidden, as what appears along with its words may not be read aloud.
function tell(id, other, text, isSeen = text) {
  byId(other).textContent = "";
  byId(id).textContent = text;
  byId("messages").classList.toggle("away", !isSeen);
}

// What was done, and what could not be; both are read aloud, the latter at once. What can be seen anyhow is only read aloud.
export const sayAloud = (text) => tell("said", "failed", text, false);
export const say = (text) => tell("said", "failed", text);
export const fail = (error, about = "") => tell("failed", "said", about + (typeof error === "string" ? error : wordsOf(error)));

const answers = new Map(); // dialog -> who waits for its value

function settle(dialog, value) {
  const tell = answers.get(dialog);
  answers.delete(dialog);
  tell?.(value);
}

// Resolves to the dialog's value when it is closed: "" where it was left, or is open already.
async function shown(dialog) {
  if (dialog.open) return "";
  dialog.showModal();
  return new Promise((resolve) => answers.set(dialog, resolve));
}

export async function confirmed(question, yes) {
  byId("confirm-text").textContent = question;
  byId("confirm-yes").textContent = yes;
  return await shown(byId("confirm")) === "yes";
}

// Asks for a key; true where it was changed.
export async function askKey(why) {
  const input = byId("key-input");
  byId("key-why").textContent = why;
  byId("key-forget").hidden = !hasKey();
  input.value = "";
  const answer = await shown(byId("key"));
  if (!answer || (answer === "yes" && !input.value.trim())) return false;
  setKey(answer === "yes" ? input.value.trim() : "");
  input.value = "";
  return true;
}

// A form within a dialog closes it, with the value of the button. Its event comes later, when it may be open anew, for another question.
export function closeDialog(dialog, submitter) {
  dialog.close();
  settle(dialog, submitter?.value ?? "yes");
}

export function startDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) dialog.addEventListener("close", () => { if (!dialog.open) settle(dialog, ""); });
}
