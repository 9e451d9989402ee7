// The page: brings its parts together.

import { getJson, key } from "./api.js";
import { announce, byId, element } from "./dom.js";
import { chosen, offer } from "./models.js";
import { read, thumbnail, watch } from "./pictures.js";
import { Run } from "./runs.js";
import { curl, python } from "./snippets.js";
import { Viewer } from "./viewer.js";

let pictures = [];
const runs = [];
const viewer = new Viewer();

async function take(files) {
  for (const file of files) {
    const picture = await read(file);
    const size = picture.bitmap ? `${picture.width} × ${picture.height}` : "cannot be shown by this browser";
    const remove = element("button", { type: "button", className: "quiet", textContent: "Remove", attributes: { "aria-label": `Remove ${picture.name}` } });
    const row = element("li", {}, thumbnail(picture.bitmap), element("div", {}, element("b", { textContent: picture.name }), ` ${size}`), remove);
    remove.onclick = () => {
      pictures = pictures.filter((other) => other !== picture);
      row.remove();
      follow();
    };
    pictures.push(picture);
    byId("pictures").append(row);
    announce(`${picture.name} chosen.`);
  }
  follow();
}

/** After a change of the order. */
function follow() {
  byId("start").disabled = !pictures.length || !chosen().length;
}

function start(event) {
  event.preventDefault();
  byId("results").hidden = false;
  for (const picture of pictures) {
    for (const choice of chosen()) {
      const run = new Run(picture, { ...choice, predictedS: null }, compare);
      runs.push(run);
      byId("runs").append(run.row);
    }
  }
}

/** Shows a run's result against its original, and beside all other results of the same picture. */
function compare(run) {
  if (!runs.includes(run)) runs.push(run);
  const done = runs.filter((other) => other.picture === run.picture && other.bitmap);
  const original = run.picture.bitmap ? [{ label: "original", bitmap: run.picture.bitmap }] : [];
  viewer.show([...original, ...done], original.length + done.indexOf(run));
  byId("details").replaceChildren(details(run));
}

function details(run) {
  const facts = ["X-SR-Model-Version", "X-SR-Device", "X-SR-Tiles", "Server-Timing", "X-Request-ID"]
    .filter((name) => run.headers.get(name))
    .map((name) => `${name}: ${run.headers.get(name)}`);
  const [file, output] = [run.picture.name, run.outputName()];
  return element(
    "details",
    {},
    element("summary", { textContent: `The same by curl and Python: ${file}, ${run.label}` }),
    ...[curl(file, "upscale", run.parameters, output), python(file, run.parameters, output)].map(snippet),
    element("p", { className: "hint", textContent: facts.join(" · ") }),
  );
}

function snippet(text) {
  const copy = element("button", { type: "button", className: "quiet", textContent: "Copy" });
  copy.onclick = async () => {
    await navigator.clipboard.writeText(text);
    announce("Copied.");
  };
  return element("div", {}, element("pre", { tabIndex: 0 }, element("code", { textContent: text })), copy);
}

async function askForKey(why) {
  byId("key-why").textContent = why ?? "It is kept until this tab is closed, and sent to this service only.";
  byId("key-input").value = key.get();
  byId("key-dialog").returnValue = "";
  byId("key-dialog").showModal();
}

async function load() {
  try {
    const models = await getJson("models");
    byId("models").querySelectorAll("label, p").forEach((old) => old.remove());
    offer(models.filter((model) => model.endpoint === "/upscale"), follow);
    follow();
  } catch (error) {
    byId("models").append(element("p", { className: "problem", textContent: error.message, attributes: { role: "alert" } }));
    if (error.status === 401) askForKey("This service wants a key.");
  }
}

byId("order").addEventListener("submit", start);
byId("key-button").onclick = () => askForKey();
byId("key-cancel").onclick = () => byId("key-dialog").close();
byId("key-dialog").addEventListener("close", () => {
  if (byId("key-dialog").returnValue !== "save") return;
  key.set(byId("key-input").value.trim());
  load();
});
document.addEventListener("key-wanted", () => askForKey("The service did not take the key, or wants one."));
watch(take);
load();
