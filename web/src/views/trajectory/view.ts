import type { View } from "../registry";

const view: View = {
  id: "trajectory",
  title: "Trajectory",
  about: "Which files need a person, how they move, and why we say so",
  order: 63,
  load: () => import("./page"),
};
export default view;
