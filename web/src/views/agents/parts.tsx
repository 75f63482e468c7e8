/** The two halves of the view. */
export function Halves({ at }: { at: "runs" | "usage" }) {
  return (
    <nav class="halves" aria-label="Agents and usage">
      <a href="/agents" aria-current={at === "runs" ? "page" : undefined}>
        Runs
      </a>
      <a href="/agents/usage" aria-current={at === "usage" ? "page" : undefined}>
        Usage
      </a>
    </nav>
  );
}
