// Numbers along an axis: where its ticks stand, and how they are written.

/** Return round numbers from low to high, about `wanted` of them. */
function ticks(low, high, wanted) {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, place) => (first + place) * step);
}

/** Return 1, 2 and 5 of each power of ten, fewer where many powers fit, between 10 to the power of low and of high. */
function logTicks(low, high, wanted) {
  if (high - low < 0.7) return ticks(10 ** low, 10 ** high, wanted / 2);
  const every = Math.max(1, Math.ceil((high - low) / wanted));
  const factors = 3 * (high - low) > wanted ? [1] : [1, 2, 5];
  const powers = Array.from({ length: Math.floor(high) - Math.floor(low) + 1 }, (_, place) => Math.floor(low) + place);
  const all = powers.filter((power) => power % every === 0).flatMap((power) => factors.map((factor) => factor * 10 ** power));
  return all.filter((value) => Math.log10(value) >= low && Math.log10(value) <= high);
}

/** Return a number as a person writes it, e.g. 0.0012, 1,200, 3.4e-7. */
function written(value) {
  const size = Math.abs(value);
  if (value === 0) return "0";
  return size >= 1e7 || size < 1e-4 ? value.toExponential(1) : Number(value.toPrecision(6)).toLocaleString("en", { maximumFractionDigits: 8 });
}

/** The same with four digits, for sentences. */
function short(value) {
  return written(Number(value.toPrecision(4)));
}
