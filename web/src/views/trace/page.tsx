import { useState } from "preact/hooks";
import { count, plural } from "../../lib/format";
import { SIGNAL_WORDS, traceOf, useMap, useScope } from "../../lib/reviews";
import { useTitle } from "../../lib/use";
import { Card, Shown, Source } from "../../ui/basics";
import { Reviewed, ScopePicker } from "../../ui/scope";
import type { ViewProps } from "../registry";
import { FileTrace } from "./file";
import "./trace.css";

const MOST_ROWS = 200;

/** /trace: the files; with `path` one of them, and with `run` what was asked in it. */
export default function Trace({ place }: ViewProps) {
  const path = place.query.get("path");
  const scoped = useScope(place);
  if (path) return <FileTrace key={path} path={path} place={place} scoped={scoped} />;
  return <Files scoped={scoped} />;
}

function Files({ scoped }: { scoped: ReturnType<typeof useScope> }) {
  useTitle("Trace");
  const map = useMap(scoped.query);
  const [wanted, setWanted] = useState("");
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <h1>Trace</h1>
          <p>One file at a time: every review, every finding, what was asked and answered.</p>
        </div>
        <ScopePicker scoped={scoped} />
      </header>
      <Reviewed
        scoped={scoped}
        fills="Each review of a file leaves a row here: who was asked, what it cost, what was found, and what became of it."
      >
        <Card title="Choose a file" aside={<Source answer={map} />}>
          <Shown answer={map} lines={8}>
            {(found) => {
              const fitting = found.items.filter((one) =>
                one.path.toLowerCase().includes(wanted.toLowerCase()),
              );
              return (
                <>
                  <label>
                    <span class="visually-hidden">Find a file</span>
                    <input
                      type="search"
                      class="trace-find"
                      placeholder={`Find in ${count(found.items.length)}`}
                      value={wanted}
                      onInput={(event) => setWanted(event.currentTarget.value)}
                    />
                  </label>
                  <div class="table-wrap">
                    <table>
                      <thead>
                        <tr>
                          <th scope="col">File</th>
                          <th scope="col" class="number">
                            Score
                          </th>
                          <th scope="col" class="number">
                            Confirmed
                          </th>
                          <th scope="col" class="number">
                            Open
                          </th>
                          <th scope="col">Class</th>
                        </tr>
                      </thead>
                      <tbody>
                        {fitting.slice(0, MOST_ROWS).map((one) => (
                          <tr key={one.path}>
                            <th scope="row">
                              <a href={traceOf(one.path, scoped.query)}>{one.path}</a>
                            </th>
                            <td class="number">{one.score?.toFixed(1) ?? "–"}</td>
                            <td class="number">{one.confirmed_score?.toFixed(1) ?? "–"}</td>
                            <td class="number">{count(one.open)}</td>
                            <td title={SIGNAL_WORDS[one.signal]}>{one.signal}</td>
                          </tr>
                        ))}
                      </tbody>
                    </table>
                  </div>
                  {fitting.length > MOST_ROWS && (
                    <p class="quiet">
                      The first {MOST_ROWS} of {plural(fitting.length, "file")}.
                    </p>
                  )}
                </>
              );
            }}
          </Shown>
        </Card>
      </Reviewed>
    </div>
  );
}
