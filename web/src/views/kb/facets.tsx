import { useState } from "preact/hooks";
import { count } from "../../lib/format";
import { setQuery } from "../../lib/router";
import { type Finding, SEVERITIES, STATES } from "./finding";

type Name = "state" | "severity" | "category" | "path" | "model";

export const FACETS: readonly { name: Name; title: string }[] = [
  { name: "state", title: "State" },
  { name: "severity", title: "Severity" },
  { name: "category", title: "Category" },
  { name: "path", title: "Path" },
  { name: "model", title: "Model" },
];

const OPEN = "open";
const ALL = "all";
const CLOSED = new Set(["confirmed_fixed", "removed", "ignored"]);
const MOST = 8;

export type Chosen = Readonly<Record<string, string>>;

/** Without a state those that are open. */
export function fits(one: Finding, chosen: Chosen, without?: Name): boolean {
  return FACETS.every(({ name }) => {
    const wanted = chosen[name] ?? "";
    if (name === without) return true;
    if (name !== "state") return !wanted || one[name] === wanted;
    if (wanted === ALL) return true;
    return !wanted || wanted === OPEN ? !CLOSED.has(one.state) : one.state === wanted;
  });
}

export function stateOf(chosen: Chosen): string {
  const state = chosen.state || OPEN;
  return state === ALL ? "" : (STATES[state]?.words ?? state).split(",")[0]!;
}

/** Each value with how many there are, of those that the other facets leave. */
export function Facets({ all, chosen }: { all: readonly Finding[]; chosen: Chosen }) {
  const [isOpen, setOpen] = useState(false);
  const set = FACETS.filter(({ name }) => chosen[name]).length;
  return (
    <aside class="facets" aria-label="Facets">
      <button
        type="button"
        class="facets-toggle"
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      >
        Facets{set > 0 && ` (${set})`}
      </button>
      <div class={`facets-all ${isOpen ? "open" : ""}`}>
        {FACETS.map(({ name, title }) => (
          <Facet key={name} name={name} title={title} all={all} chosen={chosen} />
        ))}
      </div>
    </aside>
  );
}

function Facet(props: { name: Name; title: string; all: readonly Finding[]; chosen: Chosen }) {
  const { name, title, all, chosen } = props;
  const [isLong, setLong] = useState(false);
  const counts = new Map<string, number>();
  const add = (value: string) => counts.set(value, (counts.get(value) ?? 0) + 1);
  for (const one of all) {
    if (!fits(one, chosen, name)) continue;
    add(one[name]);
    if (name !== "state") continue;
    if (!CLOSED.has(one.state)) add(OPEN);
    add(ALL);
  }
  const wanted = chosen[name] || (name === "state" ? OPEN : "");
  if (wanted && !counts.has(wanted)) counts.set(wanted, 0);
  const values = [...counts].sort((a, b) => order(name, a) - order(name, b) || b[1] - a[1]);
  const shown = isLong ? values : values.slice(0, name === "state" ? 20 : MOST);
  if (!values.length) return null;
  return (
    <section aria-label={title}>
      <h2>{title}</h2>
      <ul>
        {shown.map(([value, n]) => (
          <li key={value}>
            <button
              type="button"
              class="facet"
              aria-pressed={value === wanted}
              title={value}
              onClick={() =>
                setQuery({ [name]: value === wanted && name !== "state" ? "" : value })
              }
            >
              <span>{name === "state" ? (STATES[value]?.words ?? value) : value || "none"}</span>
              <span class="quiet">{count(n)}</span>
            </button>
          </li>
        ))}
      </ul>
      {values.length > shown.length && (
        <button type="button" class="link" onClick={() => setLong(true)}>
          {count(values.length - shown.length)} more
        </button>
      )}
    </section>
  );
}

function order(name: Name, [value]: [string, number]): number {
  if (name === "severity") return SEVERITIES.indexOf(value);
  if (name === "state") return [OPEN, ALL, ...Object.keys(STATES)].indexOf(value);
  return 0;
}
