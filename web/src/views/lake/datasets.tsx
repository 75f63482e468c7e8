import type { Page } from "../../lib/api";
import { ago, bytes, count } from "../../lib/format";
import { type Described, type Entry, type Event, lastChange } from "../../lib/lake";
import { type Place, pathOf, setQuery } from "../../lib/router";
import { useApi, useNow, useTitle } from "../../lib/use";
import { Card, Empty, Shown, Source } from "../../ui/basics";
import "./lake.css";

const MOST_SHOWN = 200;

export function Datasets({ place }: { place: Place }) {
  useTitle("Lake");
  const datasets = useApi<Page<Entry>>("/catalog/datasets?limit=1000");
  const wanted = place.query.get("find") ?? "";
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <h1>Lake</h1>
          <p>Every dataset that you may read.</p>
        </div>
        <div class="row">
          <a class="button" href="/sql">
            Ask in SQL
          </a>
          <a class="button" href="/load">
            Load a file
          </a>
        </div>
      </header>
      <Card title="Datasets" aside={<Source answer={datasets} />}>
        <Shown answer={datasets} lines={6}>
          {(found) => {
            if (!found.items.length) {
              return (
                <Empty title="There is no dataset yet">
                  <a href="/load">Load a file</a>, or at a terminal{" "}
                  <code>lakecore ingest planes.csv --dataset planes --key tailnum</code>.
                </Empty>
              );
            }
            const fitting = found.items.filter((one) =>
              one.name.toLowerCase().includes(wanted.toLowerCase()),
            );
            return (
              <>
                <label class="lake-find">
                  <span class="visually-hidden">Find a dataset</span>
                  <input
                    type="search"
                    placeholder={`Find in ${count(found.items.length)}`}
                    value={wanted}
                    onInput={(event) => setQuery({ find: event.currentTarget.value })}
                  />
                </label>
                <div class="table-wrap">
                  <table class="lake-table">
                    <thead>
                      <tr>
                        <th scope="col">Name</th>
                        <th scope="col">Key</th>
                        <th scope="col" class="number">
                          Rows
                        </th>
                        <th scope="col" class="number">
                          Size
                        </th>
                        <th scope="col" class="number">
                          Version
                        </th>
                        <th scope="col">Last change</th>
                        <th scope="col">Contract</th>
                      </tr>
                    </thead>
                    <tbody>
                      {fitting.slice(0, MOST_SHOWN).map((one) => (
                        <Line key={one.name} entry={one} />
                      ))}
                    </tbody>
                  </table>
                </div>
                {(fitting.length > MOST_SHOWN || found.next) && (
                  <p class="quiet">Not all are shown: find by name.</p>
                )}
                {!fitting.length && <Empty title="No dataset is called that" />}
              </>
            );
          }}
        </Shown>
      </Card>
    </div>
  );
}

function Line({ entry }: { entry: Entry }) {
  const path = encodeURIComponent(entry.name);
  const table = useApi<Described>(`/catalog/datasets/${path}`);
  const last = useApi<Page<Event>>(`/journal/recent?limit=20&dataset=${path}`);
  const now = useNow(10_000);
  const event = lastChange(last.data?.items);
  const number = (value: number | null | undefined, shape: (n: number) => string) =>
    value === null || value === undefined ? (table.isLoading ? "…" : "–") : shape(value);
  return (
    <tr>
      <th scope="row">
        <a href={pathOf("lake", entry.name)}>{entry.name}</a>
        {entry.description && <span class="quiet lake-about">{entry.description}</span>}
      </th>
      <td>{entry.key.join(", ") || <span class="quiet">none</span>}</td>
      <td class="number">{number(table.data?.rows, count)}</td>
      <td class="number">{number(table.data?.size_bytes, bytes)}</td>
      <td class="number">{number(table.data?.version, count)}</td>
      <td>
        {event ? (
          <>
            {ago(new Date(event.timestamp).getTime(), now)} <span class="quiet">{event.actor}</span>
          </>
        ) : last.isLoading ? (
          "…"
        ) : (
          "–"
        )}
      </td>
      <td>
        {entry.contract}
        {entry.protected && <span class="tag">protected</span>}
      </td>
    </tr>
  );
}
