import { useEffect, useRef, useState } from "preact/hooks";
import { type Problem, problemFrom } from "../../lib/api";
import { query, type Result } from "../../lib/arrow";
import { ago, bytes, count } from "../../lib/format";
import { setQuery } from "../../lib/router";
import { useNow, useTitle } from "../../lib/use";
import { Empty, ProblemBox, Skeleton } from "../../ui/basics";
import { Grid } from "../../ui/grid";
import type { ViewProps } from "../registry";
import { Charted } from "./charted";
import { Download } from "./download";
import type { Editor } from "./editor";
import { asked, forgetAsked, remember } from "./history";
import { schema } from "./schema";
import "./sql.css";

interface Run {
  sql: string;
  result?: Result;
  made?: Record<string, unknown>;
  problem?: Problem;
  isRunning: boolean;
  startedMs: number;
  tookMs: number;
  /** So that a result that grows is drawn again. */
  seen: number;
}

/** /sql?q=…: a statement, its rows, a chart of them. Nothing runs before somebody says so. */
export default function Sql({ place }: ViewProps) {
  useTitle("SQL");
  const box = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | undefined>(undefined);
  const abort = useRef<AbortController | undefined>(undefined);
  const [run, setRun] = useState<Run>();
  const [mayChange, setMayChange] = useState(false);
  const [shown, setShown] = useState<"rows" | "chart">("rows");
  const [isHistory, setHistory] = useState(false);
  const [isReady, setReady] = useState(false);
  const may = useRef(false);
  may.current = mayChange;

  const start = async () => {
    const sql = editor.current?.text().trim() ?? "";
    if (!sql) return;
    abort.current?.abort();
    const own = new AbortController();
    abort.current = own;
    const startedMs = performance.now();
    const told = (more: Partial<Run>) => {
      if (abort.current !== own) return;
      setRun((before) => ({
        sql,
        startedMs,
        isRunning: true,
        ...(before?.startedMs === startedMs ? before : {}),
        tookMs: performance.now() - startedMs,
        seen: (before?.seen ?? 0) + 1,
        ...more,
      }));
    };
    told({ isRunning: true });
    remember(sql);
    setQuery({ q: sql });
    try {
      const found = await query({ sql, read_only: !may.current }, own.signal, (result) =>
        told({ result }),
      );
      if ("columns" in found) told({ result: found as Result, isRunning: false });
      else told({ made: found, isRunning: false });
    } catch (error) {
      const problem = own.signal.aborted
        ? { type: "", title: "this was cancelled", status: 0, hint: "run it again" }
        : problemFrom(error);
      told({ problem, isRunning: false });
    }
  };
  const startLatest = useRef(start);
  startLatest.current = start;

  useEffect(() => {
    const own = new AbortController();
    const text = place.query.get("q") ?? "";
    void import("./editor").then(({ openEditor }) => {
      if (own.signal.aborted || !box.current) return;
      editor.current = openEditor(box.current, {
        text,
        run: () => void startLatest.current(),
        changed: () => undefined,
      });
      editor.current.focus();
      setReady(true);
      schema((found) => editor.current?.setSchema(found), own.signal).catch(() => undefined);
    });
    return () => {
      own.abort();
      abort.current?.abort();
      editor.current?.close();
      editor.current = undefined;
    };
  }, []);
  const q = place.query.get("q") ?? "";
  useEffect(() => {
    if (editor.current && editor.current.text().trim() !== q.trim()) editor.current.setText(q);
  }, [q]);

  const result = run?.result;
  return (
    <div class="page sql">
      <header class="page-head">
        <h1>SQL</h1>
        <div class="row">
          <label class="row quiet">
            <input
              type="checkbox"
              checked={mayChange}
              onChange={(event) => setMayChange(event.currentTarget.checked)}
            />
            may change rows
          </label>
          <button type="button" aria-expanded={isHistory} onClick={() => setHistory(!isHistory)}>
            History
          </button>
          {run?.isRunning ? (
            <button type="button" class="primary" onClick={() => abort.current?.abort()}>
              Cancel
            </button>
          ) : (
            <button type="button" class="primary" disabled={!isReady} onClick={() => void start()}>
              Run <kbd>Ctrl ⏎</kbd>
            </button>
          )}
        </div>
      </header>
      {isHistory && (
        <History
          take={(sql) => {
            editor.current?.setText(sql);
            editor.current?.focus();
            setHistory(false);
          }}
        />
      )}
      <div ref={box} class="sql-editor" />
      {run && <Told run={run} />}
      {run?.problem && <ProblemBox problem={run.problem} />}
      {run?.made && <Made made={run.made} />}
      {result && (
        <>
          <div class="row spread">
            <fieldset class="row choice">
              <legend class="visually-hidden">Show the rows as</legend>
              <button
                type="button"
                aria-pressed={shown === "rows"}
                onClick={() => setShown("rows")}
              >
                Rows
              </button>
              <button
                type="button"
                aria-pressed={shown === "chart"}
                disabled={!result.count}
                onClick={() => setShown("chart")}
              >
                Chart
              </button>
            </fieldset>
            <Download sql={run?.sql ?? ""} />
          </div>
          {shown === "rows" ? (
            <Grid rows={result} label="Result" />
          ) : (
            <Charted result={result} isDone={!run?.isRunning} />
          )}
        </>
      )}
      {run?.isRunning && !result && <Skeleton lines={6} />}
      {!run && (
        <Empty title="A SELECT over whatever you may read">
          <p>
            <code>planes</code> is a dataset as it is now, <code>"planes@0"</code> as it was in
            version 0; <code>system.journal</code> is everything that ever happened. Statements that
            change rows need the mark above, and pass the rules like every change.
          </p>
        </Empty>
      )}
    </div>
  );
}

function Told({ run }: { run: Run }) {
  const result = run.result;
  const took = `${count(Math.round(run.tookMs))} ms`;
  return (
    <p class="quiet sql-told" role="status">
      {run.isRunning ? "Running, " : ""}
      {result ? `${count(result.count)} ${result.count === 1 ? "row" : "rows"}, ` : ""}
      {result?.bytes ? `${bytes(result.bytes)}, ` : ""}
      {took}
      {result?.isCut ? ". There are more: the first million is shown, a download has all" : ""}
    </p>
  );
}

function Made({ made }: { made: Record<string, unknown> }) {
  const id = String(made.mutation_id ?? "");
  return (
    <div class="card">
      {made.held ? (
        <p>
          The change waits for an approval:{" "}
          <a href={`/changes/${encodeURIComponent(id)}`}>see it</a>.
        </p>
      ) : (
        <p>
          Changed:{" "}
          {["inserted", "updated", "deleted"]
            .filter((name) => made[name])
            .map((name) => `${count(Number(made[name]))} ${name}`)
            .join(", ") || "nothing was different"}
          . <a href={`/journal?mutation_id=${encodeURIComponent(id)}`}>Its events</a>
        </p>
      )}
    </div>
  );
}

function History({ take }: { take: (sql: string) => void }) {
  const now = useNow(30_000);
  const [before, setBefore] = useState(asked);
  if (!before.length) {
    return (
      <section class="card" aria-label="History">
        <Empty title="Nothing was asked in this browser yet" />
      </section>
    );
  }
  return (
    <section class="card" aria-label="History">
      <ul class="sql-history">
        {before.map((one) => (
          <li key={one.sql}>
            <button type="button" class="link" onClick={() => take(one.sql)}>
              <code>{one.sql.replace(/\s+/g, " ").slice(0, 200)}</code>
            </button>
            <span class="quiet">{ago(one.atMs, now)}</span>
          </li>
        ))}
      </ul>
      <p>
        <button
          type="button"
          onClick={() => {
            forgetAsked();
            setBefore([]);
          }}
        >
          Forget all
        </button>
      </p>
    </section>
  );
}
