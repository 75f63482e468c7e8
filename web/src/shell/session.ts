/** Who is logged in. */
import { getJson, postJson, send } from "../lib/api";

export interface Principal {
  name: string;
  kind: string;
  roles: string[];
  scopes: string[];
  key_id: string | null;
}

export interface Session {
  version: string;
  asks_for_keys: boolean;
  principal: Principal | null;
}

export const whoAmI = () => getJson<Session>("/session");
export const enter = (by: { link: string } | { key: string }) => postJson<void>("/session", by);
export const leave = () => send("/session", { method: "DELETE" });
export const printLink = () => postJson<void>("/session/link", {});
