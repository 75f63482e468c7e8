import { useMemo } from "preact/hooks";
import { type Page, postJson, quoted, rows } from "../../lib/api";
import { ago, bytes, count, moment, plural } from "../../lib/format";
import { type Described, type Event, lastChange } from "../../lib/lake";
import { type Place, pathOf, setQuery } from "../../lib/router";
import { useAnswer, useApi, useNow, useTitle } from "../../lib/use";
import { Card, Empty, Figure, Shown, Source, State } from "../../ui/basics";
import { Grid, plainRows } from "../../ui/grid";

const TABS = {
  rows: "Rows",
  columns: "Columns",
  versions: "Versions",
  quality: "Quality",
} as const;
type Tab = keyof typeof TABS;
const PREVIEW_ROWS = 200;

/** One dataset: its figures, and what is in it. */
export function Dataset({ name, place }: { name: string; place: Place }) {
  useTitle(name);
  const path = encodeURIComponent(name);
  const table = useApi<Described>(`/catalog/datasets/${path}`);
  const last = useApi<Page<Event>>(`/journal/recent?limit=20&dataset=${path}`);
  const now = useNow(10_000);
  const asked = place.query.get("tab") ?? "rows";
  const tab: Tab = asked in TABS ? (asked as Tab) : "rows";
  const newest = lastChange(last.data?.items);
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <p>
            <a href="/lake">Lake</a>
          </p>
          <h1>{name}</h1>
          <p>{table.data?.description}</p>
        </div>
        <div class="row">
          <a class="button" href={`/sql?q=${encodeURIComponent(`select * from ${quoted(name)}`)}`}>
            Ask in SQL
          </a>
          <a class="button" href={`/journal?dataset=${path}`}>
            Its journal
          </a>
        </div>
      </header>
      <Shown answer={table} lines={3}>
        {(found) => (
          <>
            <section class="figures" aria-label="Figures">
              <Figure name="Rows" value={numberOr(found.rows, count)} answer={table} />
              <Figure
                name="Size"
                value={numberOr(found.size_bytes, bytes)}
                note={found.files === null ? "" : plural(found.files, "file")}
                answer={table}
              />
              <Figure
                name="Version"
                value={numberOr(found.version, count)}
                note={`contract: ${found.contract}`}
                answer={table}
              />
              <Figure
                name="Last change"
                value={newest ? ago(new Date(newest.timestamp).getTime(), now) : "–"}
                note={newest && `${newest.action} by ${newest.actor}`}
                answer={last}
              />
            </section>
            <div class="tabs" role="tablist" aria-label="What of it">
              {(Object.keys(TABS) as Tab[]).map((one) => (
                <button
                  key={one}
                  type="button"
                  role="tab"
                  id={`tab-${one}`}
                  aria-selected={one === tab}
                  aria-controls="tab-panel"
                  tabIndex={one === tab ? 0 : -1}
                  onClick={() => setQuery({ tab: one === "rows" ? "" : one })}
                  onKeyDown={(event) => move(event, tab)}
                >
                  {TABS[one]}
                </button>
              ))}
            </div>
            <div id="tab-panel" role="tabpanel" aria-labelledby={`tab-${tab}`}>
              {tab === "rows" && <Rows dataset={found} />}
              {tab === "columns" && <Columns dataset={found} />}
              {tab === "versions" && <Versions name={name} />}
              {tab === "quality" && <Quality dataset={found} />}
            </div>
          </>
        )}
      </Shown>
    </div>
  );
}

function move(event: KeyboardEvent, tab: Tab): void {
  const all = Object.keys(TABS) as Tab[];
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const next = all[(all.indexOf(tab) + step + all.length) % all.length] ?? "rows";
  setQuery({ tab: next === "rows" ? "" : next });
  requestAnimationFrame(() => document.getElementById(`tab-${next}`)?.focus());
}

function numberOr(value: number | null, shape: (n: number) => string): string {
  return value === null ? "–" : shape(value);
}

interface Listed {
  columns: { name: string; type: string }[];
  items: Record<string, unknown>[];
}

function Rows({ dataset }: { dataset: Described }) {
  const sql = `select * from ${quoted(dataset.name)} limit ${PREVIEW_ROWS}`;
  const answer = useAnswer<Listed>(`SQL ${sql}`, (signal) =>
    postJson<Listed>("/api/query/sql", { sql, read_only: true }, { signal }),
  );
  const isKeyed = dataset.key.length > 0;
  const shown = useMemo(
    () =>
      answer.data &&
      plainRows(
        answer.data.columns,
        answer.data.items.map((item) =>
          answer.data!.columns.map((column) => textOf(item[column.name])),
        ),
      ),
    [answer.data],
  );
  if (dataset.version === null) {
    return <Empty title="No row was written yet">Its columns come with its first rows.</Empty>;
  }
  return (
    <Card title={`The first ${PREVIEW_ROWS} rows`} aside={<Source answer={answer} />}>
      <Shown answer={answer} lines={8}>
        {() =>
          shown?.count ? (
            <>
              <Grid rows={shown} label={`Rows of ${dataset.name}`} />
              {isKeyed && <FindEntity dataset={dataset} />}
            </>
          ) : (
            <Empty title="It has no rows now" />
          )
        }
      </Shown>
    </Card>
  );
}

function FindEntity({ dataset }: { dataset: Described }) {
  return (
    <form
      class="row"
      onSubmit={(event) => {
        event.preventDefault();
        const key = String(new FormData(event.currentTarget).get("key") ?? "");
        if (key) location.assign(pathOf("journal", "entity", dataset.name, key));
      }}
    >
      <label class="row">
        <span class="quiet">History of the row with {dataset.key.join(", ")}</span>
        <input name="key" placeholder={dataset.key.length > 1 ? '["a", "b"]' : "key"} />
      </label>
      <button type="submit">Show</button>
    </form>
  );
}

function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function Columns({ dataset }: { dataset: Described }) {
  return (
    <Card title={plural(dataset.columns.length, "column")}>
      <div class="table-wrap">
        <table>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Type</th>
              <th scope="col">Part of the key</th>
            </tr>
          </thead>
          <tbody>
            {dataset.columns.map((column) => (
              <tr key={column.name}>
                <th scope="row">{column.name}</th>
                <td class="mono">{column.type}</td>
                <td>{dataset.key.includes(column.name) ? "yes" : ""}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

interface Mutation {
  version: number;
  at: string;
  actor: string;
  source: string;
  inserts: number;
  updates: number;
  deletes: number;
  mutation_id: string;
}

function Versions({ name }: { name: string }) {
  const plain = name.replace(/^main\./, "").replaceAll("'", "''");
  const sql = `select version, "timestamp" as at, actor, source, inserts, updates, deletes, mutation_id
from system.mutations where dataset = '${plain}' order by version desc limit 200`;
  const answer = useAnswer<Mutation[]>(`SQL ${sql}`, (signal) => rows<Mutation>(sql, signal));
  return (
    <Card title="What made each version" aside={<Source answer={answer} />}>
      <Shown answer={answer} lines={5}>
        {(found) =>
          found.length ? (
            <div class="table-wrap">
              <table>
                <thead>
                  <tr>
                    <th scope="col" class="number">
                      Version
                    </th>
                    <th scope="col">When (UTC)</th>
                    <th scope="col">Who</th>
                    <th scope="col">By</th>
                    <th scope="col" class="number">
                      Inserted
                    </th>
                    <th scope="col" class="number">
                      Updated
                    </th>
                    <th scope="col" class="number">
                      Deleted
                    </th>
                    <th scope="col">Events</th>
                  </tr>
                </thead>
                <tbody>
                  {found.map((one) => (
                    <tr key={one.mutation_id}>
                      <td class="number">{count(one.version)}</td>
                      <td>{moment(one.at)}</td>
                      <td>{one.actor}</td>
                      <td>{one.source}</td>
                      <td class="number">{count(one.inserts)}</td>
                      <td class="number">{count(one.updates)}</td>
                      <td class="number">{count(one.deletes)}</td>
                      <td>
                        <a
                          href={`/journal?dataset=${encodeURIComponent(name)}&mutation_id=${encodeURIComponent(one.mutation_id)}`}
                        >
                          Show<span class="visually-hidden"> those of version {one.version}</span>
                        </a>
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          ) : (
            <Empty title="Nothing was written yet" />
          )
        }
      </Shown>
    </Card>
  );
}

interface Apart {
  file: string;
  rows: number;
  reason: string;
}

function Quality({ dataset }: { dataset: Described }) {
  const plain = dataset.name.replace(/^main\./, "").replaceAll("'", "''");
  const sql = `select file, min(reason) as reason, count(*) as rows from system.quarantine
where dataset = '${plain}' group by file order by rows desc limit 50`;
  const answer = useAnswer<Apart[]>(`SQL ${sql}`, (signal) => rows<Apart>(sql, signal));
  const isAbsent = answer.problem?.status === 404 || answer.problem?.status === 422;
  const checks = Object.entries(dataset.checks ?? {});
  return (
    <div class="page">
      <Card title="Records that did not get in" aside={<Source answer={answer} />}>
        {isAbsent || (answer.data && !answer.data.length) ? (
          <State tone="good">None: every record of every file is a row</State>
        ) : (
          <Shown answer={answer} lines={2}>
            {(found) => (
              <table>
                <thead>
                  <tr>
                    <th scope="col">File</th>
                    <th scope="col">The first reason</th>
                    <th scope="col" class="number">
                      Records
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {found.map((one) => (
                    <tr key={one.file}>
                      <th scope="row">{one.file}</th>
                      <td>{one.reason}</td>
                      <td class="number">{count(one.rows)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            )}
          </Shown>
        )}
      </Card>
      <Card title="Checks that its changes must pass">
        {checks.length ? (
          <dl class="lake-checks">
            {checks.map(([name, sql]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>
                  <code>{sql}</code>
                </dd>
              </div>
            ))}
          </dl>
        ) : (
          <Empty title="None">
            <code>checks</code> of <code>PATCH /catalog/datasets/{"{dataset}"}</code> sets some: SQL
            that returns no row while all is well.
          </Empty>
        )}
      </Card>
    </div>
  );
}
