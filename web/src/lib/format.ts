/** Numbers, times and sizes as people read them. */

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export function count(n: number): string {
  return whole.format(n);
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

export function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = n;
  let unit = 0;
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  return `${unit ? short.format(value) : count(value)} ${units[unit]}`;
}

/** How long, in the largest unit that fits. */
export function span(ms: number): string {
  const s = Math.max(0, ms / 1_000);
  if (s < 1) return "less than 1 s";
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3_600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3_600)} h`;
  return plural(Math.floor(s / 86_400), "day");
}

export function ago(ms: number, now: number): string {
  return now - ms < 1_000 ? "now" : `${span(now - ms)} ago`;
}

export function moment(iso: string | number): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return String(iso);
  return date.toISOString().replace("T", " ").slice(0, 19);
}

export function clock(iso: string | number): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? String(iso) : date.toISOString().slice(11, 19);
}

/** A value of the journal, which is JSON text, in one line. */
export function shown(text: string | null): string {
  if (text === null) return "∅";
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "string" ? value : JSON.stringify(value);
  } catch {
    return text;
  }
}
