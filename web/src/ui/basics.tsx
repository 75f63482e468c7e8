/** Small parts that every view uses. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Problem } from "../lib/api";
import { ago } from "../lib/format";
import { type Answer, useNow } from "../lib/use";

/** What went wrong, in words, with what to do. */
export function ProblemBox({ problem, retry }: { problem: Problem; retry?: () => void }) {
  const isMine = problem.status === 403;
  return (
    <div class="problem" role="alert">
      <p class="problem-title">
        {isMine ? "Not for your key: " : ""}
        {problem.title}
      </p>
      {(problem.where || problem.expected || problem.found) && (
        <dl class="problem-parts">
          {problem.where && <Pair name="where" value={problem.where} />}
          {problem.expected && <Pair name="expected" value={problem.expected} />}
          {problem.found && <Pair name="found" value={problem.found} />}
        </dl>
      )}
      {problem.hint && <p class="problem-hint">What to do: {problem.hint}</p>}
      {retry && !isMine && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

function Pair({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </>
  );
}

/** Room for what is on its way, the size that it will have. */
export function Skeleton({ lines = 3 }: { lines?: number }) {
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, n) => (
        <span key={n} />
      ))}
    </div>
  );
}

/** An answer: its content once it is there, else a skeleton or what went wrong. */
export function Shown<T>(props: {
  answer: Answer<T>;
  lines?: number;
  children: (data: T) => ComponentChildren;
}) {
  const { answer, lines = 3, children } = props;
  if (answer.data !== undefined) {
    return (
      <>
        {answer.problem && <ProblemBox problem={answer.problem} retry={answer.reload} />}
        {children(answer.data)}
      </>
    );
  }
  if (answer.problem) return <ProblemBox problem={answer.problem} retry={answer.reload} />;
  return <Skeleton lines={lines} />;
}

/** Where a number is from and how old it is. */
export function Source({ answer }: { answer: Pick<Answer<unknown>, "source" | "atMs"> }) {
  const now = useNow(5_000);
  if (!answer.atMs) return null;
  return (
    <span class="source" title={`Source: ${answer.source}`}>
      {ago(answer.atMs, now)} · <code>{answer.source.replace(/\s+/g, " ")}</code>
    </span>
  );
}

/** One number with its name, its source and its age. */
export function Figure(props: {
  name: string;
  value: ComponentChildren;
  note?: ComponentChildren;
  answer: Pick<Answer<unknown>, "source" | "atMs">;
  tone?: Tone;
  href?: string;
}) {
  const { name, value, note, answer, tone, href } = props;
  return (
    <div class={`figure ${tone ? `tone-${tone}` : ""}`}>
      <p class="figure-name">{name}</p>
      <p class="figure-value">{href ? <a href={href}>{value}</a> : value}</p>
      {note && <p class="figure-note">{note}</p>}
      <Source answer={answer} />
    </div>
  );
}

export type Tone = "good" | "warn" | "bad" | "none";

const TONE_WORDS: Record<Tone, string> = { good: "✓", warn: "!", bad: "✕", none: "–" };

/** A state by shape, word and colour: never by colour alone. */
export function State({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return (
    <span class={`state tone-${tone}`}>
      <span class="state-mark" aria-hidden="true">
        {TONE_WORDS[tone]}
      </span>
      <span>{children}</span>
    </span>
  );
}

/** Nothing is there: why, and what would fill it. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <div class="empty-text">{children}</div>}
    </div>
  );
}

export function Card(props: {
  title: string;
  aside?: ComponentChildren;
  children: ComponentChildren;
  class?: string;
}) {
  return (
    <section class={`card ${props.class ?? ""}`} aria-label={props.title}>
      <header class="card-head">
        <h2>{props.title}</h2>
        {props.aside}
      </header>
      {props.children}
    </section>
  );
}

/** A button whose work takes a while: it says so within a frame, and cannot be pressed twice. */
export function Action(props: {
  run: () => Promise<unknown>;
  children: ComponentChildren;
  class?: string;
  disabled?: boolean;
}) {
  const [isBusy, setBusy] = useState(false);
  const mounted = useRef(true);
  useEffect(
    () => () => {
      mounted.current = false;
    },
    [],
  );
  return (
    <button
      type="button"
      class={props.class ?? ""}
      disabled={isBusy || props.disabled}
      aria-busy={isBusy}
      onClick={async () => {
        setBusy(true);
        try {
          await props.run();
        } finally {
          if (mounted.current) setBusy(false);
        }
      }}
    >
      {props.children}
    </button>
  );
}
