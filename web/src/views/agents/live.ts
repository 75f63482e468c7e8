/** A run as it goes: its steps by SSE, until it ends. */
import { useEffect, useState } from "preact/hooks";
import type { Problem } from "../../lib/api";
import type { Run, RunDetail, Step } from "./run";

export interface Live {
  run: Partial<Run>;
  steps: readonly Step[];
  isOpen: boolean;
  problem: Problem | undefined;
}

/** `from`: the run as it was asked for; a run that has ended is not listened to. */
export function useRun(id: string, from: RunDetail | undefined): Live {
  const [live, setLive] = useState<Live>({
    run: {},
    steps: [],
    isOpen: false,
    problem: undefined,
  });
  const isGoing = from !== undefined && !from.ended_us;
  useEffect(() => {
    if (!isGoing) return;
    const source = new EventSource(`/api/agent/runs/${encodeURIComponent(id)}/stream`);
    source.onopen = () => setLive((before) => ({ ...before, isOpen: true, problem: undefined }));
    source.addEventListener("step", (message) => {
      const step = JSON.parse(message.data as string) as Step;
      setLive((before) => ({ ...before, steps: merged(before.steps, [step]) }));
    });
    source.addEventListener("run", (message) => {
      const run = JSON.parse(message.data as string) as Run;
      setLive((before) => ({ ...before, run, isOpen: !run.ended_us }));
      if (run.ended_us) source.close();
    });
    source.addEventListener("problem", (message) => {
      const problem = JSON.parse(message.data as string) as Problem;
      setLive((before) => ({ ...before, isOpen: false, problem }));
      source.close();
    });
    source.onerror = () => setLive((before) => ({ ...before, isOpen: false }));
    return () => source.close();
  }, [id, isGoing]);
  const { steps: _, ...asked } = from ?? { steps: [] };
  // What has ended stays so: the stream may have been closed before it told.
  const run = from?.ended_us ? asked : { ...asked, ...live.run };
  return { ...live, run, steps: merged(from?.steps ?? [], live.steps) };
}

/** A step that is told again is the newer one. */
function merged(old: readonly Step[], fresh: readonly Step[]): Step[] {
  const by = new Map([...old, ...fresh].map((one) => [one.number, one]));
  return [...by.values()].sort((a, b) => a.number - b.number);
}
