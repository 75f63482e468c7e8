/** What was asked in this browser before. Statements alone: their rows are not kept. */
export interface Asked {
  sql: string;
  atMs: number;
}

const KEY = "lakecore.sql";
const MOST = 50;
const MOST_CHARACTERS = 20_000;

export function asked(): Asked[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found)
      ? found.filter((one): one is Asked => typeof (one as Asked)?.sql === "string")
      : [];
  } catch {
    return [];
  }
}

export function remember(sql: string): void {
  if (sql.length > MOST_CHARACTERS) return;
  const before = asked().filter((one) => one.sql !== sql);
  localStorage.setItem(KEY, JSON.stringify([{ sql, atMs: Date.now() }, ...before].slice(0, MOST)));
}

export function forgetAsked(): void {
  localStorage.removeItem(KEY);
}
