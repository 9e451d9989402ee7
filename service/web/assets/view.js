// View: which part of a picture is seen and how large, shared by all panes, so that they move as one.

const LARGEST_ZOOM = 64; // screen pixels for a pixel of the picture
const STEP = 1.25;

export class View {
  /** `zoom` is screen pixels for a pixel of the picture; (x, y) is the picture's point in the panes' middle. */
  constructor(onChange) {
    this.onChange = onChange;
    this.width = this.height = this.paneWidth = this.paneHeight = 1;
    this.fit();
  }

  /** The picture's size, in pixels of the largest of what is compared. Seen whole, if it has changed. */
  setPicture(width, height) {
    if (width === this.width && height === this.height) return;
    [this.width, this.height] = [width, height];
    this.fit();
  }

  /** A pane's size in screen pixels. */
  setPane(width, height) {
    [this.paneWidth, this.paneHeight] = [width, height];
    if (this.isFit) this.fit();
  }

  get fitZoom() {
    return Math.min(this.paneWidth / this.width, this.paneHeight / this.height);
  }

  fit() {
    [this.isFit, this.zoom, this.x, this.y] = [true, this.fitZoom, this.width / 2, this.height / 2];
    this.onChange();
  }

  /** To `zoom`, the point of the pane at (atX, atY) screen pixels from its middle staying where it is. */
  zoomTo(zoom, atX = 0, atY = 0) {
    const clamped = Math.min(Math.max(zoom, Math.min(this.fitZoom, 1)), LARGEST_ZOOM);
    this.isFit = false;
    this.x += atX / this.zoom - atX / clamped;
    this.y += atY / this.zoom - atY / clamped;
    this.zoom = clamped;
    this.#keepInside();
  }

  zoomBy(steps, atX, atY) {
    this.zoomTo(this.zoom * STEP ** steps, atX, atY);
  }

  /** By screen pixels. */
  moveBy(x, y) {
    this.isFit = false;
    this.x -= x / this.zoom;
    this.y -= y / this.zoom;
    this.#keepInside();
  }

  #keepInside() {
    this.x = Math.min(Math.max(this.x, 0), this.width);
    this.y = Math.min(Math.max(this.y, 0), this.height);
    this.onChange();
  }

  /** Draws a picture of any size as large as the largest; its own pixels are seen once they are larger than the screen's. */
  draw(context, bitmap, { pixels }) {
    context.imageSmoothingEnabled = !(pixels || (this.width === bitmap.width && this.zoom >= 1));
    context.imageSmoothingQuality = "high";
    const left = Math.round(this.paneWidth / 2 - this.x * this.zoom);
    const top = Math.round(this.paneHeight / 2 - this.y * this.zoom);
    context.drawImage(bitmap, left, top, this.width * this.zoom, this.height * this.zoom);
  }
}
