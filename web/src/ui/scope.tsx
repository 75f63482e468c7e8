/** Which repository, under which bar; and what to do where there is none yet. */
import type { ComponentChildren } from "preact";
import { moment } from "../lib/format";
import type { Scoped } from "../lib/reviews";
import { setQuery } from "../lib/router";
import { Empty, Shown } from "./basics";

export function ScopePicker({ scoped }: { scoped: Scoped }) {
  const all = scoped.scopes.data?.items ?? [];
  const { scope } = scoped;
  if (!scope) return null;
  if (all.length === 1) {
    return (
      <p class="quiet">
        <strong>{scope.repository}</strong>, last review {moment(scope.last).slice(0, 16)}
      </p>
    );
  }
  return (
    <label class="row">
      <span class="quiet">Repository and bar</span>
      <select
        value={`${scope.bar} ${scope.repository}`}
        onChange={(event) => {
          const [bar = "", ...rest] = event.currentTarget.value.split(" ");
          setQuery({ repository: rest.join(" "), bar });
        }}
      >
        {all.map((one) => (
          <option key={`${one.bar} ${one.repository}`} value={`${one.bar} ${one.repository}`}>
            {one.repository}, {one.bar.slice(0, 8)}, {moment(one.last).slice(0, 10)}
          </option>
        ))}
      </select>
    </label>
  );
}

/** A view's content once there is a review; before that, what would fill it. */
export function Reviewed(props: { scoped: Scoped; fills: string; children: ComponentChildren }) {
  const { scoped, fills, children } = props;
  return (
    <Shown answer={scoped.scopes} lines={8}>
      {(found) => {
        if (!found.items.length) return <NoReviews fills={fills} />;
        if (!scoped.scope) {
          return (
            <Empty title="There is no such review">
              The address names a repository or a bar that has none.{" "}
              <a href={location.pathname}>Show the newest one</a>
            </Empty>
          );
        }
        return children;
      }}
    </Shown>
  );
}

function NoReviews({ fills }: { fills: string }) {
  return (
    <Empty title="No code was reviewed yet">
      <p>{fills}</p>
      <p>
        Name a model in <code>[[llm.rung]]</code> of <code>lakecore.toml</code>, then at a terminal:{" "}
        <code>lakecore review run path/to/repository</code>. <code>--plan</code> says first what it
        would ask and cost.
      </p>
    </Empty>
  );
}
