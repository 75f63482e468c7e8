import { useState } from "preact/hooks";
import { type Page, type Problem, postJson, problemFrom } from "../../lib/api";
import type { Described, Entry } from "../../lib/lake";
import { useApi } from "../../lib/use";
import { Action, Card, Empty, ProblemBox, Shown, Source } from "../../ui/basics";
import { type Index, JOURNAL } from "./index";

const EVENT_COLUMNS = ["new_value", "old_value", "context", "actor", "entity_id"];
const CHOICES: Record<Index["kind"], string> = {
  hybrid: "Words and meaning",
  text: "Words alone: fast to build",
  vector: "Meaning alone",
};

/** A new index: over what, by what. It is built behind the answer. */
export function Create(props: {
  may: (action: string, dataset: string) => boolean;
  done: () => void;
}) {
  const { may, done } = props;
  const datasets = useApi<Page<Entry>>("/catalog/datasets?limit=1000");
  const fitting = (datasets.data?.items ?? [])
    .filter((one) => one.key.length > 0 && may("admin", one.name))
    .map((one) => one.name);
  const all = may("admin", JOURNAL) && may("read", JOURNAL) ? [...fitting, JOURNAL] : fitting;
  const [chosen, setChosen] = useState("");
  const dataset = chosen || all[0] || "";
  return (
    <Card title="New index" aside={<Source answer={datasets} />}>
      <Shown answer={datasets} lines={4}>
        {() =>
          dataset ? (
            <Form key={dataset} all={all} dataset={dataset} choose={setChosen} done={done} />
          ) : (
            <Empty title="Nothing that you may index">
              It takes the right <code>admin</code> over a dataset whose rows have a key.
            </Empty>
          )
        }
      </Shown>
    </Card>
  );
}

function Form(props: {
  all: readonly string[];
  dataset: string;
  choose: (dataset: string) => void;
  done: () => void;
}) {
  const { all, dataset, choose, done } = props;
  const isJournal = dataset === JOURNAL;
  const table = useApi<Described>(
    isJournal ? "" : `/catalog/datasets/${encodeURIComponent(dataset)}`,
  );
  const columns = isJournal
    ? EVENT_COLUMNS
    : (table.data?.columns ?? []).filter((one) => isText(one.type)).map((one) => one.name);
  const [name, setName] = useState("");
  const [kind, setKind] = useState<Index["kind"]>("hybrid");
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const [problem, setProblem] = useState<Problem>();
  const suggested = `${dataset.replace(/[^A-Za-z0-9]+/g, "_")}_text`.toLowerCase();
  const make = async () => {
    try {
      const asked = { name: name || suggested, dataset, columns: [...picked], kind };
      await postJson("/api/search/indexes", { ...asked, reason: "made in the control plane" });
      done();
    } catch (error) {
      setProblem(problemFrom(error));
    }
  };
  return (
    <div class="index-new">
      <label>
        <span>Over</span>
        <select value={dataset} onChange={(event) => choose(event.currentTarget.value)}>
          {all.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </label>
      <label>
        <span>Name</span>
        <input
          value={name}
          placeholder={suggested}
          onInput={(event) => setName(event.currentTarget.value)}
        />
      </label>
      <fieldset>
        <legend>Columns of text</legend>
        {table.problem && <ProblemBox problem={table.problem} />}
        {columns.map((one) => (
          <label key={one} class="index-choice">
            <input
              type="checkbox"
              checked={picked.has(one)}
              onChange={() => {
                const next = new Set(picked);
                if (!next.delete(one)) next.add(one);
                setPicked(next);
              }}
            />
            {one}
          </label>
        ))}
        {!columns.length && !table.isLoading && (
          <span class="quiet">{dataset} has no column of text.</span>
        )}
      </fieldset>
      <fieldset>
        <legend>Found by</legend>
        {(Object.keys(CHOICES) as Index["kind"][]).map((one) => (
          <label key={one} class="index-choice">
            <input type="radio" name="kind" checked={one === kind} onChange={() => setKind(one)} />
            {CHOICES[one]}
          </label>
        ))}
      </fieldset>
      {problem && <ProblemBox problem={problem} />}
      <div class="row">
        <Action class="primary" disabled={!picked.size} run={make}>
          Make it
        </Action>
        <span class="quiet">It is built in the background; its state says when it is ready.</span>
      </div>
    </div>
  );
}

function isText(type: string): boolean {
  return /string|utf8|text|varchar/i.test(type);
}
