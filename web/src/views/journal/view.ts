import type { View } from "../registry";

const view: View = {
  id: "journal",
  title: "Journal",
  about: "Everything that happened: who, when, why; and its proof",
  order: 40,
  load: () => import("./page"),
  actions: [
    { title: "Watch the journal live", href: "/journal?live=1" },
    { title: "Refused changes", href: "/journal?entity_type=decision&action=refused" },
  ],
};
export default view;
