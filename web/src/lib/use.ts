/** Hooks: an answer with its age, time that goes by, a route. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { getJson, type Problem, problemFrom } from "./api";

/** What was asked for: the last answer stays while another is on its way. */
export interface Answer<T> {
  data: T | undefined;
  problem: Problem | undefined;
  isLoading: boolean;
  /** When `data` came, milliseconds; 0: not yet. */
  atMs: number;
  /** What was asked, as anybody may ask it. */
  source: string;
  reload: () => void;
}

interface Kept {
  data: unknown;
  atMs: number;
}
const MOST_KEPT = 200;
const kept = new Map<string, Kept>();

export function forget(): void {
  kept.clear();
}

/**
 * An answer to `ask`, kept under `source` for when the page is shown again.
 * `everyMs`: asked again so often, while the page is looked at. An empty `source` asks nothing.
 * `freshMs`: one that is not older than this is not asked for again, unless by `reload`.
 */
export function useAnswer<T>(
  source: string,
  ask: (signal: AbortSignal) => Promise<T>,
  everyMs = 0,
  freshMs = 0,
): Answer<T> {
  const [turn, setTurn] = useState(0);
  const [, redraw] = useState(0);
  const [problem, setProblem] = useState<Problem>();
  const [isLoading, setLoading] = useState(true);
  const asked = useRef(ask);
  asked.current = ask;
  useEffect(() => {
    if (!source) return;
    if (turn === 0 && Date.now() - (kept.get(source)?.atMs ?? 0) < freshMs) {
      setLoading(false);
      return;
    }
    const abort = new AbortController();
    setLoading(true);
    asked
      .current(abort.signal)
      .then((data) => {
        if (abort.signal.aborted) return;
        if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value ?? "");
        kept.set(source, { data, atMs: Date.now() });
        setProblem(undefined);
        redraw((n) => n + 1);
      })
      .catch((error: unknown) => {
        if (!abort.signal.aborted) setProblem(problemFrom(error));
      })
      .finally(() => {
        if (!abort.signal.aborted) setLoading(false);
      });
    return () => abort.abort();
  }, [source, turn]);
  const reload = useCallback(() => setTurn((n) => n + 1), []);
  useEffect(() => {
    if (!everyMs) return;
    const timer = setInterval(() => document.hidden || reload(), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  const found = kept.get(source);
  return {
    data: found?.data as T | undefined,
    problem,
    isLoading: isLoading && !!source,
    atMs: found?.atMs ?? 0,
    source,
    reload,
  };
}

/** A GET route of the gateway. */
export function useApi<T>(path: string, everyMs = 0, freshMs = 0): Answer<T> {
  const source = path ? `GET ${path}` : "";
  return useAnswer<T>(source, (signal) => getJson<T>(`/api${path}`, signal), everyMs, freshMs);
}

/** Now, milliseconds; drawn again so often. */
export function useNow(everyMs = 1_000): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Lakecore`;
  }, [title]);
}
