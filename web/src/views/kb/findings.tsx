import { useMemo, useState } from "preact/hooks";
import type { Page } from "../../lib/api";
import { ago, count, plural } from "../../lib/format";
import { useMay } from "../../lib/may";
import { type Place, setQuery } from "../../lib/router";
import { useAnswer, useApi, useNow, useTitle } from "../../lib/use";
import { Card, Empty, ProblemBox, Shown, Skeleton, Source } from "../../ui/basics";
import { FindingCard } from "./card";
import { FACETS, Facets, fits, stateOf } from "./facets";
import { allFindings, type Finding, type ReviewRun, SEVERITIES } from "./finding";

const SHOWN = 40;

/** What reviews found, as somebody looks for it. */
export function Findings({ place }: { place: Place }) {
  useTitle("Findings");
  const runs = useApi<Page<ReviewRun>>("/review/runs?limit=1000");
  const repositories = [...new Set(runs.data?.items.map((one) => one.repository))];
  const repository = place.query.get("repository") ?? repositories[0] ?? "";
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <h1>Findings</h1>
          <p>What reviews of code found. Each has a quote that is in the file, or it is none.</p>
        </div>
        {repositories.length > 1 && (
          <label class="row">
            <span class="quiet">Repository</span>
            <select
              value={repository}
              onChange={(event) => setQuery({ repository: event.currentTarget.value })}
            >
              {repositories.map((one) => (
                <option key={one}>{one}</option>
              ))}
            </select>
          </label>
        )}
      </header>
      {!runs.data &&
        (runs.problem ? (
          <ProblemBox problem={runs.problem} retry={runs.reload} />
        ) : (
          <Skeleton lines={6} />
        ))}
      {runs.data && !repository && (
        <Card title="No review yet" aside={<Source answer={runs} />}>
          <Empty title="No code was reviewed yet">
            With a rung in <code>[llm]</code> of <code>lakecore.toml</code>, in a git repository:{" "}
            <code>{"lakecore review run --glob 'src/**/*.py'"}</code>. Or name the repository in{" "}
            <code>[[review.repository]]</code>, and <code>POST /review/runs</code> begins one. What
            it finds is here, with the quote, until a fix is confirmed.
          </Empty>
        </Card>
      )}
      {repository && (
        <Found key={repository} repository={repository} place={place} last={runs.data?.items} />
      )}
    </div>
  );
}

function Found(props: { repository: string; place: Place; last: ReviewRun[] | undefined }) {
  const { repository, place } = props;
  const query = `state=all&repository=${encodeURIComponent(repository)}`;
  const answer = useAnswer<Page<Finding>>(`GET /review/findings?${query}`, (signal) =>
    allFindings(query, signal),
  );
  const may = useMay();
  const now = useNow(10_000);
  const [most, setMost] = useState(SHOWN);
  const chosen = useMemo(() => {
    const read = (name: string) => place.query.get(name) ?? "";
    return Object.fromEntries(FACETS.map(({ name }) => [name, read(name)]));
  }, [place.query]);
  const words = place.query.get("find") ?? "";
  const last = props.last?.find((one) => one.repository === repository);
  return (
    <Shown answer={answer} lines={8}>
      {(found) => {
        const worded = found.items.filter((one) => has(one, words));
        const fitting = worded.filter((one) => fits(one, chosen)).sort(gravest);
        return (
          <div class="kb">
            <Facets all={worded} chosen={chosen} />
            <div class="kb-found">
              <div class="row spread">
                <h2 aria-live="polite">
                  {plural(fitting.length, `${stateOf(chosen)} finding`.trim())}
                </h2>
                <input
                  type="search"
                  class="kb-find"
                  aria-label="Find in claims, quotes, paths and symbols"
                  placeholder="Find in them"
                  value={words}
                  onInput={(event) => setQuery({ find: event.currentTarget.value })}
                />
              </div>
              <div class="row spread quiet">
                <span>
                  {repository}
                  {last && `, iteration ${last.iteration}, ${ago(Date.parse(last.began), now)}`}
                </span>
                <Source answer={answer} />
              </div>
              <ol class="plain cards" onKeyDown={step}>
                {fitting.slice(0, most).map((one) => (
                  <FindingCard
                    key={one.id}
                    finding={one}
                    repository={repository}
                    may={may("write", "system.findings")}
                    done={answer.reload}
                  />
                ))}
              </ol>
              {!fitting.length && (
                <Empty title={found.items.length ? "Nothing like that" : "Nothing was found"}>
                  {found.items.length ? (
                    <>
                      {plural(found.items.length, "finding")} in all:{" "}
                      <button
                        type="button"
                        class="link"
                        onClick={() =>
                          setQuery({
                            ...Object.fromEntries(FACETS.map(({ name }) => [name, ""])),
                            find: "",
                            state: "all",
                          })
                        }
                      >
                        show them
                      </button>
                      .
                    </>
                  ) : (
                    "The reviews of this repository left no finding that counts."
                  )}
                </Empty>
              )}
              {fitting.length > most && (
                <div>
                  <button type="button" onClick={() => setMost(most + SHOWN)}>
                    More: {count(fitting.length - most)} are not shown
                  </button>
                </div>
              )}
              {found.next && (
                <p class="quiet">
                  There are more than {count(found.items.length)}: the rest is in system.findings.
                </p>
              )}
            </div>
          </div>
        );
      }}
    </Shown>
  );
}

function has(one: Finding, words: string): boolean {
  const text = `${one.claim}\n${one.quote}\n${one.path}\n${one.symbol}`.toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

function gravest(a: Finding, b: Finding): number {
  const by = SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity);
  return by || (a.path < b.path ? -1 : Number(a.path > b.path)) || a.line - b.line;
}

/** Up and down go from card to card. */
function step(event: KeyboardEvent): void {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const at = document.activeElement;
  if (!by || !at?.matches(".finding-where")) return;
  const all = [...document.querySelectorAll<HTMLElement>(".finding-where")];
  event.preventDefault();
  all[all.indexOf(at as HTMLElement) + by]?.focus();
}
