// Pictures that the reader has chosen, dropped or pasted.

import { announce, byId, element } from "./dom.js";

const THUMBNAIL = 112; // pixels, twice what is shown, for dense screens

const VIDEO = /\.(mp4|mov|mkv|webm)$/i; // browsers know no type of some of them

/** One picture or video: {file, name, isVideo, bitmap, width, height}; without a bitmap where it cannot be shown (TIFF). */
export async function read(file) {
  const isVideo = file.type.startsWith("video/") || VIDEO.test(file.name);
  const picture = { file, name: file.name || "pasted.png", isVideo, bitmap: null, width: null, height: null };
  if (isVideo) return picture;
  try {
    picture.bitmap = await createImageBitmap(file);
    picture.width = picture.bitmap.width;
    picture.height = picture.bitmap.height;
  } catch {
    // The service may read it all the same, and says so if not.
  }
  return picture;
}

/** A small square of it. */
export function thumbnail(bitmap) {
  const canvas = element("canvas", { width: THUMBNAIL, height: THUMBNAIL, attributes: { "aria-hidden": "true" } });
  if (bitmap) {
    const side = Math.min(bitmap.width, bitmap.height);
    const [left, top] = [(bitmap.width - side) / 2, (bitmap.height - side) / 2];
    canvas.getContext("2d").drawImage(bitmap, left, top, side, side, 0, 0, THUMBNAIL, THUMBNAIL);
  }
  return canvas;
}

/** Watches every way in and calls `onFiles` with an array of files. */
export function watch(onFiles) {
  const drop = byId("drop");
  const input = byId("files");
  input.addEventListener("change", () => {
    onFiles([...input.files]);
    input.value = ""; // so that the same file can be chosen again
  });
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => event.relatedTarget ?? drop.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault(); // else the browser would open the file in place of the page
    drop.classList.remove("over");
    onFiles([...event.dataTransfer.files]);
  });
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (!files.length) return;
    event.preventDefault();
    announce("Pasted.");
    onFiles(files);
  });
}
