import type { View } from "../registry";

const view: View = {
  id: "agents",
  title: "Agents",
  about: "What agents did, step by step; what models were asked, and what it cost",
  order: 60,
  load: () => import("./page"),
  actions: [
    { title: "Usage", about: "tokens and cost by model, source, key, day", href: "/agents/usage" },
  ],
};
export default view;
