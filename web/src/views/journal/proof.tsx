import { useState } from "preact/hooks";
import type { Page } from "../../lib/api";
import { count, plural } from "../../lib/format";
import { type Checked, canCheck, check, type GivenProof } from "../../lib/proof";
import { useAnswer, useApi, useTitle } from "../../lib/use";
import { Card, ProblemBox, Shown, Source, State } from "../../ui/basics";

interface SigningKey {
  vkey: string;
}
const OWN_KEY = "lakecore.vkey";

/** That an event is in the signed journal: each step shown, and computed in this page. */
export function Proof({ id }: { id: string }) {
  useTitle("Proof");
  const given = useApi<GivenProof>(`/journal/proof/${encodeURIComponent(id)}`);
  const keys = useApi<Page<SigningKey>>("/journal/keys");
  const [own, setOwn] = useState(localStorage.getItem(OWN_KEY) ?? "");
  const told = keys.data?.items.at(-1)?.vkey ?? "";
  const vkey = own || told;
  const isReady = given.data && (keys.data || keys.problem);
  const checked = useAnswer<Checked>(
    isReady && canCheck() ? `here ${given.data?.proof} ${vkey}` : "",
    () => check(given.data!, vkey),
  );
  const keep = (value: string) => {
    const text = value.trim();
    setOwn(text);
    if (text) localStorage.setItem(OWN_KEY, text);
    else localStorage.removeItem(OWN_KEY);
  };
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <p>
            <a href="/journal">Journal</a>
          </p>
          <h1>{given.data ? `Proof of event ${count(given.data.seq)}` : "Proof"}</h1>
          <p>Every hash below was computed in this page, from the event's own text.</p>
        </div>
        <Verdict checked={checked.data} />
      </header>
      {!canCheck() && (
        <ProblemBox
          problem={{
            type: "",
            title: "this browser may not compute hashes here",
            status: 0,
            hint: "open the console over https or on this machine, or use examples/check_proof.py",
          }}
        />
      )}
      <Shown answer={given} lines={8}>
        {(proof) => (
          <>
            <Card title="1. What was recorded" aside={<Source answer={given} />}>
              <p class="quiet">
                The event's canonical text; all that follows depends on each byte.
              </p>
              <pre class="proof-entry">{pretty(proof.entry)}</pre>
            </Card>
            <Shown answer={checked} lines={6}>
              {(found) => (
                <>
                  <Card title="2. Its leaf">
                    <p class="quiet">SHA-256 of a zero byte and the text:</p>
                    <Hash value={found.leaf} />
                  </Card>
                  <Card
                    title={`3. From the leaf to the root: ${plural(found.folds.length, "step")}`}
                  >
                    <p class="quiet">
                      At each, SHA-256 of the byte 1, the left and the right hash. Only the siblings
                      come from the server.
                    </p>
                    <ol class="proof-folds">
                      {found.folds.map((fold) => (
                        <li key={fold.hash}>
                          <span class="quiet">sibling on the {fold.side}</span>
                          <Hash value={fold.sibling} />
                          <span class="quiet">together</span>
                          <Hash value={fold.hash} />
                        </li>
                      ))}
                    </ol>
                  </Card>
                  <Card title="4. The signed checkpoint">
                    <dl class="proof-checkpoint">
                      <dt>log</dt>
                      <dd>{found.checkpoint.origin}</dd>
                      <dt>events</dt>
                      <dd>{count(found.checkpoint.size)}</dd>
                      <dt>root</dt>
                      <dd>
                        <Hash value={found.checkpoint.root} />
                      </dd>
                      <dt>computed</dt>
                      <dd>
                        <Hash value={found.root} />
                        <State tone={found.isRoot ? "good" : "bad"}>
                          {found.isRoot ? "the same root" : "another root"}
                        </State>
                      </dd>
                      <dt>signature</dt>
                      <dd>
                        <State
                          tone={found.isSigned ? "good" : found.isSigned === null ? "warn" : "bad"}
                        >
                          {found.isSigned
                            ? "valid Ed25519, checked in this browser"
                            : found.isSigned === null
                              ? "not checked"
                              : "not valid"}
                        </State>
                        {found.why && <p class="quiet">{found.why}</p>}
                      </dd>
                    </dl>
                  </Card>
                </>
              )}
            </Shown>
            <Card title="The key that the signature is checked by">
              <p class="quiet">
                {own
                  ? "You gave this one; it is kept in this browser."
                  : "This one is what the server says. Trust needs another way: put in the verifier key that you were given (lakecore journal key show)."}
              </p>
              <label class="proof-key">
                <span class="visually-hidden">Verifier key</span>
                <input
                  class="mono"
                  value={own}
                  placeholder={told || "name+id+key"}
                  spellcheck={false}
                  onChange={(event) => keep(event.currentTarget.value)}
                />
              </label>
            </Card>
            <p>
              <a
                download={`event-${proof.seq}.tlog-proof`}
                href={`data:text/plain;charset=utf-8,${encodeURIComponent(proof.proof)}`}
              >
                Keep the proof
              </a>{" "}
              <span class="quiet">
                as c2sp.org/tlog-proof: it can be checked without Lakecore, for ever.
              </span>
            </p>
          </>
        )}
      </Shown>
    </div>
  );
}

function Verdict({ checked }: { checked: Checked | undefined }) {
  if (!checked) return null;
  if (!checked.isRoot || checked.isSigned === false) return <State tone="bad">Not proved</State>;
  if (checked.isSigned === null)
    return <State tone="warn">In the tree; signature not checked</State>;
  return <State tone="good">Proved</State>;
}

function Hash({ value }: { value: string }) {
  return <code class="hash">{value}</code>;
}

/** The text with its members apart; the hash is of the text as it came. */
function pretty(entry: string): string {
  try {
    return JSON.stringify(JSON.parse(entry), null, 2);
  } catch {
    return entry;
  }
}
