import type { Page } from "../../lib/api";
import { plural, span } from "../../lib/format";
import {
  contextOf,
  type Event,
  type JournalStats,
  type Pending,
  type Verified,
} from "../../lib/lake";
import { type Answer, useNow } from "../../lib/use";
import { Card, Skeleton, State, type Tone } from "../../ui/basics";
import "./home.css";

interface Need {
  tone: Tone;
  what: string;
  why: string;
  href: string;
  act: string;
}

interface Looked {
  verified: Answer<Verified>;
  stats: Answer<JournalStats>;
  pending: Answer<Page<Pending>>;
  refused: Answer<Page<Event>>;
  ready: Answer<Record<string, string>>;
}

const LATE_S = 120;

/** What a person has to do now, the gravest first; or that there is nothing. */
export function Needed(looked: Looked) {
  const now = useNow(5_000);
  const needs = needsOf(looked, now);
  const isLooking = Object.values(looked).some((one: Answer<unknown>) => !one.data && !one.problem);
  const unknown = Object.values(looked).filter((one: Answer<unknown>) => one.problem && !one.data);
  return (
    <Card title="What needs a person now" class="needed">
      {needs.length > 0 && (
        <ul class="plain">
          {needs.map((need) => (
            <li key={need.what} class="need">
              <State tone={need.tone}>{need.what}</State>
              <p class="quiet">{need.why}</p>
              <a href={need.href}>{need.act}</a>
            </li>
          ))}
        </ul>
      )}
      {isLooking && !needs.length && <Skeleton lines={1} />}
      {!isLooking && !needs.length && (
        <p>
          <State tone={unknown.length ? "none" : "good"}>
            {unknown.length ? "Nothing that can be seen from here" : "Nothing"}
          </State>
        </p>
      )}
      {unknown.length > 0 && (
        <p class="quiet">
          Not looked at, {unknown[0]?.problem?.title}:{" "}
          {unknown.map((one) => one.source.replace("GET ", "").split("?")[0]).join(", ")}
        </p>
      )}
    </Card>
  );
}

function needsOf(looked: Looked, now: number): Need[] {
  const needs: Need[] = [];
  const verified = looked.verified.data;
  for (const name of ["integrity", "completeness", "anchored"] as const) {
    const check = verified?.[name];
    if (check && (check.status === "broken" || check.status === "inconclusive")) {
      needs.push({
        tone: check.status === "broken" ? "bad" : "warn",
        what: `${name} is ${check.status}`,
        why: check.problems[0] ?? check.summary,
        href: "/journal",
        act: "Look at the journal",
      });
    }
  }
  for (const [name, found] of Object.entries(looked.ready.data ?? {})) {
    if (name !== "status" && found !== "ok") {
      needs.push({
        tone: "bad",
        what: `${name} does not answer`,
        why: `it says: ${found}`,
        href: "/",
        act: "The log of `lakecore up` has the reason",
      });
    }
  }
  const stats = looked.stats.data;
  const failure = stats?.last_seal_error ?? stats?.pending.unreadable[0];
  if (failure) {
    needs.push({
      tone: "bad",
      what: "Sealing fails",
      why: failure,
      href: "/journal",
      act: "Look at the journal",
    });
  } else if (stats && stats.pending.oldest_age_s > LATE_S) {
    needs.push({
      tone: "warn",
      what: "Sealing is late",
      why: `the oldest commit waits for ${span(stats.pending.oldest_age_s * 1_000)}`,
      href: "/journal",
      act: "Look at the journal",
    });
  }
  if (stats?.last_checkpoint_error) {
    needs.push({
      tone: "warn",
      what: "Signing fails",
      why: stats.last_checkpoint_error,
      href: "/journal",
      act: "Look at the journal",
    });
  }
  const waiting = looked.pending.data?.items ?? [];
  if (waiting.length) {
    const first = Math.min(...waiting.map((one) => one.expires_us / 1_000));
    needs.push({
      tone: "warn",
      what: `${plural(waiting.length, "change waits", "changes wait")} for approval`,
      why: `the first lapses in ${span(first - now)}`,
      href: "/changes",
      act: "Decide",
    });
  }
  const refused = looked.refused.data?.items ?? [];
  const newest = refused[0];
  if (newest) {
    needs.push({
      tone: "none",
      what: `${plural(refused.length, "change was", "changes were")} refused in 24 h`,
      why: `the last by ${newest.actor}${reasonOf(newest)}`,
      href: "/journal?entity_type=decision&action=refused",
      act: "See why",
    });
  }
  return needs;
}

function reasonOf(event: Event): string {
  const reason = contextOf(event, "reason");
  return reason ? `: ${reason}` : "";
}
