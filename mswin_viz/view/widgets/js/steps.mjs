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
