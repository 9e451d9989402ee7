// The page: brings its parts together.

import { estimate, getJson, key } from "./api.js";
import { announce, byId, duration, element } from "./dom.js";
import { handIn, restore } from "./jobs.js";
import { chosen, offer } from "./models.js";
import { read, thumbnail, watch } from "./pictures.js";
import { Run } from "./runs.js";
import { curl, python } from "./snippets.js";
import { Viewer } from "./viewer.js";

const TOO_LONG = "too-large-for-sync"; // what the service calls a picture that its deadline is too short for

let pictures = [];
let followed = 0; // orders so far
const runs = [];
const viewer = new Viewer();

async function take(files) {
  for (const file of files) {
    const picture = await read(file);
    const unknown = picture.isVideo ? "a video: it becomes a job" : "cannot be shown by this browser";
    const size = picture.bitmap ? `${picture.width} × ${picture.height}` : unknown;
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

/** All that is asked for: [{picture, model, scale}]. */
function order() {
  return pictures.flatMap((picture) => chosen().map((choice) => ({ picture, ...choice })));
}

/** After a change of the order: what it will take is foretold before anything is sent. */
async function follow() {
  const wanted = order();
  byId("start").disabled = !wanted.length;
  byId("prediction").replaceChildren();
  followed += 1;
  const mine = followed;
  const estimates = await Promise.all(wanted.map(predict));
  if (mine === followed) byId("prediction").replaceChildren(...told(wanted, estimates)); // else it has changed meanwhile
}

/** The estimate for a picture of known size, kept; null where there is none. */
async function predict({ picture, model, scale }) {
  if (!picture.bitmap) return null;
  const name = `${model} ${scale}`;
  picture.estimates ??= new Map();
  if (!picture.estimates.has(name)) {
    const size = { width: picture.width, height: picture.height, bytes: picture.file.size };
    picture.estimates.set(name, estimate({ model, scale }, size).catch(() => null));
  }
  return picture.estimates.get(name);
}

/** How long the network and the encoder will work for all of it, and what will be refused. */
function told(wanted, estimates) {
  const seconds = estimates.reduce((sum, made) => sum + (made?.predicted_s?.infer ?? 0) + (made?.predicted_s?.encode ?? 0), 0);
  const sure = estimates.every((made) => made?.measured !== false);
  const lines = seconds ? [element("span", { textContent: `Predicted: ${duration(seconds)}${sure ? "" : ", a first guess"}.` })] : [];
  estimates.forEach((made, at) => {
    if (!made?.problem) return;
    const what = `${wanted[at].picture.name}, ${wanted[at].model} ×${wanted[at].scale}`;
    const isJob = made.problem.code === TOO_LONG;
    const text = isJob ? "becomes a job, for it takes too long to be waited for" : made.problem.detail;
    lines.push(element("span", { className: isJob ? "hint" : "problem", textContent: ` ${what}: ${text}` }));
  });
  return lines;
}

async function start(event) {
  event.preventDefault();
  const all = order();
  const estimates = await Promise.all(all.map(predict));
  for (const [at, wanted] of all.entries()) {
    const { picture, model, scale } = wanted;
    if (picture.isVideo || estimates[at]?.problem?.code === TOO_LONG) {
      handIn(picture.file, { model, scale }, `${model} ×${scale}`);
      continue;
    }
    byId("results").hidden = false;
    const run = new Run(picture, { model, scale }, compare);
    run.predictedS = estimates[at]?.predicted_s?.total ?? null;
    runs.push(run);
    byId("runs").append(run.row);
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
load().then(restore);
