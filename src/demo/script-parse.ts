import { NOT_FIELD_TEXT, TOKEN } from "../http/syntax.ts";
import { trimOws } from "../shared/trim.ts";
import type { Break, Point, Script } from "./script.ts";

export type ParsedScript =
  { readonly ok: true; readonly script: Script } | { readonly ok: false; readonly problem: string };

type Draft = { -readonly [Key in keyof Script]: Script[Key] };

/** Takes the value of an item, null where there is no `=`. Gives what is wrong with it, or null. */
type Reader = (draft: Draft, value: string | null) => string | null;

const HOUR_MS = 3_600_000;
const TEXT_BYTES_MAX = 64 * 1024 * 1024;
const POINTS = ["accept", "before-head", "in-head", "after-head", "mid-stream", "end", "idle"] as const;

const READERS = new Map<string, Reader>([
  ["upstream", text((draft, value) => (draft.upstream = value))],
  ["chance", readChance],
  ["status", whole(200, 599, (draft, value) => (draft.status = value))],
  ["error", text((draft, value) => (draft.error = value))],
  ["retry-after", text((draft, value) => (draft.retryAfter = value))],
  ["header", readHeader],
  ["interim", whole(100, 199, (draft, value) => (draft.interim = value))],
  ["delay", whole(0, HOUR_MS, (draft, value) => (draft.delayMs = value))],
  ["ttft", whole(0, HOUR_MS, (draft, value) => (draft.firstTokenMs = value))],
  ["interval", whole(0, HOUR_MS, (draft, value) => (draft.tokenIntervalMs = value))],
  ["ping-interval", whole(1, HOUR_MS, (draft, value) => (draft.pingIntervalMs = value))],
  ["drip", whole(1, 1_000_000, (draft, value) => (draft.dripBytes = value))],
  ["drip-interval", whole(0, HOUR_MS, (draft, value) => (draft.dripIntervalMs = value))],
  ["tokens", whole(0, 100_000, (draft, value) => (draft.tokens = value))],
  ["token-bytes", whole(1, 1_048_576, (draft, value) => (draft.tokenBytes = value))],
  ["tool", flag((draft) => (draft.tool = true))],
  ["body-bytes", whole(0, 1e12, (draft, value) => (draft.bodyBytes = value))],
  ["encoding", oneOf(["gzip", "br", "zstd"] as const, (draft, value) => (draft.encoding = value))],
  ["chunked", flag((draft) => (draft.framing = "chunked"))],
  ["length", flag((draft) => (draft.framing = "length"))],
  ["close", flag((draft) => (draft.framing = "close"))],
  ["no-done", flag((draft) => (draft.noDone = true))],
  ["error-in-stream", readErrorInStream],
  ["done", flag((draft) => (draft.done = true))],
  ["reset", breakAt("reset")],
  ["fin", breakAt("fin")],
  ["hang", breakAt("hang")],
  ["garbage", readGarbage],
  ["early", flag((draft) => (draft.early = true))],
  ["raw", readRaw],
]);

/**
 * One item and what ends it; a quoted value may hold anything but a lone quote. No two parts of it may take the same
 * blanks: a request with many of them would be read for hours.
 */
const ITEM = /[\s;]*([a-z][a-z-]*)\s*(?:=\s*(?:("(?:[^"\\]|\\.)*")\s*|((?:[^;"\s][^;"]*)?)))?(?:;|$)/y;

/** Reads a script in the grammar given at `Script`. An empty text is the empty script. */
export function parseScript(source: string): ParsedScript {
  const draft: Draft = {};
  ITEM.lastIndex = 0;
  while (ITEM.lastIndex < source.length) {
    const from = ITEM.lastIndex;
    const rest = source.slice(from);
    if (/^[\s;]*$/.test(rest)) break;
    const match = ITEM.exec(source);
    if (match === null) return failure(`cannot read "${excerpt(rest)}": items look like name=value; name`);
    const name = match[1] as string;
    const reader = READERS.get(name);
    if (reader === undefined) {
      return failure(`unknown item "${excerpt(name)}"; known: ${[...READERS.keys()].join(", ")}`);
    }
    const problem = reader(draft, unquote(match[2] ?? match[3]));
    if (problem !== null) return failure(`${name}: ${problem}`);
  }
  const problem = contradiction(draft);
  return problem === null ? { ok: true, script: draft } : failure(problem);
}

/** What items, each right by itself, say against each other. */
function contradiction(draft: Draft): string | null {
  if ((draft.tokens ?? 0) * (draft.tokenBytes ?? 8) > TEXT_BYTES_MAX) {
    return `tokens x token-bytes is over ${TEXT_BYTES_MAX} bytes; body-bytes makes large bodies`;
  }
  if (draft.bodyBytes !== undefined && draft.encoding !== undefined && draft.framing === "length") {
    return "length: the compressed length of body-bytes is not known beforehand";
  }
  if (draft.break?.action === "garbage" && draft.break.at === "mid-stream" && draft.framing !== undefined) {
    return "garbage=body: the framing is always chunked";
  }
  if (draft.interim === 101) return "interim: 101 is not an interim response";
  return null;
}

function failure(problem: string): ParsedScript {
  return { ok: false, problem };
}

function excerpt(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}...` : text;
}

function unquote(value: string | undefined): string | null {
  if (value === undefined) return null;
  if (!value.startsWith('"')) return value.trimEnd();
  return value.slice(1, -1).replace(/\\(.)/g, "$1");
}

function text(set: (draft: Draft, value: string) => void): Reader {
  return (draft, value) => {
    if (value === null || value === "") return "a value is missing";
    if (NOT_FIELD_TEXT.test(value)) return "the value holds a character that no header field may hold";
    set(draft, value);
    return null;
  };
}

function flag(set: (draft: Draft) => void): Reader {
  return (draft, value) => {
    if (value !== null) return "takes no value";
    set(draft);
    return null;
  };
}

function whole(min: number, max: number, set: (draft: Draft, value: number) => void): Reader {
  return (draft, value) => {
    const number = wholeNumber(value);
    if (number === null || number < min || number > max) {
      return `found "${excerpt(value ?? "")}", allowed is a whole number from ${min} to ${max}`;
    }
    set(draft, number);
    return null;
  };
}

function oneOf<Name extends string>(
  names: readonly Name[],
  set: (draft: Draft, value: Name) => void,
): Reader {
  return (draft, value) => {
    const found = names.find((name) => name === value);
    if (found === undefined) return `found "${excerpt(value ?? "")}", allowed: ${names.join(", ")}`;
    set(draft, found);
    return null;
  };
}

function wholeNumber(value: string | null): number | null {
  return value !== null && /^\d{1,15}$/.test(value) ? Number(value) : null;
}

function readChance(draft: Draft, value: string | null): string | null {
  const number = value !== null && /^(0|1|[01]?\.\d+)$/.test(value) ? Number(value) : NaN;
  if (!(number >= 0 && number <= 1)) {
    return `found "${excerpt(value ?? "")}", allowed is a number from 0 to 1`;
  }
  draft.chance = number;
  return null;
}

function readHeader(draft: Draft, value: string | null): string | null {
  const colon = value === null ? -1 : value.indexOf(":");
  if (value === null || colon < 1) return "allowed is Name:Value";
  const name = value.slice(0, colon);
  const content = trimOws(value.slice(colon + 1));
  if (!TOKEN.test(name)) return `"${excerpt(name)}" is not a field name`;
  if (NOT_FIELD_TEXT.test(content)) return "the value holds a character that no header field may hold";
  draft.headers = [...(draft.headers ?? []), name, content];
  return null;
}

function readErrorInStream(draft: Draft, value: string | null): string | null {
  if (value === null) {
    draft.errorInStream = "half";
    return null;
  }
  return whole(0, 100_000, (target, number) => (target.errorInStream = number))(draft, value);
}

function breakAt(action: "reset" | "fin" | "hang"): Reader {
  return (draft, value) => {
    const at: Point | null = POINTS.find((point) => point === value) ?? wholeNumber(value);
    if (at === null) {
      return `found "${excerpt(value ?? "")}", allowed: ${POINTS.join(", ")}, or a number of body bytes`;
    }
    return setBreak(draft, { action, at });
  };
}

function readGarbage(draft: Draft, value: string | null): string | null {
  if (value === "head") return setBreak(draft, { action: "garbage", at: "in-head" });
  if (value === "body") return setBreak(draft, { action: "garbage", at: "mid-stream" });
  if (value !== "json") return `found "${excerpt(value ?? "")}", allowed: head, body, json`;
  draft.garbageJson = true;
  return null;
}

function setBreak(draft: Draft, found: Break): string | null {
  if (draft.break !== undefined) return "a script may have one break only";
  draft.break = found;
  return null;
}

function readRaw(draft: Draft, value: string | null): string | null {
  if (value === null || !/^[A-Za-z0-9+/]*={0,2}$/.test(value) || value === "") return "allowed is base64";
  draft.raw = Buffer.from(value, "base64");
  return null;
}
