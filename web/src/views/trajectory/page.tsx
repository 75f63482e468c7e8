import { useEffect, useMemo, useState } from "preact/hooks";
import type { Page } from "../../lib/api";
import { count, plural } from "../../lib/format";
import { type FileNode, SIGNAL_WORDS, SIGNALS, traceOf, useMap, useScope } from "../../lib/reviews";
import { setQuery } from "../../lib/router";
import { useApi, useTitle } from "../../lib/use";
import { Card, Empty, Shown, Source, State, type Tone } from "../../ui/basics";
import { Reviewed, ScopePicker } from "../../ui/scope";
import type { ViewProps } from "../registry";
import "./trajectory.css";

const MOST_FILES = 60;
const WAIT_MS = 250;
const TONE: Record<number, Tone> = {
  5: "bad",
  4: "bad",
  3: "warn",
  2: "warn",
  1: "none",
  0: "good",
};
const NEED: Record<number, string> = {
  5: "Needs a person now",
  4: "Needs a person",
  3: "Needs a person soon",
  2: "Severe findings open",
  1: "Only small things open",
  0: "Needs nobody",
};

/** /trajectory: files by how much they need a person, small multiples, why; and a search. */
export default function Trajectory({ place }: ViewProps) {
  useTitle("Trajectory");
  const scoped = useScope(place);
  const map = useMap(scoped.query);
  const wanted = place.query.get("class") ?? "";
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <h1>Trajectory</h1>
          <p>How each file moves over its reviews; what needs a person comes first.</p>
        </div>
        <ScopePicker scoped={scoped} />
      </header>
      <Reviewed
        scoped={scoped}
        fills="After four reviews of changed code a file has a class: it converges, orbits, loops, or rests. Until then it says how many are missing."
      >
        <Search term={place.query.get("term") ?? ""} query={scoped.query} scope={scoped.scope} />
        <Shown answer={map} lines={10}>
          {(found) => {
            const fitting = found.items
              .filter((one) => !wanted || one.signal === wanted)
              .sort(
                (a, b) =>
                  b.need - a.need || b.open_weight - a.open_weight || (a.path < b.path ? -1 : 1),
              );
            return (
              <Card
                title={`${plural(fitting.length, "file")}, by who needs a person`}
                aside={<Source answer={map} />}
              >
                <Classes items={found.items} wanted={wanted} />
                {fitting.length ? (
                  <ul class="multiples">
                    {fitting.slice(0, MOST_FILES).map((file) => (
                      <Multiple
                        key={file.path}
                        file={file}
                        sigma={found.sigma}
                        href={traceOf(file.path, scoped.query)}
                      />
                    ))}
                  </ul>
                ) : (
                  <Empty title="No file is of this class" />
                )}
                {fitting.length > MOST_FILES && (
                  <p class="quiet">
                    The first {MOST_FILES} of {count(fitting.length)}; the{" "}
                    <a href={`/map?overlay=signal&${scoped.query}`}>map</a> has all.
                  </p>
                )}
              </Card>
            );
          }}
        </Shown>
        <Refactor query={scoped.query} />
      </Reviewed>
    </div>
  );
}

function Classes({ items, wanted }: { items: readonly FileNode[]; wanted: string }) {
  return (
    <fieldset class="row classes" aria-label="Class">
      {SIGNALS.map((name) => {
        const n = items.filter((one) => one.signal === name).length;
        return (
          <button
            key={name}
            type="button"
            aria-pressed={wanted === name}
            title={SIGNAL_WORDS[name]}
            onClick={() => setQuery({ class: wanted === name ? "" : name })}
          >
            {name} <span class="quiet">{count(n)}</span>
          </button>
        );
      })}
    </fieldset>
  );
}

function Multiple(props: { file: FileNode; sigma: number | null; href: string }) {
  const { file, sigma, href } = props;
  return (
    <li class="multiple">
      <a class="multiple-path" href={href}>
        {file.path}
      </a>
      <Spark scores={file.scores} sigma={sigma} />
      <State tone={TONE[file.need] ?? "none"}>{NEED[file.need]}</State>
      <p class="quiet">{file.need_why}</p>
      <p class="multiple-why">
        <strong>{file.signal}</strong>{" "}
        <span class="quiet">
          because {file.signal === "INSUFFICIENT" ? "it has " : ""}
          {file.reason}
        </span>
      </p>
    </li>
  );
}

const W = 220;
const H = 48;

/** Scores over reviews, 0 to 10 in every one, so that they can be compared. */
function Spark({ scores, sigma }: { scores: readonly number[]; sigma: number | null }) {
  const x = (n: number) => 4 + (n / Math.max(1, scores.length - 1)) * (W - 8);
  const y = (score: number) => 4 + (1 - score / 10) * (H - 8);
  const spread = sigma === null ? 0 : 1.96 * sigma;
  const band = [
    ...scores.map((one, n) => `${x(n)},${y(Math.min(10, one + spread))}`),
    ...scores.map((one, n) => `${x(n)},${y(Math.max(0, one - spread))}`).reverse(),
  ];
  return (
    <svg
      class="spark"
      preserveAspectRatio="xMinYMid meet"
      viewBox={`0 0 ${W} ${H}`}
      role="img"
      aria-label={`Scores ${scores.map((one) => one.toFixed(1)).join(", ") || "none"}`}
    >
      <line class="spark-ground" x1="4" x2={W - 4} y1={H - 4} y2={H - 4} />
      {spread > 0 && scores.length > 1 && <polygon class="spark-band" points={band.join(" ")} />}
      <polyline class="spark-line" points={scores.map((one, n) => `${x(n)},${y(one)}`).join(" ")} />
      {scores.length > 0 && (
        <circle class="spark-last" cx={x(scores.length - 1)} cy={y(scores.at(-1)!)} r="3" />
      )}
    </svg>
  );
}

interface Hit {
  kind: string;
  path: string;
  symbol?: string;
  severity?: string;
  state?: string;
  claim?: string;
  score: number;
  why: { reason: string; points: number }[];
}

function Search(props: { term: string; query: string; scope: { repository: string } | undefined }) {
  const { term, query, scope } = props;
  const [typed, setTyped] = useState(term);
  useEffect(() => {
    const timer = setTimeout(() => typed !== term && setQuery({ term: typed }), WAIT_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  const path = term.trim()
    ? `/data/search?term=${encodeURIComponent(term.slice(0, 200))}&limit=30&repository=${encodeURIComponent(scope?.repository ?? "")}`
    : "";
  const hits = useApi<Page<Hit>>(scope ? path : "");
  return (
    <Card title="Find by symbol or term" aside={path ? <Source answer={hits} /> : undefined}>
      <label>
        <span class="visually-hidden">Symbol or term</span>
        <input
          type="search"
          class="trajectory-find"
          placeholder="check_rule, eval, timeout…"
          maxLength={200}
          value={typed}
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
      </label>
      {path && (
        <Shown answer={hits} lines={3}>
          {(found) =>
            found.items.length ? (
              <ul class="plain hits" tabIndex={0} aria-label="Hits">
                {found.items.map((hit, n) => (
                  <li key={n}>
                    <span class="tag">{hit.kind}</span>{" "}
                    <a href={traceOf(hit.path, query)}>{hit.path}</a>{" "}
                    {hit.symbol && <code>{hit.symbol}</code>}{" "}
                    <span class="quiet">
                      {[hit.severity, hit.state].filter(Boolean).join(", ")}
                    </span>
                    {hit.claim && <p>{hit.claim}</p>}
                    <p class="quiet hit-why">
                      {hit.why.map((one) => `${one.reason} ${one.points.toFixed(1)}`).join(" + ")} ={" "}
                      {hit.score.toFixed(1)}
                    </p>
                  </li>
                ))}
              </ul>
            ) : (
              <Empty title="Nothing has it">
                Every word of the term has to be there: in a symbol, a path, a claim, a quote or an
                answer.
              </Empty>
            )
          }
        </Shown>
      )}
    </Card>
  );
}

interface Refactored {
  kind: string;
  path: string;
  symbol: string;
  value: number;
  n: number;
  reason: string;
  source: string;
}

function Refactor({ query }: { query: string }) {
  const signals = useApi<Page<Refactored>>(query ? `/data/refactor_signals?limit=50&${query}` : "");
  const kinds = useMemo(
    () => [...new Set((signals.data?.items ?? []).map((one) => one.kind))],
    [signals.data],
  );
  return (
    <Card title="Where to make anew rather than mend again" aside={<Source answer={signals} />}>
      <Shown answer={signals} lines={4}>
        {(found) =>
          found.items.length ? (
            <div class="table-wrap">
              <table>
                <thead>
                  <tr>
                    <th scope="col">Signal</th>
                    <th scope="col">Where</th>
                    <th scope="col">Why</th>
                    <th scope="col" class="number">
                      n
                    </th>
                    <th scope="col">From</th>
                  </tr>
                </thead>
                <tbody>
                  {found.items.map((one) => (
                    <tr key={`${one.kind} ${one.path} ${one.symbol}`}>
                      <td>
                        <span class="tag">{one.kind}</span>
                      </td>
                      <th scope="row">
                        <a href={traceOf(one.path, query)}>{one.path}</a> <code>{one.symbol}</code>
                      </th>
                      <td>{one.reason}</td>
                      <td class="number">{one.n}</td>
                      <td class="quiet">{one.source}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          ) : (
            <Empty title="Nowhere">
              A file shows here when it is changed often with severe findings open, when findings
              keep coming in one symbol, when it loops or orbits, or when confirmed fixes come
              undone.
            </Empty>
          )
        }
      </Shown>
      {kinds.length > 0 && (
        <p class="quiet">A signal is no verdict: it says where to look first.</p>
      )}
    </Card>
  );
}
