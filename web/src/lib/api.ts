/** The gateway's answers, asked for in the name of whoever is logged in. */

/** An error as RFC 9457 tells it, with what to do about it. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  expected?: string;
  found?: string;
  where?: string;
  hint?: string;
}

export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.title);
  }
}

const LOGGED_OUT = "lakecore:logged-out";

export function onLoggedOut(told: () => void): () => void {
  window.addEventListener(LOGGED_OUT, told);
  return () => window.removeEventListener(LOGGED_OUT, told);
}

/** Any route of the gateway, or of the console itself where `path` does not begin with /api. */
export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError({
      type: "urn:lakecore:error:unavailable",
      title: "the server does not answer",
      status: 0,
      hint: "is `lakecore up` still running? This page tries again when you do",
    });
  }
  if (answer.ok) return answer;
  const problem = await problemOf(answer);
  if (answer.status === 401 && path.startsWith("/api")) {
    window.dispatchEvent(new Event(LOGGED_OUT));
  }
  throw new ApiError(problem);
}

async function problemOf(answer: Response): Promise<Problem> {
  const fallback: Problem = {
    type: "urn:lakecore:error:unknown",
    title: `the server answered ${answer.status}`,
    status: answer.status,
  };
  try {
    const found = (await answer.json()) as Partial<Problem>;
    return typeof found.title === "string" ? { ...fallback, ...found } : fallback;
  } catch {
    return fallback;
  }
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const answer = await send(path, signal ? { signal } : {});
  return (await answer.json()) as T;
}

export async function postJson<T>(path: string, body: unknown, init: RequestInit = {}): Promise<T> {
  const answer = await send(path, {
    method: "POST",
    body: JSON.stringify(body),
    ...init,
    headers: { "content-type": "application/json", ...init.headers },
  });
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

/** The rows of a small query, as objects. */
export async function rows<T>(sql: string, signal?: AbortSignal): Promise<T[]> {
  const init = signal ? { signal } : {};
  const body = { sql, limit: 10_000, read_only: true };
  return (await postJson<{ items: T[] }>("/api/query/sql", body, init)).items;
}

export interface Page<T> {
  items: T[];
  next: string | null;
}

/** An identifier as SQL takes it, whatever is in it. */
export function quoted(dataset: string): string {
  const dot = dataset.indexOf(".");
  const parts = dot < 0 ? [dataset] : [dataset.slice(0, dot), dataset.slice(dot + 1)];
  return parts.map((part) => `"${part.replaceAll('"', '""')}"`).join(".");
}

export function problemFrom(error: unknown): Problem {
  if (error instanceof ApiError) return error.problem;
  const title = error instanceof Error ? error.message : String(error);
  return { type: "urn:lakecore:error:page", title, status: 0 };
}
