import { useState } from "preact/hooks";
import { type Problem, problemFrom } from "../lib/api";
import { useTitle } from "../lib/use";
import { Action, ProblemBox } from "../ui/basics";
import { enter, printLink, type Session } from "./session";

/** The way in: a key, or the link that the terminal shows. */
export function Login(props: {
  session: Session;
  problem?: Problem | undefined;
  done: () => void;
}) {
  const [problem, setProblem] = useState(props.problem);
  const [key, setKey] = useState("");
  const [isPrinted, setPrinted] = useState(false);
  useTitle("Log in");
  const byKey = async () => {
    try {
      await enter({ key: key.trim() });
      props.done();
    } catch (error) {
      setProblem(problemFrom(error));
    }
  };
  const byLink = async () => {
    try {
      await printLink();
      setPrinted(true);
      setProblem(undefined);
    } catch (error) {
      setProblem(problemFrom(error));
    }
  };
  return (
    <main class="login" id="main" tabIndex={-1}>
      <div class="login-box">
        <Mark />
        <h1>Lakecore</h1>
        {problem && <ProblemBox problem={problem} />}
        {props.session.asks_for_keys ? (
          <form
            onSubmit={(event) => {
              event.preventDefault();
              void byKey();
            }}
          >
            <label for="key">API key</label>
            <input
              id="key"
              type="password"
              autocomplete="off"
              spellcheck={false}
              placeholder="lc_…"
              value={key}
              onInput={(event) => setKey(event.currentTarget.value)}
            />
            <button type="submit" class="primary" disabled={!key.trim()}>
              Log in
            </button>
            <p class="quiet">
              You see here what your key may see. <code>lakecore keys create</code> makes one.
            </p>
          </form>
        ) : (
          <>
            <p>
              This lake asks for no keys, so the way in is a link that works once: it is in the
              terminal where <code>lakecore up</code> runs.
            </p>
            <Action class="primary" run={byLink}>
              Print a new link there
            </Action>
            <p role="status" class="quiet">
              {isPrinted ? "Printed. Open it in this browser." : ""}
            </p>
          </>
        )}
      </div>
    </main>
  );
}

export function Mark() {
  return <img class="mark" src="/icon.svg" alt="" width="24" height="24" />;
}
