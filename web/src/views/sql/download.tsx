import { useState } from "preact/hooks";
import { type Problem, problemFrom, send } from "../../lib/api";
import { Action, ProblemBox } from "../../ui/basics";

const FORMS = {
  CSV: ["text/csv", "csv"],
  Parquet: ["application/vnd.apache.parquet", "parquet"],
  NDJSON: ["application/x-ndjson", "ndjson"],
  Arrow: ["application/vnd.apache.arrow.stream", "arrows"],
} as const;

/** All rows, in a form to keep; and the address of this query, to send. */
export function Download({ sql }: { sql: string }) {
  const [problem, setProblem] = useState<Problem>();
  const [isCopied, setCopied] = useState(false);
  const take = async (form: keyof typeof FORMS) => {
    const [accept, ending] = FORMS[form];
    try {
      const answer = await send("/api/query/sql", {
        method: "POST",
        headers: { "content-type": "application/json", accept },
        body: JSON.stringify({ sql, read_only: true }),
      });
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await answer.blob());
      link.download = `result.${ending}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      setProblem(undefined);
    } catch (error) {
      setProblem(problemFrom(error));
    }
  };
  return (
    <div class="row">
      {problem && <ProblemBox problem={problem} />}
      <span class="quiet">Download</span>
      {(Object.keys(FORMS) as (keyof typeof FORMS)[]).map((form) => (
        <Action key={form} run={() => take(form)}>
          {form}
        </Action>
      ))}
      <Action
        run={async () => {
          await navigator.clipboard?.writeText(location.href);
          setCopied(true);
        }}
      >
        {isCopied ? "Link copied" : "Copy link"}
      </Action>
    </div>
  );
}
