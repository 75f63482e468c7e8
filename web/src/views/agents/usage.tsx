import { useMemo } from "preact/hooks";
import { count, plural } from "../../lib/format";
import { type Place, setQuery } from "../../lib/router";
import { useApi, useTitle } from "../../lib/use";
import { Card, Empty, Figure, Shown, Source } from "../../ui/basics";
import { Chart } from "../../ui/chart";
import { Halves } from "./parts";
import { type Figures, type Grouping, type Usage, usd } from "./run";
import { leftOf } from "./runs";

const DAY_MS = 86_400_000;
const EVERY_MS = 30_000;
const MOST_LINES = 100;
const PERIODS = { "7": "7 days", "30": "30 days", "90": "90 days" } as const;
const GROUPS: Record<Exclude<Grouping, "day">, string> = {
  model: "Model",
  source: "Source",
  key: "Key",
  actor: "Actor",
  rung: "Rung",
};
const MEASURES = {
  cost: { title: "Cost", of: (one: Figures) => one.cost_usd, shown: usd },
  tokens: { title: "Tokens", of: (one: Figures) => one.total_tokens, shown: count },
  requests: { title: "Requests", of: (one: Figures) => one.requests, shown: count },
} as const;
type Measure = keyof typeof MEASURES;

/** What models were asked, and what it cost: by day, and by whatever one wants to know. */
export function UsagePage({ place }: { place: Place }) {
  useTitle("Usage");
  const days = chosen(place.query.get("days"), PERIODS, "30");
  const by = chosen(place.query.get("by"), GROUPS, "model");
  const measure = chosen(place.query.get("measure"), MEASURES, "cost");
  const answer = useApi<Usage>(`/v1/usage?days=${days}`, EVERY_MS);
  const today = useApi<Usage>("/v1/usage?days=1", EVERY_MS);
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <h1>Usage</h1>
          <p>
            Every attempt at a model on this machine, failed and repeated ones too. All machines are
            in{" "}
            <a
              href={`/sql?q=${encodeURIComponent("select * from system.usage order by time desc limit 1000")}`}
            >
              system.usage
            </a>
            .
          </p>
        </div>
        <Halves at="usage" />
      </header>
      <div class="row usage-choices">
        <Choice name="Period" all={PERIODS} at={days} set={(one) => setQuery({ days: one })} />
        <Choice
          name="Measure"
          all={titles(MEASURES)}
          at={measure}
          set={(one) => setQuery({ measure: one })}
        />
      </div>
      <Shown answer={answer} lines={8}>
        {(found) =>
          found.calls ? (
            <>
              <section class="figures" aria-label="Figures">
                <Figure
                  name={`Cost, ${PERIODS[days]}`}
                  value={usd(found.cost_usd)}
                  note={found.under_way ? `and ${usd(found.reserved_usd)} reserved` : ""}
                  answer={answer}
                />
                <Figure
                  name="Tokens"
                  value={count(found.total_tokens)}
                  note={`${count(found.prompt_tokens)} asked, ${count(found.completion_tokens)} answered`}
                  answer={answer}
                />
                <Figure
                  name="Requests"
                  value={count(found.requests)}
                  note={notesOf(found)}
                  answer={answer}
                />
                <Figure
                  name="Budget left today"
                  value={leftOf(today.data)}
                  note={
                    today.data?.budget.today_usd !== null && today.data
                      ? `of ${usd(today.data.budget.today_usd ?? 0)}`
                      : "[llm] budget_day_usd"
                  }
                  answer={today}
                />
              </section>
              <Card
                title={`${MEASURES[measure].title} by day${measure === "cost" ? ", US$" : ""}`}
                aside={<Source answer={answer} />}
              >
                <Days found={found} days={Number(days)} measure={measure} />
              </Card>
              <Card
                title={`By ${GROUPS[by].toLowerCase()}`}
                aside={
                  <Choice
                    name="Grouped by"
                    all={GROUPS}
                    at={by}
                    set={(one) => setQuery({ by: one })}
                  />
                }
              >
                <Groups found={found} by={by} measure={measure} />
                <Source answer={answer} />
              </Card>
            </>
          ) : (
            <Card title={`Nothing in ${PERIODS[days]}`} aside={<Source answer={answer} />}>
              <Empty title="No model was asked">
                A rung in <code>lakecore.toml</code> (<code>[[llm.rung]]</code> with{" "}
                <code>name</code>, <code>base_url</code>, <code>model</code> and its prices) is
                asked by <code>POST /v1/chat/completions</code>, by agents and by reviews; each
                request is counted here, with what it cost and for whom. Budget left today:{" "}
                {leftOf(today.data)}.
              </Empty>
            </Card>
          )
        }
      </Shown>
    </div>
  );
}

function notesOf(found: Figures): string {
  const parts = [
    found.failed && `${count(found.failed)} failed`,
    found.denied && `${plural(found.denied, "call")} denied`,
    found.estimated && `${count(found.estimated)} estimated`,
  ].filter(Boolean);
  return parts.join(", ") || "all with an answer";
}

/** Each day, also those on which nothing was asked. */
function Days(props: { found: Usage; days: number; measure: Measure }) {
  const { found, days, measure } = props;
  const { of, title, shown } = MEASURES[measure];
  const name = title.toLowerCase();
  const last = Math.floor(Date.now() / DAY_MS) * DAY_MS;
  const rows = useMemo(
    () =>
      Array.from({ length: days }, (_, n) => {
        const day = new Date(last - (days - 1 - n) * DAY_MS);
        const figures = found.by_day[day.toISOString().slice(0, 10)];
        return { day, [name]: figures ? of(figures) : 0 };
      }),
    [found, days, measure, last],
  );
  return (
    <Chart
      title={`${title} by day`}
      rows={rows}
      x="day"
      y={name}
      kind="bar"
      format={(value) =>
        value instanceof Date ? value.toISOString().slice(0, 10) : shown(Number(value))
      }
    />
  );
}

function Groups(props: { found: Usage; by: Exclude<Grouping, "day">; measure: Measure }) {
  const { found, by, measure } = props;
  const { of } = MEASURES[measure];
  const all = Object.entries(found[`by_${by}`]).sort((a, b) => of(b[1]) - of(a[1]));
  const most = Math.max(...all.map(([, figures]) => of(figures)), Number.MIN_VALUE);
  return (
    <div class="table-wrap" tabIndex={0} role="region" aria-label={`Usage by ${by}`}>
      <table class="usage-table">
        <thead>
          <tr>
            <th scope="col">{GROUPS[by]}</th>
            <th scope="col" class="number">
              Cost
            </th>
            <th scope="col" class="number">
              Tokens
            </th>
            <th scope="col" class="number">
              Requests
            </th>
            <th scope="col" class="number">
              Failed
            </th>
          </tr>
        </thead>
        <tbody>
          {all.slice(0, MOST_LINES).map(([name, figures]) => (
            <tr key={name}>
              <th scope="row">
                {name || <span class="quiet">none</span>}
                <span
                  class="usage-bar"
                  aria-hidden="true"
                  style={{ width: `${Math.max(0.5, (100 * of(figures)) / most)}%` }}
                />
              </th>
              <td class="number">{usd(figures.cost_usd)}</td>
              <td class="number">{count(figures.total_tokens)}</td>
              <td class="number">{count(figures.requests)}</td>
              <td class="number">{count(figures.failed)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {all.length > MOST_LINES && (
        <p class="quiet">
          The first {MOST_LINES} of {count(all.length)}.
        </p>
      )}
    </div>
  );
}

function Choice<T extends string>(props: {
  name: string;
  all: Readonly<Record<T, string>>;
  at: T;
  set: (one: T) => void;
}) {
  return (
    <div class="choices" role="group" aria-label={props.name}>
      {(Object.keys(props.all) as T[]).map((one) => (
        <button
          key={one}
          type="button"
          aria-pressed={one === props.at}
          onClick={() => props.set(one)}
        >
          {props.all[one]}
        </button>
      ))}
    </div>
  );
}

function chosen<T extends string>(text: string | null, all: Record<T, unknown>, first: T): T {
  return text !== null && Object.hasOwn(all, text) ? (text as T) : first;
}

function titles<T extends string>(all: Record<T, { title: string }>): Record<T, string> {
  const pairs = Object.entries(all) as [T, { title: string }][];
  return Object.fromEntries(pairs.map(([name, one]) => [name, one.title])) as Record<T, string>;
}
