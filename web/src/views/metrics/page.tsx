import type { Page } from "../../lib/api";
import { ago, count, plural } from "../../lib/format";
import { type Answer, useApi, useNow, useTitle } from "../../lib/use";
import { Card, Empty, Shown, Source, State } from "../../ui/basics";
import type { ViewProps } from "../registry";
import { usd } from "../trace/forms";
import "./metrics.css";

interface Item {
  of: string;
  value: number | null;
  hits: number;
  n: number;
  low: number | null;
  high: number | null;
  newest: string | null;
}

interface Metric {
  name: string;
  title: string;
  about: string;
  unit: "share" | "microusd";
  good: number | null;
  good_is: "at least" | "at most";
  source: string;
  items: Item[];
}

/** /metrics: how the reviewers do; each figure with its query, n, interval, age and goal. */
export default function Metrics(_: ViewProps) {
  useTitle("Metrics");
  const metrics = useApi<Page<Metric>>("/data/metrics");
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <h1>Metrics</h1>
          <p>
            How well the reviewers do, over all repositories. A bar is the 95 % interval; the line
            is what would be good.
          </p>
        </div>
      </header>
      <Shown answer={metrics} lines={12}>
        {(found) => (
          <>
            {found.items.every((one) => one.items.every((item) => !item.n)) && (
              <Empty title="No data yet, which is not 0">
                Reviews fill these: name a model in <code>[[llm.rung]]</code> of{" "}
                <code>lakecore.toml</code>, then <code>lakecore review run</code> in a repository.
                Confirmations, planted faults and reopened fixes follow by themselves.
              </Empty>
            )}
            <div class="metrics">
              {found.items.map((metric) => (
                <One key={metric.name} metric={metric} answer={metrics} />
              ))}
            </div>
          </>
        )}
      </Shown>
    </div>
  );
}

function One({ metric, answer }: { metric: Metric; answer: Answer<unknown> }) {
  const now = useNow(10_000);
  const isShare = metric.unit === "share";
  const known = metric.items.filter((one) => one.n);
  return (
    <Card
      title={metric.title}
      aside={
        <a href={`/sql?q=${encodeURIComponent(metric.source)}`}>
          Source<span class="visually-hidden"> of {metric.title}: its query</span>
        </a>
      }
    >
      <p class="quiet">{metric.about}</p>
      {metric.good !== null && (
        <p class="quiet">
          GOOD: {metric.good_is} {percent(metric.good)}
        </p>
      )}
      {known.length ? (
        <ul class="plain">
          {known.map((item) => (
            <li key={item.of} class="metric">
              <p class="row spread">
                <span class="metric-of">{item.of === "all" ? "All models" : item.of}</span>
                <strong>{isShare ? percent(item.value!) : `${usd(item.value)} each`}</strong>
              </p>
              {isShare && <Interval metric={metric} item={item} />}
              <p class="quiet metric-note">
                {isShare
                  ? `${count(item.hits)} of ${count(item.n)}`
                  : `${usd(item.hits)} for ${plural(item.n, "fix", "fixes")}`}
                {item.low !== null && item.high !== null
                  ? `, ${percent(item.low)} to ${percent(item.high)}`
                  : ""}
                {item.newest ? `, newest ${ago(new Date(item.newest).getTime(), now)}` : ""}
              </p>
              <Verdict metric={metric} item={item} />
            </li>
          ))}
        </ul>
      ) : (
        <State tone="none">No data</State>
      )}
      <Source answer={answer} />
    </Card>
  );
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

/** By the whole interval: what may be either is not yet told. */
function Verdict({ metric, item }: { metric: Metric; item: Item }) {
  if (metric.good === null || item.low === null || item.high === null) return null;
  const isMost = metric.good_is === "at most";
  const isGood = isMost ? item.high <= metric.good : item.low >= metric.good;
  const isBad = isMost ? item.low > metric.good : item.high < metric.good;
  return (
    <State tone={isGood ? "good" : isBad ? "bad" : "none"}>
      {isGood ? "Good" : isBad ? "Not good" : "Undecided: the line is within the interval"}
    </State>
  );
}

function Interval({ metric, item }: { metric: Metric; item: Item }) {
  const low = item.low ?? item.value ?? 0;
  const high = item.high ?? item.value ?? 0;
  return (
    <svg class="interval" viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">
      <rect class="interval-ground" x="0" y="5" width="100" height="4" />
      <rect
        class="interval-bar"
        x={low * 100}
        y="3"
        width={Math.max(0.6, (high - low) * 100)}
        height="8"
      />
      <rect
        class="interval-value"
        x={Math.min(99, (item.value ?? 0) * 100 - 0.4)}
        y="1"
        width="1"
        height="12"
      />
      {metric.good !== null && (
        <rect class="interval-good" x={metric.good * 100 - 0.25} y="0" width="0.5" height="14" />
      )}
    </svg>
  );
}
