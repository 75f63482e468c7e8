import { useState } from "preact/hooks";
import { type Page, type Problem, problemFrom, send } from "../../lib/api";
import { bytes, count, plural } from "../../lib/format";
import type { Entry } from "../../lib/lake";
import { pathOf } from "../../lib/router";
import { forget, useApi, useTitle } from "../../lib/use";
import { Action, Card, ProblemBox, Skeleton, State } from "../../ui/basics";
import { Grid, plainRows } from "../../ui/grid";
import "./load.css";

interface Loaded {
  file: string;
  dataset: string;
  format: string;
  rows: number;
  inserted: number;
  updated: number;
  deleted: number;
  unchanged: number;
  rejected: number;
  version: number | null;
  mutation_id: string | null;
  duplicate_of: number | null;
  held: boolean;
  notes: string[];
  preview: {
    columns: [string, string][];
    rows: (string | null)[][];
    rejects: [number, string, string, string][];
  } | null;
}

interface Asked {
  dataset: string;
  key: string[];
  mode: string;
  reason: string;
}

type Step = "choose" | "looking" | "seen" | "loading" | "done";

/** A file is read twice: to show what it would become, and, once somebody said yes, to load it. */
export default function Load() {
  useTitle("Load a file");
  const datasets = useApi<Page<Entry>>("/catalog/datasets?limit=1000");
  const [file, setFile] = useState<File>();
  const [asked, setAsked] = useState<Asked>({ dataset: "", key: [], mode: "append", reason: "" });
  const [step, setStep] = useState<Step>("choose");
  const [found, setFound] = useState<Loaded>();
  const [problem, setProblem] = useState<Problem>();
  const known = datasets.data?.items.find((one) => one.name === asked.dataset);

  const ask = async (tier: "preview" | "auto", now: Asked, chosen = file) => {
    if (!chosen || !now.dataset) return;
    setProblem(undefined);
    setStep(tier === "preview" ? "looking" : "loading");
    const form = new FormData();
    form.set("file", chosen, chosen.name);
    form.set("dataset", now.dataset);
    for (const column of known ? [] : now.key) form.append("key", column);
    form.set("mode", now.mode);
    form.set("reason", now.reason);
    form.set("tier", tier);
    try {
      const answer = await send("/api/ingest/file", { method: "POST", body: form });
      setFound((await answer.json()) as Loaded);
      setStep(tier === "preview" ? "seen" : "done");
      if (tier === "auto") forget();
    } catch (error) {
      setProblem(problemFrom(error));
      setStep(tier === "preview" ? "choose" : "seen");
    }
  };
  const change = (more: Partial<Asked>) => {
    setAsked({ ...asked, ...more });
    if (step === "done" || "dataset" in more || "mode" in more) setStep("choose");
  };
  const choose = (chosen: File | undefined) => {
    if (!chosen) return;
    setFile(chosen);
    const next = { ...asked, dataset: asked.dataset || nameFor(chosen.name) };
    setAsked(next);
    void ask("preview", next, chosen);
  };

  return (
    <div class="page">
      <header class="page-head">
        <div>
          <h1>Load a file</h1>
          <p>First you see what it would become. Nothing is written until you say so.</p>
        </div>
      </header>
      <Card title="The file">
        <label
          class="load-drop"
          onDragOver={(event) => event.preventDefault()}
          onDrop={(event) => {
            event.preventDefault();
            choose(event.dataTransfer?.files[0]);
          }}
        >
          <span>
            {file ? (
              <>
                <strong>{file.name}</strong> <span class="quiet">{bytes(file.size)}</span>
              </>
            ) : (
              <>Choose a file, or drop one here</>
            )}
          </span>
          <span class="quiet">CSV, TSV, JSON, NDJSON, Parquet, Arrow, Excel; also compressed</span>
          <input type="file" onChange={(event) => choose(event.currentTarget.files?.[0])} />
        </label>
        <div class="load-fields">
          <label>
            <span>Dataset</span>
            <input
              list="load-datasets"
              value={asked.dataset}
              onInput={(event) => change({ dataset: event.currentTarget.value })}
            />
            <datalist id="load-datasets">
              {datasets.data?.items.map((one) => (
                <option key={one.name} value={one.name} />
              ))}
            </datalist>
            <span class="quiet">
              {known ? `there is one; its key: ${known.key.join(", ") || "none"}` : "a new one"}
            </span>
          </label>
          <label>
            <span>What becomes of rows that are there</span>
            <select
              value={asked.mode}
              onChange={(event) => change({ mode: event.currentTarget.value })}
            >
              <option value="append">append: only new ones come in</option>
              <option value="upsert">upsert: changed where they differ</option>
              <option value="replace">replace: what the file lacks is deleted</option>
            </select>
          </label>
          <label>
            <span>Why</span>
            <input
              value={asked.reason}
              placeholder="for the record"
              onInput={(event) => setAsked({ ...asked, reason: event.currentTarget.value })}
            />
          </label>
        </div>
        {file && step === "choose" && (
          <div class="row">
            <Action class="primary" run={() => ask("preview", asked)} disabled={!asked.dataset}>
              Look at it
            </Action>
          </div>
        )}
      </Card>
      {problem && <ProblemBox problem={problem} />}
      {(step === "looking" || step === "loading") && (
        <Card title={step === "looking" ? "Reading the whole file" : "Loading"}>
          <Skeleton lines={4} />
        </Card>
      )}
      {step === "seen" && found && (
        <Seen
          found={found}
          asked={asked}
          isKnown={!!known}
          choose={(key) => setAsked({ ...asked, key })}
          load={() => ask("auto", asked)}
        />
      )}
      {step === "done" && found && <Done found={found} />}
    </div>
  );
}

function Seen(props: {
  found: Loaded;
  asked: Asked;
  isKnown: boolean;
  choose: (key: string[]) => void;
  load: () => Promise<void>;
}) {
  const { found, asked, isKnown, choose, load } = props;
  const preview = found.preview;
  if (found.duplicate_of !== null) {
    return (
      <Card title="This file is there already">
        <p>
          <a href={pathOf("lake", found.dataset)}>{found.dataset}</a> has its content since version{" "}
          {found.duplicate_of}: nothing would be written.
        </p>
      </Card>
    );
  }
  const columns = preview?.columns.map(([name, type]) => ({ name, type })) ?? [];
  return (
    <Card title="What it would become">
      <p role="status">
        {found.format}, {plural(found.rows, "row")} would be read
        {isKnown ? ` into ${found.dataset}` : ""}: {count(found.inserted)} new,{" "}
        {count(found.updated)} changed, {count(found.unchanged)} as they are.
      </p>
      {found.notes.length > 0 && (
        <ul class="load-notes quiet">
          {found.notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      )}
      <div class="table-wrap">
        <table>
          <thead>
            <tr>
              <th scope="col">Column</th>
              <th scope="col">Type</th>
              {!isKnown && <th scope="col">Part of the key</th>}
            </tr>
          </thead>
          <tbody>
            {columns.map((column) => (
              <tr key={column.name}>
                <th scope="row">{column.name}</th>
                <td class="mono">{column.type}</td>
                {!isKnown && (
                  <td>
                    <input
                      type="checkbox"
                      aria-label={`${column.name} is part of the key`}
                      checked={asked.key.includes(column.name)}
                      onChange={(event) =>
                        choose(
                          event.currentTarget.checked
                            ? [...asked.key, column.name]
                            : asked.key.filter((name) => name !== column.name),
                        )
                      }
                    />
                  </td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {!isKnown && (
        <p class="quiet">
          A key says which row is which: with one, every change of a row is its own history.
          {asked.key.length ? "" : " Without one, only whole files are on record."}
        </p>
      )}
      {preview && preview.rows.length > 0 && (
        <Grid rows={plainRows(columns, preview.rows)} label="The first rows" height={260} />
      )}
      {found.rejected > 0 && preview && (
        <section aria-label="Records that would not get in" class="load-bad">
          <State tone="warn">
            {plural(found.rejected, "record")} would not get in, and be kept apart with the reason
          </State>
          <div class="table-wrap">
            <table>
              <thead>
                <tr>
                  <th scope="col" class="number">
                    Line
                  </th>
                  <th scope="col">Column</th>
                  <th scope="col">Why</th>
                  <th scope="col">The record</th>
                </tr>
              </thead>
              <tbody>
                {preview.rejects.map(([line, column, reason, text], n) => (
                  <tr key={n}>
                    <td class="number">{count(line)}</td>
                    <td>{column}</td>
                    <td>{reason}</td>
                    <td class="mono">{text}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      )}
      <div class="row">
        <Action class="primary" run={load}>
          Load it
        </Action>
      </div>
    </Card>
  );
}

function Done({ found }: { found: Loaded }) {
  return (
    <Card title={found.held ? "It waits for an approval" : "Loaded"}>
      <p role="status">
        <State tone={found.held ? "warn" : "good"}>
          {count(found.inserted)} new, {count(found.updated)} changed, {count(found.deleted)}{" "}
          deleted
          {found.rejected ? `, ${count(found.rejected)} kept apart` : ""}
        </State>
      </p>
      <div class="row">
        {found.held ? (
          <a class="button" href={pathOf("changes", found.mutation_id ?? "")}>
            See the change
          </a>
        ) : (
          <a class="button" href={pathOf("lake", found.dataset)}>
            See {found.dataset}
          </a>
        )}
        {found.rejected > 0 && (
          <a class="button" href={`${pathOf("lake", found.dataset)}?tab=quality`}>
            What was kept apart
          </a>
        )}
        {found.mutation_id && !found.held && (
          <a class="button" href={`/journal?mutation_id=${encodeURIComponent(found.mutation_id)}`}>
            Its events
          </a>
        )}
      </div>
    </Card>
  );
}

/** A dataset's name from that of a file. */
function nameFor(file: string): string {
  const stem = file
    .toLowerCase()
    .replace(/\..*$/, "")
    .replace(/[^a-z0-9_]+/g, "_");
  return stem.replace(/^_+|_+$/g, "").replace(/^(\d)/, "t_$1") || "rows";
}
