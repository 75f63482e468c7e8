/** What whoever is logged in may do, so that nobody is offered what the gateway would refuse. */
import { getJson } from "./api";
import { useAnswer } from "./use";

interface Known {
  principal: { scopes: string[] } | null;
}

/** Whether a scope such as `admin:sales_*` lets this be done; the gateway is who decides. */
export function allows(scopes: readonly string[], action: string, dataset: string): boolean {
  return scopes.some((scope) => {
    const colon = scope.indexOf(":");
    if (scope.slice(0, colon) !== action) return false;
    const glob = scope.slice(colon + 1).replace(/[.+^${}()|\\]/g, "\\$&");
    const pattern = glob.replaceAll("*", ".*").replaceAll("?", ".");
    try {
      return new RegExp(`^${pattern}$`, "s").test(dataset);
    } catch {
      return false;
    }
  });
}

export function useMay(): (action: string, dataset: string) => boolean {
  const known = useAnswer<Known>("GET /session", (signal) => getJson<Known>("/session", signal));
  const scopes = known.data?.principal?.scopes ?? [];
  return (action, dataset) => allows(scopes, action, dataset);
}
