import { fieldText } from "./text.ts";

/**
 * The program's log: one line per event, on standard error. Workers send theirs to the supervisor, so that
 * lines never mix. Fields hold names from the configuration and ids, never a header, body or query.
 */
export type Level = "debug" | "info" | "warn" | "error";

export type Fields = Readonly<Record<string, string | number | boolean | null>>;

const LEVELS: readonly Level[] = ["debug", "info", "warn", "error"];

let write: (line: string) => void = (line) => process.stderr.write(line);
let threshold = LEVELS.indexOf("info");

/** Sets where lines go and from which level on. Each thread has its own setting. */
export function setLog(level: Level, writeLine: (line: string) => void): void {
  threshold = LEVELS.indexOf(level);
  write = writeLine;
}

/** Whether details are wanted: asked before they are put together where requests pass. */
export function isDebugLogged(): boolean {
  return threshold === 0;
}

/** Writes one line: time, level, message, and fields as `name=value`. */
export function log(level: Level, message: string, fields: Fields = {}): void {
  if (LEVELS.indexOf(level) < threshold) return;
  let line = `${new Date().toISOString()} ${level.toUpperCase()} ${message}`;
  for (const [name, value] of Object.entries(fields)) line += ` ${name}=${fieldText(String(value))}`;
  write(`${line}\n`);
}

/** An error of ours, with its stack. */
export function logError(message: string, fields: Fields, error: unknown): void {
  log("error", message, { ...fields, error: errorText(error) });
}

/** Kind, message and stack of an error; of anything else that was thrown only the type, as it may be data. */
function errorText(error: unknown): string {
  if (!(error instanceof Error)) return `a thrown ${typeof error}`;
  const frames = (error.stack ?? "").replace(error.message, "").split("\n");
  return [
    `${error.name}: ${withoutData(error.message)}`,
    ...frames.filter((line) => /^ +at /.test(line)),
  ].join("\n");
}

/**
 * The engine's messages repeat between quotes what they are about: a header's value, the text that is no JSON. That
 * may be a secret. Only the code behind "evaluating" is ours.
 */
function withoutData(message: string): string {
  return message.replace(/"[^]*"/, '"..."').replace(/(?<!evaluating )'[^]*'/, "'...'");
}
