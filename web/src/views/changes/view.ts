import type { View } from "../registry";

const view: View = {
  id: "changes",
  title: "Changes",
  about: "What waits for a decision, exactly what it would change, and why it waits",
  order: 50,
  load: () => import("./page"),
};
export default view;
