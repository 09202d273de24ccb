// Strips of dots on a canvas: one strip a group, one dot an image, at its value. The kernel has done the statistics;
// here they are laid out, drawn and walked through.

const DOT_PX = 1.6;
const STEP_PX = 3; // dots nearer than this would hide each other: they are stacked
const SMALLEST_STRIP_PX = 30;
const REACH = 4; // the axis ends so many widths of the middle half beyond it; what lies further is an arrow at its end
const EDGE_PX = 20;
const TALLEST_BOX_PX = 60;
const NEAR_PX = 14;
const SIDES = ["", "worse", "apart", "better"];

class Strips {
  constructor({ onPick }) {
    this.base = element("canvas", { class: "qc-dots" });
    this.over = element("canvas", { class: "qc-over", role: "img" });
    this.axis = element("canvas", { class: "qc-axis", "aria-hidden": "true" });
    this.labels = element("div", { class: "qc-labels" });
    this.field = element("div", { class: "qc-field" }, this.base, this.over);
    this.scroll = element("div", { class: "qc-scroll" }, this.labels, this.field);
    this.box = element("div", { class: "qc-strips" }, this.scroll, this.axis);
    this.over.addEventListener("click", (event) => this.picked(event, onPick));
    this.over.addEventListener("pointermove", (event) => this.pointed(event));
    this.observer = new ResizeObserver(() => this.scroll.clientWidth !== this.seenWidth && this.draw());
    this.observer.observe(this.scroll);
    this.chosen = null;
  }

  stop() {
    this.observer.disconnect();
  }

  /** Take what the kernel told of a metric: `dots` holds all values, then all groups, then all sides. */
  show(told, dots) {
    const n = told.n_images;
    this.told = told;
    [this.values, this.groups, this.sides] = [0, 1, 2].map((part) => dots.subarray(part * n, (part + 1) * n));
    this.orders = told.groups.map(() => []); // the places of each group, from the lowest value to the highest
    this.values.forEach((value, place) => !Number.isNaN(value) && this.orders[this.groups[place]].push(place));
    for (const order of this.orders) order.sort((one, other) => this.values[one] - this.values[other] || one - other);
    this.range = this.ends();
    this.draw();
  }

  /** Have a logarithmic axis, or a linear one; a value of 0 or below lies beyond the begin of a logarithmic one. */
  turnLog(isLog) {
    this.isLog = isLog;
    if (!this.told) return;
    this.range = this.ends();
    this.draw();
  }

  /** Return a value as the axis counts it. */
  scaled(value) {
    return this.isLog ? (value > 0 ? Math.log10(value) : value <= 0 ? -Infinity : NaN) : value;
  }

  /** Return where the axis begins and ends: at the furthest values, unless these press all others together. */
  ends() {
    const known = this.orders.flat().map((place) => this.scaled(this.values[place])).filter(Number.isFinite).sort((one, other) => one - other);
    if (!known.length) return [0, 1];
    const quarter = (share) => known[Math.round(share * (known.length - 1))];
    const width = quarter(0.75) - quarter(0.25) || known.at(-1) - known[0] || Math.abs(known[0]) || 1;
    const inside = (value) => Math.min(Math.max(value, quarter(0.25) - REACH * width), quarter(0.75) + REACH * width);
    const usual = this.told.usual.map((value) => this.scaled(value)).filter(Number.isFinite);
    const boxes = this.told.groups.flatMap((group) => [group.lower_quartile, group.upper_quartile].map((value) => (value === null ? NaN : this.scaled(value))));
    const marks = [...[known[0], known.at(-1), ...usual].map(inside), ...boxes.filter(Number.isFinite)];
    const [low, high] = [Math.min(...marks), Math.max(...marks)];
    return low < high ? [low, high] : [low - width / 2, high + width / 2];
  }

  x(value) {
    const beyond = this.isBeyond(value);
    if (beyond) return beyond < 0 ? EDGE_PX / 2 : this.width - EDGE_PX / 2;
    const [low, high] = this.range;
    return EDGE_PX + ((this.scaled(value) - low) / (high - low)) * (this.width - 2 * EDGE_PX);
  }

  isBeyond(value) {
    const [low, high] = this.range;
    const [at, slack] = [this.scaled(value), 1e-9 * (high - low)];
    return at < low - slack ? -1 : at > high + slack ? 1 : 0;
  }

  draw() {
    if (!this.told || !this.scroll.clientWidth) return;
    const began = performance.now();
    this.seenWidth = this.scroll.clientWidth;
    this.strip = Math.max(Math.floor(this.scroll.clientHeight / this.told.groups.length), SMALLEST_STRIP_PX);
    this.showLabels();
    this.width = this.field.clientWidth;
    this.height = this.strip * this.told.groups.length;
    const style = getComputedStyle(this.box);
    this.colour = (name) => style.getPropertyValue(`--${name}`).trim();
    this.lay();
    const pen = this.pen(this.base, this.width, this.height);
    this.drawUsual(pen);
    this.drawBoxes(pen, (left, top, width, height) => pen.fillRect(left, top, width, height));
    this.drawDots(pen);
    this.drawBoxes(pen, (left, top, width, height) => pen.strokeRect(left + 0.5, top + 0.5, width - 1, height - 1));
    this.drawAxis();
    this.drawChosen();
    this.box.dataset.drawMs = (performance.now() - began).toFixed(1);
  }

  /** Give a canvas its size in the pixels of the screen, and return its context in those of the page. */
  pen(canvas, width, height) {
    const ratio = window.devicePixelRatio || 1;
    [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    [canvas.style.width, canvas.style.height] = [`${width}px`, `${height}px`];
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    return pen;
  }

  showLabels() {
    this.labels.replaceChildren(...this.told.groups.map(({ group, n_images, n_null, n_worse, median }) => {
      const counts = [n_images.toLocaleString("en"), n_worse ? `✕ ${n_worse}` : "", n_null ? `${n_null} null` : ""].filter(Boolean).join(" · ");
      const label = element("div", { class: "qc-label", title: `${group}: ${n_images} images, ${n_null} null, ${n_worse} on the worse side; median ${median === null ? "none" : short(median)}` },
        element("b", { text: group }), element("small", { text: counts }));
      label.style.height = `${this.strip}px`;
      return label;
    }));
  }

  /** Place every dot: at its value, and above and below the middle of its strip in turns where many are equal. */
  lay() {
    this.dots = { x: new Float32Array(this.values.length).fill(NaN), y: new Float32Array(this.values.length) };
    const columns = Math.ceil(this.width / STEP_PX) + 1;
    this.orders.forEach((order, group) => {
      const counts = new Uint32Array(columns);
      const columnOf = (place) => Math.floor(this.x(this.values[place]) / STEP_PX);
      for (const place of order) counts[columnOf(place)] += 1;
      const most = Math.max(...counts, 1);
      const step = Math.min(STEP_PX, (this.strip - 8) / most);
      const stacked = new Uint32Array(columns);
      for (const place of order) {
        const rank = (stacked[columnOf(place)] += 1);
        this.dots.x[place] = this.x(this.values[place]);
        this.dots.y[place] = (group + 0.5) * this.strip + (rank % 2 ? -1 : 1) * Math.floor(rank / 2) * step;
      }
    });
  }

  drawUsual(pen) {
    pen.fillStyle = this.colour("edge");
    this.told.groups.forEach((_, number) => pen.fillRect(0, (number + 1) * this.strip - 1, this.width, 1));
    if (!this.told.usual.length) return;
    const [left, right] = this.told.usual.map((value) => this.x(value));
    pen.fillStyle = this.colour("usual");
    pen.fillRect(left, 0, Math.max(right - left, 1), this.height);
    pen.fillStyle = this.colour("usual-end");
    for (let y = 0; y < this.height; y += 8) for (const x of [left, right]) pen.fillRect(x - 0.5, y, 1, 4);
  }

  /** The ground of the boxes lies under the dots; outline and median are drawn over them, or many dots would hide them. */
  drawBoxes(pen, draw) {
    const tall = Math.min(this.strip - 7, TALLEST_BOX_PX);
    this.told.groups.forEach(({ lower_quartile, median, upper_quartile }, number) => {
      if (median === null) return;
      const top = number * this.strip + Math.round((this.strip - tall) / 2);
      const [left, middle, right] = [lower_quartile, median, upper_quartile].map((value) => this.x(value));
      [pen.fillStyle, pen.strokeStyle, pen.lineWidth] = [this.colour("quartiles"), this.colour("outline"), 1];
      draw(left, top, Math.max(right - left, 2), tall);
      pen.fillStyle = this.colour("text");
      pen.fillRect(middle - 1, top - 2, 2, tall + 4);
    });
  }

  /** The many first, in one path; those that stand apart on top of them, each with its shape. */
  drawDots(pen) {
    const { x, y } = this.dots;
    pen.fillStyle = this.colour("dot");
    pen.beginPath();
    for (let place = 0; place < x.length; place += 1) {
      if (Number.isNaN(x[place]) || this.sides[place]) continue;
      pen.moveTo(x[place] + DOT_PX, y[place]);
      pen.arc(x[place], y[place], DOT_PX, 0, 2 * Math.PI);
    }
    pen.fill();
    for (const side of [3, 2, 1]) {
      pen.strokeStyle = this.colour(SIDES[side]);
      pen.lineWidth = side === 1 ? 1.8 : 1.1; // the eye goes to what is worse
      pen.beginPath();
      for (let place = 0; place < x.length; place += 1) {
        if (this.sides[place] === side && !Number.isNaN(x[place])) this.trace(pen, side, x[place], y[place], this.isBeyond(this.values[place]));
      }
      pen.stroke();
    }
  }

  /** An arrow where a value lies beyond the axis; else a cross, a diamond or a ring. */
  trace(pen, side, x, y, beyond) {
    const path = (...points) => points.forEach(([right, down], number) => pen[number ? "lineTo" : "moveTo"](x + right, y + down));
    if (beyond) path([-4 * beyond, -4], [4 * beyond, 0], [-4 * beyond, 4]);
    else if (side === 1) {
      path([-3, -3], [3, 3]);
      path([3, -3], [-3, 3]);
    } else if (side === 2) path([0, -4], [4, 0], [0, 4], [-4, 0], [0, -4]);
    else {
      pen.moveTo(x + 3, y);
      pen.arc(x, y, 3, 0, 2 * Math.PI);
    }
  }

  drawAxis() {
    const pen = this.pen(this.axis, this.width, 34);
    pen.font = getComputedStyle(this.box).font;
    pen.textAlign = "center";
    pen.fillStyle = this.colour("dim");
    pen.fillRect(0, 0, this.width, 1);
    const make = this.isLog ? logTicks : ticks;
    for (const value of make(...this.range, Math.max(this.width / 70, 2))) {
      const x = this.x(value);
      pen.fillRect(Math.round(x), 0, 1, 5);
      pen.fillText(written(value), Math.min(Math.max(x, 22), this.width - 22), 18);
    }
    const [low, high] = this.range.map((end) => (this.isLog ? 10 ** end : end));
    const count = (way) => this.values.reduce((sum, value) => sum + (this.isBeyond(value) === way), 0);
    const [before, after] = [count(-1), count(1)];
    pen.textAlign = "left";
    if (before) pen.fillText(`◂ ${before} below ${short(low)}`, 0, 32);
    pen.textAlign = "right";
    if (after) pen.fillText(`${after} above ${short(high)} ▸`, this.width, 32);
  }

  /** Show which image is chosen, and have its strip on the screen. */
  choose(place) {
    this.chosen = place;
    if (!this.dots) return;
    this.drawChosen();
    const top = this.groups[place] * this.strip;
    const { scrollTop, clientHeight } = this.scroll;
    if (top < scrollTop) this.scroll.scrollTop = top;
    else if (top + this.strip > scrollTop + clientHeight) this.scroll.scrollTop = top + this.strip - clientHeight;
  }

  drawChosen() {
    const pen = this.pen(this.over, this.width, this.height);
    [...this.labels.children].forEach((label, number) => label.toggleAttribute("data-chosen", this.chosen !== null && number === this.groups[this.chosen]));
    if (this.chosen === null || Number.isNaN(this.dots.x[this.chosen])) return;
    const [x, y] = [this.dots.x[this.chosen], this.dots.y[this.chosen]];
    pen.strokeStyle = this.colour("ring");
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(x, y, 8, 0, 2 * Math.PI);
    pen.stroke();
    pen.globalAlpha = 0.45;
    pen.fillStyle = this.colour("ring");
    pen.fillRect(x - 0.5, 0, 1, this.height);
  }

  /** Return the place of the dot at the pointer, or null. */
  at(event) {
    let [nearest, distance] = [null, NEAR_PX];
    for (let place = 0; place < this.dots.x.length; place += 1) {
      const away = Math.hypot(this.dots.x[place] - event.offsetX, this.dots.y[place] - event.offsetY);
      if (away < distance) [nearest, distance] = [place, away];
    }
    return nearest;
  }

  picked(event, onPick) {
    const place = this.dots ? this.at(event) : null;
    if (place !== null) onPick(place);
  }

  pointed(event) {
    const place = this.dots ? this.at(event) : null;
    this.over.style.cursor = place === null ? "default" : "pointer";
    this.over.title = place === null ? "" : `${this.told.groups[this.groups[place]].group}: ${short(this.values[place])}`;
  }

  /** Return the place of the next value in the same group, `way` steps on; an image without a value has none. */
  beside(place, way) {
    const order = this.orders[this.groups[place]];
    const at = order.indexOf(place);
    return at < 0 ? order[0] ?? null : order[Math.min(Math.max(at + way, 0), order.length - 1)];
  }

  /** Return the place with the nearest value in the group above (-1) or below (1). */
  across(place, way) {
    for (let group = this.groups[place] + way; group >= 0 && group < this.orders.length; group += way) {
      const order = this.orders[group];
      if (!order.length) continue;
      const value = Number.isNaN(this.values[place]) ? this.told.groups[group].median : this.values[place];
      return order.reduce((best, each) => (Math.abs(this.values[each] - value) < Math.abs(this.values[best] - value) ? each : best));
    }
    return place;
  }
}
