import { rows } from "../../lib/api";
import { count, moment } from "../../lib/format";
import { useAnswer } from "../../lib/use";
import { Card, Empty, Shown, Source } from "../../ui/basics";
import { Chart } from "../../ui/chart";

const SQL = `select date_trunc('hour', "timestamp") as hour, count(*) as events
from system.journal where "timestamp" >= now() - interval '24 hours' group by 1 order by 1`;

/** It reads a day of the journal: not at every look. */
const FRESH_MS = 60_000;

interface Hour {
  hour: string;
  events: number;
}

/** How much comes in. */
export function Rate() {
  const answer = useAnswer<Hour[]>(`SQL ${SQL}`, (signal) => rows<Hour>(SQL, signal), 0, FRESH_MS);
  return (
    <Card title="Events by hour, the last day" aside={<Source answer={answer} />}>
      <Shown answer={answer} lines={5}>
        {(hours) =>
          hours.length ? (
            <Chart
              title="Events by hour"
              rows={wholeDay(hours)}
              x="hour"
              y="events"
              kind="bar"
              format={(value) =>
                value instanceof Date ? moment(value.getTime()) : count(Number(value))
              }
            />
          ) : (
            <Empty title="Nothing came in today">
              A file that is loaded, a change that is made, an event that is recorded: each shows
              here within seconds.
            </Empty>
          )
        }
      </Shown>
    </Card>
  );
}

const HOUR_MS = 3_600_000;

/** Also the hours in which nothing came. */
function wholeDay(hours: readonly Hour[]): { hour: Date; events: number }[] {
  const found = new Map(hours.map((one) => [new Date(one.hour).getTime(), one.events]));
  const last = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
  return Array.from({ length: 24 }, (_, n) => {
    const hour = last - (23 - n) * HOUR_MS;
    return { hour: new Date(hour), events: found.get(hour) ?? 0 };
  });
}
