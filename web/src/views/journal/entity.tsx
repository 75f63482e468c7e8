import { useEffect, useMemo, useState } from "preact/hooks";
import { getJson, type Page } from "../../lib/api";
import { moment, plural, shown } from "../../lib/format";
import { contextOf, type Described, type Event } from "../../lib/lake";
import { type Place, pathOf, setQuery } from "../../lib/router";
import { type Answer, useAnswer, useApi, useTitle } from "../../lib/use";
import { Card, Empty, Shown, Source } from "../../ui/basics";
import { Diff } from "./events";

const DEBOUNCE_MS = 60;
const PAGE_ROWS = 1_000;

interface Moment {
  seq: number;
  events: Event[];
}

/** One row's life: every change of it, and how it was after each. */
export function Entity(props: { dataset: string; id: string; place: Place }) {
  const { dataset, id, place } = props;
  useTitle(id);
  const path = encodeURIComponent(dataset);
  const table = useApi<Described>(`/catalog/datasets/${path}`);
  const kind = table.data ? encodeURIComponent(table.data.entity_type || table.data.name) : "";
  const source = kind
    ? `/journal/history/${kind}/${encodeURIComponent(id)}?dataset=${path}&limit=${PAGE_ROWS}`
    : "";
  const history = useApi<Page<Event>>(source);
  const moments = useMemo(() => momentsOf(history.data?.items ?? []), [history.data]);
  const asked = Number(place.query.get("seq") ?? Number.NaN);
  const found = moments.findIndex((one) => one.seq === asked);
  const at = found < 0 ? moments.length - 1 : found;
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <p>
            <a href={pathOf("lake", dataset)}>{dataset}</a>
          </p>
          <h1>{id}</h1>
        </div>
        <Source answer={history} />
      </header>
      <Shown answer={(table.problem ? table : history) as Answer<unknown>} lines={6}>
        {() =>
          moments.length ? (
            <div class="entity">
              <Was dataset={dataset} id={id} moments={moments} at={at} />
              <Card title={plural(moments.length, "change")}>
                <ol class="timeline">
                  {[...moments].reverse().map((one) => (
                    <Step key={one.seq} moment={one} isShown={one.seq === moments[at]?.seq} />
                  ))}
                </ol>
                {history.data?.next && <p class="quiet">Its first {PAGE_ROWS} events are shown.</p>}
              </Card>
            </div>
          ) : (
            <Empty title="Nothing is on record of this row">
              <p>
                Its key is written as the journal has it; of several columns it is a list,{" "}
                <code>["EWR","2013-01-01"]</code>.
              </p>
            </Empty>
          )
        }
      </Shown>
    </div>
  );
}

/** Events of one mutation are one change. */
function momentsOf(events: readonly Event[]): Moment[] {
  const found: Moment[] = [];
  for (const event of events) {
    const last = found.at(-1);
    if (last && last.events[0]?.mutation_id === event.mutation_id) {
      last.events.push(event);
      last.seq = event.seq;
    } else {
      found.push({ seq: event.seq, events: [event] });
    }
  }
  return found;
}

interface Row {
  values: Record<string, unknown> | null;
}

/** The row after one of its changes, chosen by a slider. */
function Was(props: { dataset: string; id: string; moments: Moment[]; at: number }) {
  const { dataset, id, moments, at } = props;
  const [chosen, setChosen] = useState(at);
  useEffect(() => setChosen(at), [at]);
  useEffect(() => {
    if (chosen === at) return;
    const timer = setTimeout(() => {
      const seq = moments[chosen]?.seq;
      setQuery({ seq: chosen === moments.length - 1 || seq === undefined ? "" : String(seq) });
    }, DEBOUNCE_MS);
    return () => clearTimeout(timer);
  }, [chosen, at]);
  const one = moments[chosen];
  const first = one?.events[0];
  const path = `/datasets/${encodeURIComponent(dataset)}/entity?key=${encodeURIComponent(id)}&seq=${moments[at]?.seq ?? 0}`;
  const row = useAnswer<Row>(`GET ${path}`, (signal) => getJson<Row>(`/api${path}`, signal));
  const changed = new Set(one?.events.map((event) => event.field));
  return (
    <Card title="As it was" aside={<Source answer={row} />}>
      <label class="entity-slider">
        <span>
          After change {chosen + 1} of {moments.length}
          {first ? `, ${moment(first.timestamp)} UTC` : ""}
        </span>
        <input
          type="range"
          min={0}
          max={moments.length - 1}
          value={chosen}
          disabled={moments.length < 2}
          onInput={(event) => setChosen(Number(event.currentTarget.value))}
        />
      </label>
      <Shown answer={row} lines={6}>
        {(data) =>
          data.values === null ? (
            <Empty title="It was gone then" />
          ) : (
            <table class="entity-state">
              <tbody>
                {Object.entries(data.values).map(([name, value]) => (
                  <tr key={name} class={changed.has(name) ? "changed" : ""}>
                    <th scope="row">{name}</th>
                    <td>
                      {value === null ? <em class="quiet">null</em> : text(value)}
                      {changed.has(name) && <span class="tag update">changed here</span>}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Shown>
    </Card>
  );
}

function text(value: unknown): string {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function Step({ moment: one, isShown }: { moment: Moment; isShown: boolean }) {
  const first = one.events[0];
  if (!first) return null;
  const reason = contextOf(first, "reason");
  return (
    <li class={isShown ? "shown" : ""} aria-current={isShown ? "step" : undefined}>
      <p class="row spread">
        <span>
          <strong>{first.actor}</strong> <span class={`tag ${first.action}`}>{first.action}</span>{" "}
          <span class="quiet">by {first.source}</span>
        </span>
        <button
          type="button"
          class="link"
          aria-label={`Show as it was at ${moment(first.timestamp)}`}
          onClick={() => setQuery({ seq: String(one.seq) })}
        >
          {moment(first.timestamp)}
        </button>
      </p>
      {reason && <p class="timeline-why">“{reason}”</p>}
      <ul class="plain timeline-fields">
        {one.events.map((event) => (
          <li key={event.seq}>
            <span class="quiet">{event.field === "*" ? "the whole row" : event.field}</span>{" "}
            {event.field === "*" ? <Whole event={event} /> : <Diff event={event} />}{" "}
            <a href={pathOf("journal", "proof", event.event_id)}>
              proof<span class="visually-hidden"> of event {event.seq}</span>
            </a>
          </li>
        ))}
      </ul>
    </li>
  );
}

function Whole({ event }: { event: Event }) {
  const value = event.new_value ?? event.old_value;
  return value === null ? null : <code class="timeline-row">{shown(value)}</code>;
}
