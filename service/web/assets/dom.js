// Elements: made in one line, found by their id. Text is always set as text, never as markup.

export const byId = (id) => document.getElementById(id);

/** An element with properties (`className`, `textContent`, `onclick`, ...), attributes under `attributes`, and children. */
export function element(name, { attributes = {}, ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

/** Tells a screen reader. */
export function announce(text) {
  byId("announcer").textContent = text;
}

/** Seconds for people. */
export function duration(seconds) {
  if (seconds < 1) return "less than a second";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** Gives the browser a file to save. */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
