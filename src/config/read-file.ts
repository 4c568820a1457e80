import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

/** The text of a file, or why it cannot be had, in words that follow the file's name and a colon. */
export type FileText =
  { readonly ok: true; readonly text: string } | { readonly ok: false; readonly reason: string };

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  ENOTDIR: "no such file (a part of the path is not a directory)",
  EACCES: "permission denied",
  EPERM: "permission denied",
  ELOOP: "too many symbolic links",
  ENAMETOOLONG: "the name is too long",
  EISDIR: "it is a directory",
  EMFILE: "too many open files",
  ENFILE: "too many open files",
  ENXIO: "it is not a regular file",
  ERR_INVALID_ARG_VALUE: "not a valid file name",
};

/**
 * Reads a regular file of UTF-8 text, at most `bytesMax` bytes. Never throws and never waits: the file is
 * opened without blocking and judged by its descriptor, so that a pipe, a device or a file that is swapped
 * in between cannot hold it up. A byte order mark is dropped.
 */
export function readTextFile(path: string, bytesMax: number): FileText {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    return { ok: false, reason: reasonOf(error) };
  }
  try {
    const stat = fstatSync(descriptor);
    if (stat.isDirectory()) return { ok: false, reason: "it is a directory" };
    if (!stat.isFile()) return { ok: false, reason: "it is not a regular file" };
    if (stat.size > bytesMax) return { ok: false, reason: tooLarge(bytesMax) };
    return decode(readUpTo(descriptor, bytesMax + 1), bytesMax);
  } catch (error) {
    return { ok: false, reason: reasonOf(error) };
  } finally {
    closeSync(descriptor);
  }
}

/** Reads to the end of the file or to `bytesMax`; the size in the stat may lie (it is 0 under /proc). */
function readUpTo(descriptor: number, bytesMax: number): Buffer {
  const pieces: Buffer[] = [];
  let bytes = 0;
  while (bytes < bytesMax) {
    const piece = Buffer.alloc(Math.min(64 * 1024, bytesMax - bytes));
    const count = readSync(descriptor, piece);
    if (count === 0) break;
    pieces.push(piece.subarray(0, count));
    bytes += count;
  }
  return Buffer.concat(pieces);
}

function decode(bytes: Buffer, bytesMax: number): FileText {
  if (bytes.length > bytesMax) return { ok: false, reason: tooLarge(bytesMax) };
  if (bytes.includes(0)) return { ok: false, reason: "it is a binary file (it holds a NUL byte)" };
  try {
    return { ok: true, text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch {
    return { ok: false, reason: "it is a binary file (it is not valid UTF-8)" };
  }
}

function tooLarge(bytesMax: number): string {
  const limit = bytesMax >= 1024 * 1024 ? `${bytesMax / 1024 / 1024} MB` : `${bytesMax / 1024} KB`;
  return `it is larger than the limit of ${limit}`;
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return reasons[code] ?? `it cannot be read (${code === "" ? "unknown error" : code})`;
}
