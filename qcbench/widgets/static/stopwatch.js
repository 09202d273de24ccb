// Time at work: what passes while nobody touches anything, or while the page is hidden, does not count.

const IDLE_AFTER_MS = 30_000;
const PACE_OVER = 30; // labels; long enough to be calm, short enough to follow a rater who tires
const LEAST_FOR_PACE = 5;

/** Counts the time in which somebody is at the page. `now` is a clock in milliseconds. */
class Stopwatch {
  constructor(now = () => performance.now()) {
    this.now = now;
    this.counted = 0;
    this.touchedAt = now();
    this.hidden = false;
  }

  listen(signal) {
    const options = { signal, capture: true, passive: true };
    for (const name of ["keydown", "pointerdown", "pointermove", "wheel"]) window.addEventListener(name, () => this.touch(), options);
    const look = () => (document.hidden ? this.hide() : this.show());
    document.addEventListener("visibilitychange", look, { signal });
    look();
  }

  /** Milliseconds at work so far. Who touches nothing is taken to look for 30 s, and then to be away. */
  activeMs() {
    return this.hidden ? this.counted : this.counted + Math.min(this.now() - this.touchedAt, IDLE_AFTER_MS);
  }

  touch() {
    this.counted = this.activeMs();
    this.touchedAt = this.now();
  }

  hide() {
    this.counted = this.activeMs();
    this.hidden = true;
  }

  show() {
    this.touch();
    this.hidden = false;
  }

  /** Begin a stretch; what is returned gives its seconds at work and its idle seconds so far. */
  begin() {
    const [startedAt, active] = [this.now(), this.activeMs()];
    return () => {
      const seconds = (this.activeMs() - active) / 1000;
      return { seconds, idle_s: Math.max((this.now() - startedAt) / 1000 - seconds, 0) };
    };
  }
}

/** How fast labels are made lately, in time at work. */
class Pace {
  constructor() {
    this.marks = [];
  }

  mark(activeMs) {
    this.marks = [...this.marks, activeMs].slice(-PACE_OVER);
  }

  /** Labels an hour; null while there are too few to tell. */
  perHour() {
    const took = this.marks.at(-1) - this.marks[0];
    return this.marks.length < LEAST_FOR_PACE || took <= 0 ? null : Math.round(((this.marks.length - 1) * 3_600_000) / took);
  }

  /** How long n more labels take, in words a person can plan with. */
  timeLeft(n) {
    const rate = this.perHour();
    if (rate === null || n === 0) return "";
    const minutes = Math.ceil((60 * n) / rate);
    if (minutes < 90) return `about ${minutes} min left`;
    return `about ${Math.round(minutes / 60)} h left`;
  }
}
