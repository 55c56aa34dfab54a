// Brings the parts together: the state comes in, the view that is looked at is drawn, and buttons do what they say.
import { ask, wordsOf } from "./api.js";
import { askKey, closeDialog, fail, say, startDialogs } from "./dialogs.js";
import { byId, place } from "./dom.js";
import { startFeed } from "./feed.js";
import { lookAtLogs, startLogs } from "./logs.js";
import { modelActions, models } from "./models.js";
import { overview } from "./overview.js";
import { playgroundActions, playgroundSees, startPlayground } from "./playground.js";
import { requests } from "./requests.js";
import { lookAtSettings, startSettings } from "./settings.js";
import { startTheme } from "./theme.js";
import { tone } from "./words.js";

const VIEWS = ["overview", "requests", "models", "playground", "logs", "settings"];
const drawn = { overview, requests, models };

const app = { status: null, rights: {}, view: "" };

function drawHead() {
  const { health } = app.status;
  if (byId("state").textContent !== health.state) byId("state").textContent = health.state; // said aloud only where it changes
  byId("state").className = `badge ${tone(health.state)}`;
  document.title = `${health.state} · ollama-sidecar`;
  byId("rights").textContent = app.rights.manage ? "" : app.rights.why ? `You may look, and change nothing: ${app.rights.why}` : "";
  byId("pull-send").disabled = !app.rights.manage;
  byId("pull-from-label").hidden = health.instances === undefined;
}

function draw() {
  if (!app.status) return;
  drawHead();
  playgroundSees(app.status);
  if (drawn[app.view]) place(byId(`${app.view}-body`), drawn[app.view](app));
}

function show(view, isChosen) {
  app.view = view;
  for (const name of VIEWS) {
    byId(name).hidden = name !== view;
    const link = document.querySelector(`nav a[href="#${name}"]`);
    if (name === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  lookAtLogs(view === "logs");
  if (view === "settings") lookAtSettings();
  draw();
  if (!isChosen) return;
  say("");
  byId(view).querySelector("h2").focus();
}

const viewOf = () => VIEWS.find((name) => `#${name}` === location.hash) ?? VIEWS[0];

const feed = startFeed({
  status: (status) => {
    app.status = status;
    byId("lost").textContent = "";
    document.body.dataset.known = "yes";
    draw();
  },
  rights: (rights) => {
    app.rights = rights;
    draw();
  },
  lost: (error) => { byId("lost").textContent = `The sidecar does not answer: ${wordsOf(error)}. It is asked again and again; what is shown is old.`; },
  refused: (error) => {
    byId("lost").textContent = error.message;
    return askKey(error.message);
  },
});

const drain = (word) => (name) => ask(`sidecar/backends/${encodeURIComponent(name)}/${word}`, { method: "POST" }).then(() => say(`${name}: ${word}ed.`));

const actions = {
  ...modelActions(draw),
  ...playgroundActions,
  cancel: (id) => ask(`sidecar/requests/${encodeURIComponent(id)}`, { method: "DELETE" }).then(() => say(`The request ${id} is cancelled.`)),
  drain: drain("drain"),
  undrain: drain("undrain"),
  key: async () => {
    if (await askKey("The key is kept in this tab until it is closed, and sent with what this page asks.")) {
      feed.again();
      show(app.view, false);
    }
  },
  quiet: () => say(""),
  skip: () => byId(app.view).querySelector("h2").focus(),
};

async function act(from) {
  try {
    await actions[from.dataset.do](from.dataset.about, from);
  } catch (error) {
    fail(error);
  }
}

document.addEventListener("click", (event) => {
  const from = event.target.closest("a[data-do], button[data-do]");
  if (!from) return;
  event.preventDefault();
  act(from);
});
document.addEventListener("submit", (event) => { // nothing here is a form that a browser is to send
  event.preventDefault();
  const dialog = event.target.closest("dialog");
  if (dialog) closeDialog(dialog, event.submitter);
  else act(event.target);
});
window.addEventListener("hashchange", () => show(viewOf(), true));

startTheme(byId("theme"));
startDialogs();
startPlayground();
startLogs();
startSettings();
show(viewOf(), false);
