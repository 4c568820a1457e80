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
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  log("error", message, { ...fields, error: stack });
}
