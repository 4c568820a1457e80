import { crc32, deflateRawSync } from "node:zlib";

/** One file of an archive. */
export interface ZipEntry {
  /** Path in the archive, with slashes; ASCII. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly executable: boolean;
}

/** Sizes and offsets are 32 bits wide; the format's extension for more is not needed here. */
const BYTES_MAX = 0xffff_ffff;
const ENTRIES_MAX = 0xffff;

const LOCAL_HEADER_BYTES = 30;
const CENTRAL_HEADER_BYTES = 46;
const END_BYTES = 22;
/** 2.0: deflate. */
const VERSION_NEEDED = 20;
/** In the upper byte the system whose file attributes these are: 3 = Unix. */
const VERSION_MADE_BY = (3 << 8) | VERSION_NEEDED;
const LEVEL_BEST = 9;
const METHOD_DEFLATE = 8;
const REGULAR_FILE = 0o100000;

/**
 * Writes a ZIP archive. Entries are sorted by path, all bear the same time (UTC, in steps of two seconds as the
 * format has it), and files keep whether they are executable. The same entries and time give the same bytes.
 * `level`: of the compression, 0 (none) to 9 (small). Throws for paths that are not plain ASCII and for more than 4 GB.
 * https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 */
export function zip(entries: readonly ZipEntry[], time: Date, level = LEVEL_BEST): Uint8Array {
  const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : 1));
  if (sorted.length > ENTRIES_MAX) throw new Error("too many files for a ZIP archive");
  const stamp = dosTime(time);
  const files: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const entry of sorted) {
    if (!/^[\x21-\x7e]+$/.test(entry.path)) throw new Error(`not a plain name: ${entry.path}`);
    const packed = deflateRawSync(entry.bytes, { level });
    const file: PackedFile = { ...entry, packed, crc: crc32(entry.bytes), stamp, offset };
    files.push(localHeader(file), packed);
    directory.push(centralHeader(file));
    offset += LOCAL_HEADER_BYTES + entry.path.length + packed.length;
    if (Math.max(offset, entry.bytes.length) > BYTES_MAX) throw new Error("too large for a ZIP archive");
  }
  return Buffer.concat([
    ...files,
    ...directory,
    endRecord(sorted.length, Buffer.concat(directory).length, offset),
  ]);
}

interface PackedFile extends ZipEntry {
  readonly packed: Uint8Array;
  readonly crc: number;
  readonly stamp: number;
  /** Where its local header begins. */
  readonly offset: number;
}

/** Section 4.3.7. */
function localHeader(file: PackedFile): Uint8Array {
  const header = Buffer.alloc(LOCAL_HEADER_BYTES);
  header.writeUInt32LE(0x04034b50, 0);
  writeCommon(header, 4, file);
  return Buffer.concat([header, Buffer.from(file.path, "ascii")]);
}

/** Section 4.3.12. */
function centralHeader(file: PackedFile): Uint8Array {
  const header = Buffer.alloc(CENTRAL_HEADER_BYTES);
  header.writeUInt32LE(0x02014b50, 0);
  header.writeUInt16LE(VERSION_MADE_BY, 4);
  writeCommon(header, 6, file);
  // The mode stands in the upper half, as Info-ZIP began it.
  header.writeUInt32LE(((REGULAR_FILE | (file.executable ? 0o755 : 0o644)) << 16) >>> 0, 38);
  header.writeUInt32LE(file.offset, 42);
  return Buffer.concat([header, Buffer.from(file.path, "ascii")]);
}

/** The fields that both headers have in the same order, from the version that is needed to the name's length. */
function writeCommon(header: Buffer, at: number, { path, bytes, packed, crc, stamp }: PackedFile): void {
  header.writeUInt16LE(VERSION_NEEDED, at);
  header.writeUInt16LE(METHOD_DEFLATE, at + 4);
  header.writeUInt32LE(stamp, at + 6);
  header.writeUInt32LE(crc, at + 10);
  header.writeUInt32LE(packed.length, at + 14);
  header.writeUInt32LE(bytes.length, at + 18);
  header.writeUInt16LE(path.length, at + 22);
}

/** Section 4.3.16. */
function endRecord(entries: number, directoryBytes: number, directoryOffset: number): Uint8Array {
  const end = Buffer.alloc(END_BYTES);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries, 8);
  end.writeUInt16LE(entries, 10);
  end.writeUInt32LE(directoryBytes, 12);
  end.writeUInt32LE(directoryOffset, 16);
  return end;
}

/** Date in the upper 16 bits, time in the lower; years from 1980 to 2107. */
function dosTime(time: Date): number {
  const year = Math.min(127, Math.max(0, time.getUTCFullYear() - 1980));
  const date = (year << 9) | ((time.getUTCMonth() + 1) << 5) | time.getUTCDate();
  const clock = (time.getUTCHours() << 11) | (time.getUTCMinutes() << 5) | (time.getUTCSeconds() >> 1);
  return ((date << 16) | clock) >>> 0;
}
