/** Lines as they come: a bounded ring, drawn a few times a second however many there are. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Problem } from "../../lib/api";

export interface Line {
  id: number;
  time: string;
  service: string;
  kind: string;
  level: string;
  message: string;
  fields: string;
  trace_id?: string | null;
  path?: string | null;
}

interface Told extends Omit<Line, "id" | "time"> {
  time?: string;
  at_us?: number;
}

export const MOST_LINES = 10_000;
const MOST_SERVICES = 100;
const DRAW_MS = 150;
/** When so many come a second that nobody reads them one by one, they are drawn less often. */
const MANY_PER_S = 500;
const DRAW_MANY_MS = 400;
const RATE_MS = 2_000;

/** The newest lines, without moving the others: the oldest is written over. */
export class Ring {
  private readonly kept: (Line | undefined)[] = new Array(MOST_LINES);
  private readonly named = new Set<string>();
  count = 0;

  put(line: Omit<Line, "id">): void {
    if (this.named.size < MOST_SERVICES) this.named.add(line.service);
    this.kept[this.count % MOST_LINES] = { ...line, id: this.count };
    this.count += 1;
  }

  /** The last `most` that fit, the oldest first. */
  last(most: number, fits: (line: Line) => boolean): Line[] {
    const found: Line[] = [];
    const end = Math.max(0, this.count - MOST_LINES);
    for (let n = this.count - 1; n >= end && found.length < most; n -= 1) {
      const line = this.kept[n % MOST_LINES]!;
      if (fits(line)) found.push(line);
    }
    return found.reverse();
  }

  services(): string[] {
    return [...this.named].sort();
  }
}

export interface Live {
  ring: Ring;
  /** Grows with each drawing. */
  turn: number;
  isOpen: boolean;
  perSecond: number;
  missing: number;
  problem?: Problem | undefined;
}

export function useLines(): Live {
  const ring = useRef(new Ring());
  const [live, setLive] = useState({ turn: 0, isOpen: false, perSecond: 0, missing: 0 });
  const [problem, setProblem] = useState<Problem>();
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let missing = 0;
    let seen = 0;
    let since = performance.now();
    let rate = 0;
    const draw = () => {
      timer = undefined;
      const now = performance.now();
      if (now - since > RATE_MS) {
        rate = Math.round((seen * 1_000) / (now - since));
        seen = 0;
        since = now;
      }
      setLive((before) => ({ ...before, turn: before.turn + 1, missing, perSecond: rate }));
    };
    const source = new EventSource("/api/data/logs/all");
    source.onopen = () => {
      setLive((before) => ({ ...before, isOpen: true }));
      setProblem(undefined);
    };
    source.addEventListener("lines", (message) => {
      const told = JSON.parse(message.data as string) as { lines: Told[]; missing: number };
      const timed = told.lines.map((one) => ({
        ...one,
        time: one.time ?? new Date((one.at_us ?? 0) / 1_000).toISOString(),
      }));
      // Within a batch by time; what programs tell comes some seconds after it happened.
      timed.sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
      for (const one of timed) ring.current.put(one);
      missing += told.missing;
      seen += told.lines.length + told.missing;
      timer ??= setTimeout(draw, rate > MANY_PER_S ? DRAW_MANY_MS : DRAW_MS);
    });
    source.addEventListener("problem", (message) => {
      setProblem(JSON.parse(message.data as string) as Problem);
    });
    source.onerror = () => {
      setLive((before) => ({ ...before, isOpen: false }));
      if (source.readyState === EventSource.CLOSED) {
        setProblem({
          type: "",
          title: "the lines ended",
          status: 0,
          hint: "your key needs read of system.events, or admin of everything for the process's own log; or it has ended",
        });
      }
    };
    return () => {
      source.close();
      clearTimeout(timer);
    };
  }, []);
  return { ring: ring.current, ...live, problem };
}
