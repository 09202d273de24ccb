// Ways of seeing one picture better: window, zoom, loupe, brightened air, and the volume behind it.
// Off for every new picture, so that everybody sees the same; what was used goes on the record with the label.

const STEP = 12; // of a grey value, a key press
const ZOOM_STEP = 1.25;
const MOST_ZOOM = 8;
const LOUPE_ZOOM = 3;
const LOUPE_RADIUS = 120; // CSS pixels
const AIR_WHITE = 26; // a tenth of white: ghosts and noise in the air become visible
const WAYS = ["window", "zoom", "stretch", "loupe", "volume"];

// Where the slices of a picture lie, in its pixels (imaging/screenshot.py).
const PICTURE = { width: 1108, height: 416 };
const PANELS = [{ x: 0, y: 29, width: 416, height: 358 }, { x: 424, y: 29, width: 338, height: 358 }, { x: 770, y: 0, width: 338, height: 416 }];

// Keys by physical position, each only where the protocol has no use for it. Esc shows what everybody sees.
const SEEING_KEYS = {
  zoomIn: ["ArrowUp"], zoomOut: ["ArrowDown"], darker: ["BracketLeft"], brighter: ["BracketRight"],
  stretch: ["KeyL", "Backslash"], loupe: ["KeyM", "Backquote"], openVolume: ["KeyN", "Semicolon"],
};

/** Return what each way of seeing is called, and what more there is to say of it behind a mark. */
function seeingWords() {
  return {
    zoomIn: t("zoom in"), zoomOut: t("zoom out"), darker: t("darker; with Shift: black higher"), brighter: t("brighter; with Shift: black lower"),
    stretch: t("brighten the air"), openVolume: t("open the volume: arrows go through it"), loupe: t("loupe, while it is held"),
  };
}

/** Return the key of each way of seeing: the first that is free, or nothing. */
function seeingCodes(isFree) {
  return Object.fromEntries(Object.entries(SEEING_KEYS).map(([name, codes]) => [name, codes.find(isFree)]));
}

class Seeing {
  constructor({ stage, frame, post }) {
    this.stage = stage;
    this.frame = frame;
    this.canvas = element("canvas", { class: "qc-seeing", "aria-hidden": "true" });
    this.bar = element("div", { class: "qc-seeing-bar", role: "toolbar", "aria-label": t("ways of seeing"), hidden: true });
    this.told = element("span", { class: "qc-seeing-told", role: "status", "aria-live": "polite" });
    this.isPinned = false;
    this.used = new Map(); // key of a picture -> seconds of each way, not recorded yet
    this.volume = new OpenVolume({ post, onChange: () => this.draw() });
    frame.after(this.canvas, this.bar);
    this.pointer = null;
    this.rest();
  }

  listen(signal) {
    const on = (name, handler, options = {}) => this.stage.addEventListener(name, handler, { signal, ...options });
    on("wheel", (event) => this.onWheel(event), { passive: false });
    on("pointerdown", (event) => this.onPointerDown(event));
    on("pointermove", (event) => this.onPointerMove(event));
    for (const name of ["pointerup", "pointercancel"]) on(name, () => (this.drag = null));
    const observer = new ResizeObserver(() => this.draw());
    observer.observe(this.frame);
    signal.addEventListener("abort", () => observer.disconnect());
  }

  /** Build the buttons; `isFree` says of a key whether the protocol leaves it. Returns code -> action. */
  learn(isFree, layout) {
    this.codes = seeingCodes(isFree);
    const { loupe: held, ...pressed } = seeingWords();
    const short = (words) => words.split(/[:;,]/)[0].trim();
    this.buttons = Object.fromEntries(Object.entries(pressed).map(([name, words]) => [name, keyButton({ key: this.codes[name] && keyName(this.codes[name], layout), className: "qc-plain", onPress: () => this[name]() }, short(words))]));
    const loupe = keyButton({ key: this.codes.loupe && keyName(this.codes.loupe, layout), className: "qc-plain", "aria-pressed": "false", onPress: () => this.holdLoupe(!this.isLoupe) }, short(held));
    this.buttons.loupe = loupe;
    this.buttons.reset = keyButton({ key: keyName("Escape"), className: "qc-plain qc-rest", onPress: () => this.rest() }, t("as everybody sees it"));
    this.bar.replaceChildren(this.told, ...Object.values(this.buttons));
    const actions = { ...Object.fromEntries(Object.keys(pressed).map((name) => [name, (event) => this[name](event)])), loupe: () => this.holdLoupe(true) };
    return new Map(Object.entries(actions).filter(([name]) => this.codes[name]).map(([name, action]) => [this.codes[name], action]));
  }

  /** Return key code and words of each way of seeing that has a key here. */
  ways() {
    const has = ([name, code]) => code && (name !== "openVolume" || this.about?.has_volume);
    const words = seeingWords();
    return Object.entries(this.codes ?? {}).filter(has).map(([name, code]) => [code, words[name]]).concat([["Escape", t("as everybody sees it")]]);
  }

  /** Keys that may be held down. */
  get repeating() {
    return ["zoomIn", "zoomOut", "darker", "brighter"].map((name) => this.codes?.[name]);
  }

  // What is on the screen

  /** A picture came to the screen; `about` is what the kernel said of it. */
  show(img, about) {
    this.img = img;
    this.about = about;
    this.count(); // the picture before keeps its own
    // A picture that is left and come back to keeps what was used, until its label takes it along.
    this.seconds = this.used.get(about.key) ?? Object.fromEntries(WAYS.map((way) => [way, 0]));
    this.used.set(about.key, this.seconds);
    this.wasInUse = {}; // what was on for the picture before is none of this one's
    this.volume.begin(about);
    this.rest();
    if (about.from_volume) this.openVolume();
  }

  clear() {
    this.img = null;
    this.rest();
  }

  /** Show what everybody sees. */
  rest() {
    this.low = 0;
    this.high = 255;
    this.zoom = 1;
    this.centre = { x: this.size.width / 2, y: this.size.height / 2 };
    this.isStretched = this.isLoupe = false;
    this.drag = null;
    this.volume.close();
    this.changed();
  }

  get size() {
    return this.img ? { width: this.img.naturalWidth, height: this.img.naturalHeight } : PICTURE;
  }

  /** Whether it is clear where its three slices lie; a screenshot of another tool is shown without marks. */
  get hasPanels() {
    return this.size.width === PICTURE.width && this.size.height === PICTURE.height;
  }

  get isPlain() {
    return !Object.values(this.inUse()).some(Boolean);
  }

  inUse() {
    return { window: this.low !== 0 || this.high !== 255, zoom: this.zoom !== 1, stretch: this.isStretched, loupe: this.isLoupe, volume: this.volume.isOpen };
  }

  /** Return what goes on the record: seconds of each way that was used, and the window and zoom of now. */
  record() {
    this.count();
    this.used.delete(this.about?.key);
    const used = WAYS.filter((way) => this.seconds?.[way] > 0).map((way) => [`${way}_s`, Math.round(this.seconds[way] * 100) / 100]);
    const now = this.inUse();
    return { ...Object.fromEntries(used), ...(now.window ? { window_low: this.low, window_high: this.high } : {}), ...(now.zoom ? { zoom: Math.round(this.zoom * 100) / 100 } : {}) };
  }

  count() {
    const now = performance.now();
    for (const [way, isOn] of Object.entries(this.wasInUse ?? {})) if (isOn && this.seconds) this.seconds[way] += (now - this.since) / 1000;
    this.since = now;
    this.wasInUse = this.img ? this.inUse() : {};
  }

  changed() {
    this.count();
    const { window: isWindow, zoom, stretch, loupe, volume } = this.inUse();
    const words = [
      volume && t("volume: {place}", { place: this.volume.place() }), isWindow && !stretch && t("grey {low} to {high}", this), stretch && t("air brightened"),
      zoom && t("zoom {percent} %", { percent: Math.round(this.zoom * 100) }), loupe && t("loupe"),
    ].filter(Boolean);
    this.told.textContent = words.join(" · ");
    this.stage.dataset.seeing = WAYS.filter((way) => this.inUse()[way]).join(" ");
    this.bar.hidden = !this.img || (this.isPlain && !this.isPinned);
    this.buttons?.loupe.setAttribute("aria-pressed", String(loupe));
    this.buttons?.stretch.setAttribute("aria-pressed", String(stretch));
    this.buttons?.openVolume.setAttribute("aria-pressed", String(volume));
    if (this.buttons) this.buttons.openVolume.hidden = !this.about?.has_volume;
    if (this.buttons) this.buttons.reset.disabled = this.isPlain;
    this.bar.classList.toggle("qc-pinned", this.isPinned);
    this.draw();
  }

  togglePinned() {
    this.isPinned = !this.isPinned;
    this.changed();
  }

  // What keys and buttons do

  zoomIn() {
    if (this.volume.isOpen) return this.scroll(1);
    this.zoomTo(this.zoom * ZOOM_STEP, this.pointer);
  }

  zoomOut() {
    if (this.volume.isOpen) return this.scroll(-1);
    this.zoomTo(this.zoom / ZOOM_STEP, this.pointer);
  }

  /** Zoom so that what is under `at` (stage pixels) stays there; without it the middle does. */
  zoomTo(zoom, at) {
    if (!this.img) return;
    const before = at && this.toPicture(at);
    this.zoom = Math.min(Math.max(zoom, 1), MOST_ZOOM);
    if (Math.abs(this.zoom - 1) < 0.05) this.zoom = 1;
    if (before) {
      const after = this.toPicture(at);
      this.moveCentre(before.x - after.x, before.y - after.y);
    } else this.moveCentre(0, 0);
    this.changed();
  }

  moveCentre(dx, dy) {
    const half = (size) => size / 2 / this.zoom;
    const within = (value, size) => Math.min(Math.max(value, half(size)), size - half(size));
    this.centre = { x: within(this.centre.x + dx, this.size.width), y: within(this.centre.y + dy, this.size.height) };
  }

  /** Move white, or with Shift black: darker is higher. */
  darker(event) {
    this.moveWindow(event?.shiftKey ? STEP : 0, event?.shiftKey ? 0 : STEP);
  }

  brighter(event) {
    this.moveWindow(event?.shiftKey ? -STEP : 0, event?.shiftKey ? 0 : -STEP);
  }

  moveWindow(low, high) {
    if (!this.img) return;
    this.isStretched = false;
    this.low = Math.min(Math.max(this.low + low, 0), this.high - STEP);
    this.high = Math.min(Math.max(this.high + high, this.low + STEP), 510);
    if (this.low < STEP && Math.abs(this.high - 255) < STEP) this.high = 255;
    this.changed();
  }

  stretch() {
    if (!this.img) return;
    this.isStretched = !this.isStretched;
    this.changed();
  }

  holdLoupe(isHeld) {
    if (!this.img || this.isLoupe === isHeld) return;
    this.isLoupe = isHeld;
    this.changed();
  }

  openVolume() {
    if (!this.img || !this.about.has_volume) return;
    if (this.volume.isOpen) this.volume.close();
    else this.volume.open();
    this.changed();
  }

  /** Choose another of the three slices, or go through those of the chosen one. */
  turn(by) {
    this.volume.choose((this.volume.plane + by + 3) % 3);
    this.changed();
  }

  scroll(by) {
    this.volume.scroll(by);
    this.changed();
  }

  // The mouse

  at(event) {
    const box = this.stage.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  onWheel(event) {
    if (!this.img || event.ctrlKey || event.target.closest(".qc-dialog, .qc-exemplars, .qc-seeing-bar")) return;
    event.preventDefault();
    const at = this.at(event);
    if (!this.volume.isOpen) return this.zoomTo(this.zoom * ZOOM_STEP ** -Math.sign(event.deltaY), at);
    this.volume.choose(this.panelAt(at) ?? this.volume.plane);
    this.scroll(-Math.sign(event.deltaY));
  }

  onPointerDown(event) {
    if (!this.img || event.button !== 0 || event.target.closest("button, input, .qc-dialog")) return;
    this.drag = { at: this.at(event), isWindow: event.shiftKey };
    if (this.volume.isOpen) this.volume.choose(this.panelAt(this.drag.at) ?? this.volume.plane);
  }

  onPointerMove(event) {
    const at = this.at(event);
    this.pointer = at;
    if (this.drag) {
      const [dx, dy] = [at.x - this.drag.at.x, at.y - this.drag.at.y];
      this.drag.at = at;
      if (this.drag.isWindow) return this.moveWindow(-dx / 2 + dy / 2, dx / 2 + dy / 2);
      if (this.zoom > 1) {
        const { scale } = this.placed();
        this.moveCentre(-dx / scale, -dy / scale);
        return this.changed();
      }
    }
    if (this.isLoupe) this.draw();
  }

  panelAt(at) {
    const { x, y } = this.toPicture(at);
    const found = PANELS.findIndex((panel) => x >= panel.x && x < panel.x + panel.width && y >= panel.y && y < panel.y + panel.height);
    return found < 0 ? undefined : found;
  }

  // Drawing

  /** How the picture lies on the stage: pixels of the stage a pixel of the picture, and where its origin is. */
  placed(zoom = this.zoom) {
    const { clientWidth: width, clientHeight: height } = this.frame;
    const scale = Math.min(width / this.size.width, height / this.size.height) * zoom;
    return { scale, x: width / 2 - this.centre.x * scale, y: height / 2 - this.centre.y * scale };
  }

  toPicture({ x, y }) {
    const placed = this.placed();
    return { x: (x - placed.x) / placed.scale, y: (y - placed.y) / placed.scale };
  }

  /** Draw over the picture: marks only, or the whole of it as it is seen now. */
  draw() {
    const { clientWidth: width, clientHeight: height } = this.frame;
    const ratio = window.devicePixelRatio;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${height}px` });
    if (!this.img) return;
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    if (!this.isPlain) {
      const source = this.greys();
      context.fillRect(0, 0, width, height);
      this.paint(context, source, this.placed());
      if (this.isLoupe) this.paintLoupe(context, source);
    }
    if (this.hasPanels) this.mark(context);
  }

  paint(context, source, { scale, x, y }) {
    context.imageSmoothingEnabled = scale < 3;
    context.imageSmoothingQuality = "high";
    context.drawImage(source, x, y, this.size.width * scale, this.size.height * scale);
  }

  paintLoupe(context, source) {
    const { clientWidth: width, clientHeight: height } = this.frame;
    const at = this.pointer ?? { x: width / 2, y: height / 2 };
    const under = this.toPicture(at);
    const scale = this.placed().scale * LOUPE_ZOOM;
    context.save();
    context.beginPath();
    context.arc(at.x, at.y, LOUPE_RADIUS, 0, 2 * Math.PI);
    context.clip();
    context.fillRect(0, 0, width, height);
    this.paint(context, source, { scale, x: at.x - under.x * scale, y: at.y - under.y * scale });
    context.restore();
    context.strokeStyle = "#8fc1ff";
    context.lineWidth = 2;
    context.stroke();
  }

  /** The picture, or the slices of the volume in its place, with the window of now. */
  greys() {
    const source = this.volume.isOpen ? this.volume.picture(this.img) : this.img;
    const [low, high] = this.isStretched ? [0, AIR_WHITE] : [this.low, this.high];
    if (low === 0 && high === 255) return source;
    const canvas = new OffscreenCanvas(this.size.width, this.size.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(source, 0, 0);
    const pixels = context.getImageData(0, 0, this.size.width, this.size.height);
    const table = Uint8ClampedArray.from({ length: 256 }, (_, grey) => (255 * (grey - low)) / (high - low));
    for (let at = 0; at < pixels.data.length; at += 4) pixels.data[at] = pixels.data[at + 1] = pixels.data[at + 2] = table[pixels.data[at]];
    context.putImageData(pixels, 0, 0);
    return canvas;
  }

  /** Say where the patient's left and right are, and of an open volume which slice each panel shows. */
  mark(context) {
    const { scale, x, y } = this.placed();
    const sides = { radiological: [t("R"), t("L")], neurological: [t("L"), t("R")] }[this.about?.convention];
    context.font = "600 14px system-ui, sans-serif";
    context.textBaseline = "middle";
    PANELS.forEach((panel, plane) => {
      const box = { left: x + panel.x * scale, right: x + (panel.x + panel.width) * scale, top: y + panel.y * scale, bottom: y + (panel.y + panel.height) * scale };
      const middle = (box.top + box.bottom) / 2;
      if (sides && plane > 0) {
        this.write(context, sides[0], box.left + 8, middle, "left");
        this.write(context, sides[1], box.right - 8, middle, "right");
      }
      if (!this.volume.isOpen) return;
      const isChosen = plane === this.volume.plane;
      this.write(context, `${isChosen ? "▸ " : ""}${this.volume.isDrawnAt(plane)}`, box.left + 8, box.top + 12, "left");
      if (!isChosen) return;
      context.strokeStyle = "#8fc1ff";
      context.lineWidth = 1;
      context.strokeRect(box.left + 0.5, box.top + 0.5, box.right - box.left - 1, box.bottom - box.top - 1);
    });
  }

  write(context, text, x, y, align) {
    context.textAlign = align;
    context.lineWidth = 3;
    context.strokeStyle = "#000";
    context.strokeText(text, x, y);
    context.fillStyle = "#b9b9c0";
    context.fillText(text, x, y);
  }
}
