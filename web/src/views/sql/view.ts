import type { View } from "../registry";

const view: View = {
  id: "sql",
  title: "SQL",
  about: "Ask the lake: datasets, their past, the journal",
  order: 30,
  load: () => import("./page"),
  actions: [
    { title: "New query", href: "/sql?q=" },
    {
      title: "Ask the journal",
      about: "system.journal in SQL",
      href: `/sql?q=${encodeURIComponent("select * from system.journal order by seq desc limit 100")}`,
    },
  ],
};
export default view;
