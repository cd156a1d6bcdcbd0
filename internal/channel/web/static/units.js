// How numbers are written, as the server writes them in its sentences.

// digits writes a number with three digits that count, more before the point.
export function digits(v) {
  const a = Math.abs(v);
  if (a === 0) return "0";
  if (a < 0.001) return v.toPrecision(2);
  const places = a < 0.1 ? 3 : a < 10 ? 2 : a < 100 ? 1 : 0;
  const s = v.toFixed(places);
  return places ? s.replace(/\.?0+$/, "") : s;
}

function seconds(a) {
  if (a === 0) return [1, "s"];
  if (a < 0.0009995) return [1e6, "µs"];
  if (a < 0.9995) return [1000, "ms"];
  if (a < 120) return [1, "s"];
  if (a < 7200) return [1 / 60, "min"];
  if (a < 48 * 3600) return [1 / 3600, "h"];
  return [1 / 86400, "d"];
}

function bytes(a, suffix) {
  let by = 1, unit = "B";
  for (const n of ["KiB", "MiB", "GiB", "TiB", "PiB"]) {
    if (a * by < 1023.5) break;
    by /= 1024;
    unit = n;
  }
  return [by, unit + suffix];
}

// scale is by what to multiply numbers about as large as v, and what they are then in.
export function scale(unit, v) {
  const a = Math.abs(v);
  switch (unit) {
    case "seconds": return seconds(a);
    case "bytes": return bytes(a, "");
    case "bytes_per_second": return bytes(a, "/s");
    case "ratio": return [100, "%"];
    case "per_second": return [1, "/s"];
    case "cores": return a > 0 && a < 0.0995 ? [1000, "m cores"] : [1, "cores"];
  }
  return [1, ""];
}

// written is a value with its unit: "840 ms".
export function written(unit, v) {
  const [by, name] = scale(unit, v);
  return digits(v * by) + (name ? " " + name : "");
}

// roundStep gives steps of 1, 2 or 5 that divide a range into about n.
export function roundStep(range, n) {
  const raw = range / Math.max(1, n);
  const power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw) || 10 * power;
}
