// Numbers -> places on a colour scale and words. Pure functions: node tests them.

// A copy of the bytes of a binary trait: its view may start at an odd address, which typed arrays refuse.
export function bytesOf(view) {
  if (!view || !view.byteLength) return new ArrayBuffer(0);
  return view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
}

export function readFloats(view) {
  return new Float32Array(bytesOf(view));
}

export function readInts(view) {
  return new Int32Array(bytesOf(view));
}

// {lo, hi} of the colour scale, symmetric about zero if signed; null where no value is finite. NaN and infinities have
// no say in it.
export function valueRange(values, { signed = false } = {}) {
  let lo = Infinity;
  let hi = -Infinity;
  for (const v of values) {
    if (!Number.isFinite(v)) continue;
    lo = Math.min(lo, v);
    hi = Math.max(hi, v);
  }
  if (lo > hi) return null;
  const reach = Math.max(Math.abs(lo), Math.abs(hi));
  return signed ? { lo: -reach, hi: reach } : { lo, hi };
}

// Place of a value in the range, 0..1; the middle where the range has no width, NaN where the value is not finite.
export function normalise(value, range) {
  if (!range || !Number.isFinite(value)) return NaN;
  if (range.hi === range.lo) return 0.5;
  return Math.min(1, Math.max(0, (value - range.lo) / (range.hi - range.lo)));
}

// What the threshold compares, 0..1: distance from zero where signed, from the low end otherwise.
export function strength(value, range, signed) {
  if (!range || !Number.isFinite(value)) return NaN;
  if (range.hi === range.lo) return 1;
  return signed ? Math.min(1, Math.abs(value) / range.hi) : normalise(value, range);
}

export function colourIndex(place) {
  return Math.min(255, Math.max(0, Math.floor(place * 256)));
}

// The colour map's name: "auto" stands for one of two, by the sign.
export function mapName(cmap, auto, signed) {
  if (cmap !== "auto") return cmap;
  return signed ? auto.signed : auto.unsigned;
}

export function formatNumber(value) {
  if (Number.isNaN(value)) return "not a number";
  if (!Number.isFinite(value)) return value > 0 ? "+infinity" : "−infinity";
  const size = Math.abs(value);
  const plain = size === 0 || (size >= 1e-3 && size < 1e5);
  const text = plain ? String(Number(value.toPrecision(3))) : value.toExponential(1);
  return text.replace("-", "−").replace("e-", "e−").replace("e+", "e");
}

// "a–b" of the finite values, for screen readers.
export function spanInWords(values, factor = 1) {
  const range = valueRange(values);
  return range ? `values ${formatNumber(factor * range.lo)} to ${formatNumber(factor * range.hi)}` : "no finite value";
}
