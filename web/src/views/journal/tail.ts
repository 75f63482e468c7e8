/** The live tail: bounded, drawn once a frame, and held back while it is paused. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Problem } from "../../lib/api";
import type { Event } from "../../lib/lake";

const MOST = 500;

export interface Live {
  events: readonly Event[];
  seen: number;
  waiting: number;
  isOpen: boolean;
  problem?: Problem | undefined;
}

export function useTail(dataset: string, isPaused: boolean): Live {
  const [live, setLive] = useState<Live>({ events: [], seen: 0, waiting: 0, isOpen: false });
  const held = useRef<Event[]>([]);
  const dropped = useRef(0);
  const paused = useRef(isPaused);
  paused.current = isPaused;
  const draw = useRef(() => {});
  useEffect(() => {
    let frame = 0;
    const flush = () => {
      frame = 0;
      const fresh = held.current;
      if (paused.current) {
        setLive((before) => ({ ...before, waiting: fresh.length + dropped.current }));
        return;
      }
      held.current = [];
      const count = fresh.length + dropped.current;
      dropped.current = 0;
      setLive((before) => ({
        ...before,
        events: [...fresh.reverse(), ...before.events].slice(0, MOST),
        seen: before.seen + count,
        waiting: 0,
      }));
    };
    draw.current = () => {
      frame ||= requestAnimationFrame(flush);
    };
    const query = dataset ? `?dataset=${encodeURIComponent(dataset)}` : "";
    const source = new EventSource(`/api/journal/tail${query}`);
    source.onopen = () => setLive((before) => ({ ...before, isOpen: true, problem: undefined }));
    source.addEventListener("change", (message) => {
      held.current.push(JSON.parse(message.data as string) as Event);
      if (held.current.length > MOST) {
        held.current.shift();
        dropped.current += 1;
      }
      draw.current();
    });
    source.addEventListener("problem", (message) => {
      const problem = JSON.parse(message.data as string) as Problem;
      setLive((before) => ({ ...before, problem }));
    });
    source.onerror = () => {
      // It connects again by itself, and goes on where it was; unless it was refused.
      const isOver = source.readyState === EventSource.CLOSED;
      setLive((before) => ({
        ...before,
        isOpen: false,
        problem: isOver
          ? {
              type: "",
              title: "the tail ended",
              status: 0,
              hint: "your key may read no such dataset, or has ended: choose a dataset, or log in again",
            }
          : before.problem,
      }));
    };
    return () => {
      source.close();
      cancelAnimationFrame(frame);
    };
  }, [dataset]);
  useEffect(() => {
    if (!isPaused) draw.current();
  }, [isPaused]);
  return live;
}
