import type { View } from "../registry";

const view: View = {
  id: "",
  title: "Home",
  about: "Is the lake sound, and what needs a person now?",
  order: 10,
  load: () => import("./page"),
};
export default view;
