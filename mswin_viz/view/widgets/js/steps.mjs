// Where a slider goes next. Pure functions: node tests them.

// The next marked place above the value, or below it with `step` -1; the value itself where there is none.
export function markBeside({ value, marks }, step) {
  const beside = marks.filter((mark) => (mark - value) * step > 0);
  return beside.length ? (step > 0 ? Math.min(...beside) : Math.max(...beside)) : value;
}

// The place after this one; behind the last comes the first.
export function ranOn({ value, min, max }) {
  return value < max ? value + 1 : min;
}

// Where a key leads; null for keys that lead nowhere.
export function steppedBy(key, place) {
  const { value, min, max } = place;
  const to = {
    ArrowRight: value + 1, ArrowUp: value + 1, ArrowLeft: value - 1, ArrowDown: value - 1, Home: min, End: max,
    PageUp: markBeside(place, 1), PageDown: markBeside(place, -1),
  }[key];
  return to === undefined ? null : Math.min(max, Math.max(min, to));
}
