/**
 * Where a program for macOS keeps its signature. Only what is needed of the format: 64 bits, little-endian, not "fat".
 * https://github.com/apple-oss-distributions/xnu/blob/main/EXTERNAL_HEADERS/mach-o/loader.h
 */
export interface MachO {
  /** Where the load command of the signature begins. */
  readonly signatureCommand: number;
  readonly signatureOffset: number;
  readonly signatureBytes: number;
  readonly text: Segment;
  readonly linkEdit: Segment;
  readonly segments: readonly Segment[];
}

export interface Segment {
  readonly name: string;
  /** Where its load command begins. */
  readonly command: number;
  readonly memory: number;
  readonly memoryBytes: number;
  readonly file: number;
  readonly fileBytes: number;
}

const MAGIC_64 = 0xfeedfacf;
const HEADER_BYTES = 32;
const LC_SEGMENT_64 = 0x19;
const LC_CODE_SIGNATURE = 0x1d;
/** Pages of the larger of the two kinds of machines. */
const SEGMENT_ALIGNMENT = 16_384;

/** Reads the load commands. Throws for a file that is no such program, or that has no place for a signature. */
export function readMachO(file: Buffer): MachO {
  if (file.length < HEADER_BYTES || file.readUInt32LE(0) !== MAGIC_64)
    throw new Error("not a program for macOS with 64 bits");
  const segments: Segment[] = [];
  let signatureCommand: number | null = null;
  let at = HEADER_BYTES;
  for (let left = file.readUInt32LE(16); left > 0; left--) {
    const kind = file.readUInt32LE(at);
    if (kind === LC_SEGMENT_64) segments.push(segmentAt(file, at));
    if (kind === LC_CODE_SIGNATURE) signatureCommand = at;
    at += file.readUInt32LE(at + 4);
  }
  const text = segments.find(({ name }) => name === "__TEXT");
  const linkEdit = segments.find(({ name }) => name === "__LINKEDIT");
  if (signatureCommand === null || text === undefined || linkEdit === undefined)
    throw new Error("a program without a place for its signature");
  return {
    signatureCommand,
    signatureOffset: file.readUInt32LE(signatureCommand + 8),
    signatureBytes: file.readUInt32LE(signatureCommand + 12),
    text,
    linkEdit,
    segments,
  };
}

function segmentAt(file: Buffer, command: number): Segment {
  return {
    name: file.toString("latin1", command + 8, command + 24).replace(/\0.*$/s, ""),
    command,
    memory: Number(file.readBigUInt64LE(command + 24)),
    memoryBytes: Number(file.readBigUInt64LE(command + 32)),
    file: Number(file.readBigUInt64LE(command + 40)),
    fileBytes: Number(file.readBigUInt64LE(command + 48)),
  };
}

/** Gives the file with room for a signature of so many bytes at its end, in place of the one that it had. */
export function withSignatureRoom(file: Buffer, bytes: number): Buffer {
  const { signatureCommand, signatureOffset, signatureBytes, linkEdit, segments } = readMachO(file);
  if (signatureOffset + signatureBytes !== file.length)
    throw new Error("the signature is not the end of the file");
  const roomy = Buffer.alloc(signatureOffset + bytes);
  file.copy(roomy, 0, 0, signatureOffset);
  const fileBytes = roomy.length - linkEdit.file;
  const memoryBytes = Math.max(
    linkEdit.memoryBytes,
    Math.ceil(fileBytes / SEGMENT_ALIGNMENT) * SEGMENT_ALIGNMENT,
  );
  const inTheWay = segments.find(
    ({ memory }) => memory > linkEdit.memory && memory < linkEdit.memory + memoryBytes,
  );
  if (inTheWay !== undefined) throw new Error(`${inTheWay.name} leaves no room for the signature`);
  roomy.writeUInt32LE(bytes, signatureCommand + 12);
  roomy.writeBigUInt64LE(BigInt(memoryBytes), linkEdit.command + 32);
  roomy.writeBigUInt64LE(BigInt(fileBytes), linkEdit.command + 48);
  return roomy;
}
