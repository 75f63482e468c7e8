/** What reviews left in the lake: forms of `/data`, and which repository under which bar is meant. */
import { useMemo } from "preact/hooks";
import type { Page } from "./api";
import type { Place } from "./router";
import { type Answer, useApi } from "./use";

export interface Scope {
  repository: string;
  bar: string;
  last: string;
}

export interface FileNode {
  path: string;
  lines: number | null;
  tokens: number | null;
  churn: number | null;
  model: string | null;
  trust: number | null;
  time: string | null;
  score: number | null;
  confirmed_score: number | null;
  open: number;
  open_weight: number;
  severe: number;
  confirmed: number;
  signal: string;
  reason: string;
  need: number;
  need_why: string;
  scores: number[];
  weights: number[];
}

export interface Mapped {
  repository: string;
  bar: string;
  iteration: number;
  /** `git`, or why lines and churn are not known. */
  code: string;
  sigma: number | null;
  is_cut: boolean;
  items: FileNode[];
}

export interface Scoped {
  scopes: Answer<Page<Scope>>;
  scope: Scope | undefined;
  /** Members of a question about it. */
  query: string;
}

/** The repository and bar of the address; else those of the newest review. */
export function useScope(place: Place): Scoped {
  const scopes = useApi<Page<Scope>>("/data/reviews?limit=200");
  const repository = place.query.get("repository");
  const bar = place.query.get("bar");
  const scope = scopes.data?.items.find(
    (one) => (!repository || one.repository === repository) && (!bar || one.bar === bar),
  );
  const query = useMemo(
    () =>
      scope ? new URLSearchParams({ repository: scope.repository, bar: scope.bar }).toString() : "",
    [scope?.repository, scope?.bar],
  );
  return { scopes, scope, query };
}

export function useMap(query: string): Answer<Mapped> {
  return useApi<Mapped>(query ? `/data/map?${query}` : "");
}

/** A file's trace. Its path is in the query: a part of an address with a dot is taken for a file. */
export function traceOf(path: string, query = ""): string {
  return `/trace?path=${encodeURIComponent(path)}${query ? `&${query}` : ""}`;
}

export const SIGNALS = [
  "LOOPING",
  "ORBITING",
  "MIXED",
  "PLATEAU",
  "CONVERGING",
  "INSUFFICIENT",
] as const;

/** What a class means, for whoever has not met it. */
export const SIGNAL_WORDS: Record<string, string> = {
  LOOPING: "edits touch a severe finding, and it stays",
  ORBITING: "fixes are confirmed, and others come instead",
  MIXED: "no class fits",
  PLATEAU: "nothing moves beyond noise",
  CONVERGING: "fixes are confirmed, less is open, the score rises",
  INSUFFICIENT: "too few reviews to say",
};
