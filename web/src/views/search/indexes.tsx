import { useEffect, useState } from "preact/hooks";
import { type Page, type Problem, postJson, problemFrom, send } from "../../lib/api";
import { ago, bytes, count, plural, span } from "../../lib/format";
import { useMay } from "../../lib/may";
import { pathOf, setQuery } from "../../lib/router";
import { type Answer, useNow } from "../../lib/use";
import { Action, Card, Empty, ProblemBox, Source, State } from "../../ui/basics";
import { Create } from "./create";
import { type Index, JOURNAL, KINDS, recallOf, STATES } from "./index";

/** After a refresh, which goes on behind its answer, the index is looked at until it is done. */
const LOOK_MS = 700;
const MOST_LOOKS = 200;

/** The indexes: what each covers, how good it is, how far it is behind; and a new one. */
export function Indexes({ answer, show }: { answer: Answer<Page<Index>>; show: string }) {
  const may = useMay();
  const all = answer.data?.items ?? [];
  const isNew = show === "new" || !all.length;
  const create = (
    <Create
      may={may}
      done={() => {
        setQuery({ show: "" });
        answer.reload();
      }}
    />
  );
  return (
    <>
      {isNew && all.length > 0 && create}
      <Card
        title={all.length ? plural(all.length, "index", "indexes") : "Indexes"}
        aside={<Source answer={answer} />}
      >
        {all.length ? (
          <Table all={all} may={may} reload={answer.reload} />
        ) : (
          <Empty title="There is no index yet">
            An index makes the rows of a dataset findable by a text: by its words, by its meaning,
            or both. It is over columns of one dataset with a key, or over the journal. Make one
            here, or at a terminal:{" "}
            <code>lakecore index create planes_text planes manufacturer model</code>
          </Empty>
        )}
        {answer.data?.next && <p class="quiet">The first {count(all.length)} are shown.</p>}
        {!isNew && (
          <div>
            <button type="button" onClick={() => setQuery({ show: "new" })}>
              New index
            </button>
          </div>
        )}
      </Card>
      {!all.length && create}
    </>
  );
}

function Table(props: {
  all: readonly Index[];
  may: (action: string, dataset: string) => boolean;
  reload: () => void;
}) {
  return (
    <div class="table-wrap">
      <table class="indexes">
        <thead>
          <tr>
            <th scope="col">Index</th>
            <th scope="col">State</th>
            <th scope="col" class="number" title="Of the ten nearest rows, how many are found">
              Recall at 10
            </th>
            <th scope="col" class="number">
              Covers version
            </th>
            <th scope="col" class="number">
              Rows behind
            </th>
            <th scope="col" class="number">
              Rows
            </th>
            <th scope="col">Built</th>
            <th scope="col">
              <span class="visually-hidden">What you may do</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {props.all.map((one) => (
            <Line key={one.name} index={one} {...props} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Line(props: {
  index: Index;
  may: (action: string, dataset: string) => boolean;
  reload: () => void;
}) {
  const { index, may, reload } = props;
  const now = useNow(10_000);
  const isLate = index.rows_behind !== 0 && index.version !== index.covered_version;
  return (
    <tr>
      <th scope="row">
        <a href={`/search?index=${encodeURIComponent(index.name)}`}>{index.name}</a>
        <span class="quiet index-over">
          {KINDS[index.kind]}, over{" "}
          <a href={index.dataset === JOURNAL ? "/journal" : pathOf("lake", index.dataset)}>
            {index.dataset}
          </a>
          : {index.columns.join(", ")}
        </span>
      </th>
      <td>
        <State tone={STATES[index.state] ?? "none"}>{index.state}</State>
        {index.error && <span class="quiet index-over">{index.error}</span>}
      </td>
      <td class="number" title={index.kind === "text" ? "Words are looked up, not estimated" : ""}>
        {recallOf(index.recall)}
      </td>
      <td class="number">
        {index.covered_version === null ? "–" : count(index.covered_version)}
        {index.version !== null && index.version !== index.covered_version && (
          <span class="quiet"> of {count(index.version)}</span>
        )}
      </td>
      <td class="number">
        {index.rows_behind === null
          ? isLate && index.covered_version !== null
            ? "not counted"
            : "–"
          : count(index.rows_behind)}
      </td>
      <td class="number">
        {index.rows === null ? "–" : count(index.rows)}
        {!!index.skipped && (
          <span class="quiet index-over">{count(index.skipped)} without text</span>
        )}
      </td>
      <td>
        {index.built_us === null ? (
          "not yet"
        ) : (
          <>
            {ago(index.built_us / 1_000, now)}
            <span class="quiet index-over">
              {bytes(index.size_bytes)}
              {index.duration_s !== null && `, in ${span(index.duration_s * 1_000)}`}
            </span>
          </>
        )}
      </td>
      <td>{may("admin", index.dataset) && <Acts index={index} reload={reload} />}</td>
    </tr>
  );
}

/** Bring it up to date; end it, when that is meant. */
function Acts({ index, reload }: { index: Index; reload: () => void }) {
  const [isDropping, setDropping] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const [looks, setLooks] = useState(0);
  useEffect(() => {
    if (!looks || index.rows_behind === 0) return;
    const timer = setTimeout(() => {
      setLooks(looks - 1);
      reload();
    }, LOOK_MS);
    return () => clearTimeout(timer);
  }, [looks, index.rows_behind]);
  const path = `/api/search/indexes/${encodeURIComponent(index.name)}`;
  const run = async (what: () => Promise<unknown>) => {
    try {
      await what();
      setProblem(undefined);
      setDropping(false);
    } catch (error) {
      setProblem(problemFrom(error));
    }
    reload();
  };
  return (
    <div class="index-acts">
      {isDropping ? (
        <>
          <Action
            class="danger"
            run={() =>
              run(() =>
                send(`${path}?reason=${encodeURIComponent("dropped in the control plane")}`, {
                  method: "DELETE",
                }),
              )
            }
          >
            Drop {index.name}
          </Action>
          <button type="button" onClick={() => setDropping(false)}>
            Keep it
          </button>
        </>
      ) : (
        <>
          <Action
            disabled={index.state === "building"}
            run={() =>
              run(async () => {
                await postJson(`${path}/refresh`, {});
                setLooks(MOST_LOOKS);
              })
            }
          >
            Refresh<span class="visually-hidden"> {index.name}</span>
          </Action>
          <button type="button" onClick={() => setDropping(true)}>
            Drop…<span class="visually-hidden"> {index.name}</span>
          </button>
        </>
      )}
      {problem && <ProblemBox problem={problem} />}
    </div>
  );
}
