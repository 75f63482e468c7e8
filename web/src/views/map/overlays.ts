/** What a tile's colour says: five overlays, each a value from good (0) to bad (1). */
import type { FileNode } from "../../lib/reviews";

export interface Overlay {
  title: string;
  about: string;
  /** 0 good, 1 bad; null: nothing is known. */
  badness: (file: FileNode, of: Extent) => number | null;
  text: (file: FileNode, now: number) => string;
  /** What its colours mean, from good to bad. */
  legend: [string, string];
  source: string;
}

export interface Extent {
  mostChurn: number;
  now: number;
}

const DAY_MS = 86_400_000;
const OLD_DAYS = 60;
const CLASS: Record<string, number> = {
  CONVERGING: 0,
  PLATEAU: 0.35,
  MIXED: 0.55,
  ORBITING: 0.8,
  LOOPING: 1,
};

export const OVERLAYS = {
  confirmed: {
    title: "Confirmed score",
    about: "what fixes that were confirmed have earned, 0 to 10",
    badness: (file) => (file.confirmed_score === null ? null : 1 - file.confirmed_score / 10),
    text: (file) =>
      file.confirmed_score === null ? "no data" : `${file.confirmed_score.toFixed(1)} of 10`,
    legend: ["10", "0"],
    source: "system.reviews, system.findings",
  },
  hotspot: {
    title: "Churn × severity",
    about: "commits, times the weight of what is open: where trouble and change meet",
    badness: (file, of) =>
      file.churn === null
        ? null
        : Math.min(1, (file.churn * file.open_weight) / Math.max(1, of.mostChurn)),
    text: (file) =>
      file.churn === null
        ? "no data"
        : `${file.churn} commits × ${file.open_weight} = ${file.churn * file.open_weight}`,
    legend: ["0", "the most here"],
    source: "git log, system.findings",
  },
  signal: {
    title: "Signal class",
    about: "how a file moves over its reviews",
    badness: (file) => CLASS[file.signal] ?? null,
    text: (file) => (file.signal === "INSUFFICIENT" ? "no data: INSUFFICIENT" : file.signal),
    legend: ["CONVERGING", "LOOPING"],
    source: "system.reviews",
  },
  trust: {
    title: "Trust",
    about: "how far the model that looked last is trusted, 0 to 1",
    badness: (file) => (file.trust === null ? null : 1 - file.trust),
    text: (file) => (file.trust === null ? "no data" : `${file.trust.toFixed(2)}, ${file.model}`),
    legend: ["1", "0"],
    source: "system.reviews, system.findings",
  },
  age: {
    title: "Last review",
    about: "how long ago the file was looked at",
    badness: (file, of) =>
      file.time === null
        ? null
        : Math.min(1, (of.now - new Date(file.time).getTime()) / DAY_MS / OLD_DAYS),
    text: (file, now) =>
      file.time === null
        ? "never"
        : `${Math.max(0, Math.floor((now - new Date(file.time).getTime()) / DAY_MS))} days ago`,
    legend: ["today", "60 days or more"],
    source: "system.reviews",
  },
} satisfies Record<string, Overlay>;

export type OverlayId = keyof typeof OVERLAYS;
export const OVERLAY_IDS = Object.keys(OVERLAYS) as OverlayId[];

/** Three stops, soft enough that ink can be read on all of them. */
const STOPS = {
  light: [
    [176, 219, 193],
    [246, 226, 180],
    [240, 176, 168],
  ],
  dark: [
    [31, 78, 52],
    [92, 72, 24],
    [120, 46, 41],
  ],
} as const;
export const NO_DATA = { light: [232, 232, 228], dark: [45, 47, 43] } as const;
type Rgb = readonly [number, number, number];

export function colour(badness: number | null, isDark: boolean): Rgb {
  const theme = isDark ? "dark" : "light";
  if (badness === null) return NO_DATA[theme];
  const stops = STOPS[theme];
  const at = Math.max(0, Math.min(1, badness)) * 2;
  const from = stops[at < 1 ? 0 : 1];
  const to = stops[at < 1 ? 1 : 2];
  const part = at < 1 ? at : at - 1;
  return [0, 1, 2].map((n) => from[n]! + (to[n]! - from[n]!) * part) as unknown as Rgb;
}

const STEPS = 64;
const texts = new Map<boolean, string[]>();

/** The same as CSS, in steps that nobody can tell apart: made once, not for each tile and frame. */
export function colourText(badness: number | null, isDark: boolean): string {
  let known = texts.get(isDark);
  if (!known) {
    known = [null, ...Array.from({ length: STEPS + 1 }, (_, n) => n / STEPS)].map((one) => {
      const [r, g, b] = colour(one, isDark);
      return `rgb(${Math.round(r)},${Math.round(g)},${Math.round(b)})`;
    });
    texts.set(isDark, known);
  }
  if (badness === null) return known[0]!;
  return known[1 + Math.round(Math.max(0, Math.min(1, badness)) * STEPS)]!;
}

export function isDarkNow(): boolean {
  return getComputedStyle(document.documentElement).colorScheme.includes("dark");
}
