// The same request in words of a shell and of Python.

import { address, key } from "./api.js";

export function curl(file, path, parameters, output) {
  const authorization = key.get() ? ` -H "Authorization: Bearer $SR_API_KEY"` : "";
  return `curl${authorization} --data-binary @${quoted(file)} ${quoted(address(path, parameters))} -o ${quoted(output)}`;
}

export function python(file, parameters, output) {
  const named = Object.entries(parameters).map(([name, value]) => `${name}=${literal(value)}`);
  return [
    "from srserve_client import Client  # with a key: SR_API_KEY",
    "",
    `with Client(${JSON.stringify(address("").replace(/\/$/, ""))}) as service:`,
    `    service.upscale(${[JSON.stringify(file), ...named].join(", ")}).save(${JSON.stringify(output)})`,
  ].join("\n");
}

function quoted(text) {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function literal(value) {
  if (typeof value === "boolean") return value ? "True" : "False";
  return typeof value === "number" ? String(value) : JSON.stringify(value);
}
