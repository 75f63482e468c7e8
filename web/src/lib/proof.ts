/**
 * A proof, checked here: nothing that the server says about it is believed.
 *
 * leaf = SHA-256(0x00 ‖ the event's text); node = SHA-256(0x01 ‖ left ‖ right): RFC 9162, 2.1.3.2.
 * The checkpoint is a C2SP signed note, its signature Ed25519. See docs/proofs.md.
 */

export interface GivenProof {
  seq: number;
  entry: string;
  path: string[];
  origin: string;
  size: number;
  root: string;
  /** A c2sp.org/tlog-proof, with the checkpoint that is checked. */
  proof: string;
}

export interface Fold {
  /** On which side the sibling stands. */
  side: "left" | "right";
  sibling: string;
  hash: string;
}

export interface Checked {
  leaf: string;
  folds: Fold[];
  root: string;
  checkpoint: { origin: string; size: number; root: string; signer: string };
  isRoot: boolean;
  /** Null: this browser cannot tell. */
  isSigned: boolean | null;
  why: string;
}

const MOST_STEPS = 64;
const KEY_ED25519 = 1;

export async function check(given: GivenProof, vkey: string): Promise<Checked> {
  const note = noteOf(given.proof);
  const leaf = await sha256(bytesOf([0], new TextEncoder().encode(given.entry)));
  const folds: Fold[] = [];
  let hash = leaf;
  let index = note.index;
  let last = note.size - 1;
  let isPath = index <= last && index >= 0 && note.path.length <= MOST_STEPS;
  for (const sibling of note.path) {
    if (last === 0) isPath = false;
    if (!isPath) break;
    if (index % 2 === 1 || index === last) {
      hash = await sha256(bytesOf([1], sibling, hash));
      folds.push({ side: "left", sibling: hex(sibling), hash: hex(hash) });
      while (index % 2 === 0 && index !== 0) {
        index = Math.floor(index / 2);
        last = Math.floor(last / 2);
      }
    } else {
      hash = await sha256(bytesOf([1], hash, sibling));
      folds.push({ side: "right", sibling: hex(sibling), hash: hex(hash) });
    }
    index = Math.floor(index / 2);
    last = Math.floor(last / 2);
  }
  const isRoot = isPath && last === 0 && hex(hash) === hex(note.root);
  const [isSigned, why] = await signed(note, vkey);
  return {
    leaf: hex(leaf),
    folds,
    root: hex(hash),
    checkpoint: {
      origin: note.origin,
      size: note.size,
      root: hex(note.root),
      signer: vkey.split("+")[0] ?? "",
    },
    isRoot,
    isSigned,
    why,
  };
}

interface Note {
  index: number;
  path: Uint8Array[];
  text: string;
  origin: string;
  size: number;
  root: Uint8Array;
  signatures: { name: string; raw: Uint8Array }[];
}

/** A tlog-proof: a line of its kind, the index, the path; an empty line; the signed note. */
function noteOf(proof: string): Note {
  const cut = proof.indexOf("\n\n");
  const [kind, indexLine, ...path] = proof.slice(0, cut).split("\n");
  const note = proof.slice(cut + 2);
  const end = note.indexOf("\n\n");
  const text = note.slice(0, end + 1);
  const [origin, size, root] = text.split("\n");
  if (kind !== "c2sp.org/tlog-proof@v1" || !indexLine?.startsWith("index ") || cut < 0 || end < 0) {
    throw new Error("this is no c2sp.org/tlog-proof@v1");
  }
  const index = Number(indexLine.slice("index ".length));
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(Number(size))) {
    throw new Error("the proof's numbers are none");
  }
  return {
    index,
    path: path.map(base64),
    text,
    origin: origin ?? "",
    size: Number(size),
    root: base64(root ?? ""),
    signatures: note
      .slice(end + 2)
      .split("\n")
      .filter((line) => line.startsWith("— "))
      .map((line) => {
        const [, name, encoded] = line.split(" ");
        return { name: name ?? "", raw: base64(encoded ?? "") };
      }),
  };
}

/** Whether the verifier key's owner signed the note; why not, or why that cannot be told. */
async function signed(note: Note, vkey: string): Promise<[boolean | null, string]> {
  const first = vkey.indexOf("+");
  const second = vkey.indexOf("+", first + 1);
  if (first < 0 || second < 0) return [null, "there is no verifier key to check it by"];
  const name = vkey.slice(0, first);
  const key = base64(vkey.slice(second + 1));
  if (key[0] !== KEY_ED25519 || key.length !== 33) {
    return [null, "the verifier key is of a kind that this page does not know"];
  }
  if (name !== note.origin) return [false, "the checkpoint is of another log"];
  // The first four bytes of a signature name the key: SHA-256(name ‖ newline ‖ key).
  const id = (await sha256(bytesOf(new TextEncoder().encode(`${name}\n`), key))).subarray(0, 4);
  const found = note.signatures.filter(
    (one) => one.name === name && hex(one.raw.subarray(0, 4)) === hex(id),
  );
  if (!found.length) return [false, "the checkpoint has no signature by this key"];
  let imported: CryptoKey;
  try {
    imported = await crypto.subtle.importKey("raw", whole(key.subarray(1)), "Ed25519", false, [
      "verify",
    ]);
  } catch {
    return [null, "this browser does not know Ed25519: examples/check_proof.py does"];
  }
  for (const one of found) {
    const data = new TextEncoder().encode(note.text);
    if (await crypto.subtle.verify("Ed25519", imported, whole(one.raw.subarray(4)), data)) {
      return [true, ""];
    }
  }
  return [false, "the signature is not this key's over this checkpoint"];
}

/** Whether this page may hash at all: browsers allow it over https and on this machine alone. */
export function canCheck(): boolean {
  return typeof crypto !== "undefined" && crypto.subtle !== undefined;
}

async function sha256(data: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
}

function bytesOf(...parts: (Uint8Array | number[])[]): Uint8Array<ArrayBuffer> {
  const found = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    found.set(part, at);
    at += part.length;
  }
  return found;
}

function whole(part: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(part);
}

function base64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

export function hex(data: Uint8Array): string {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
