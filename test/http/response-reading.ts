import { ResponseBodyReader } from "../../src/http/response-body-reader.ts";
import { type ResponseHead, ResponseHeadReader } from "../../src/http/response-head-reader.ts";

/** What a reader makes of the bytes of a connection, up to the end of one response. */
export interface ReadResponse {
  /** Null = there is none. */
  readonly head: ResponseHead | null;
  /** One character per byte. */
  readonly body: string;
  readonly end: "complete" | "malformed" | "cut";
  /** Bytes came behind the end. */
  readonly overrun: boolean;
}

/** How the bytes end. `open`: the connection is still there. */
export type InputEnd = "open" | "fin" | "reset";

/** Reads a response in the pieces that the cuts make, each in memory of its own, as a socket gives them. */
export function readInPieces(
  text: string,
  cuts: readonly number[],
  end: InputEnd,
  isHead = false,
): ReadResponse {
  const heads = new ResponseHeadReader();
  let head: ResponseHead | null = null;
  let reader: ResponseBodyReader | null = null;
  let body = "";
  let from = 0;
  for (const to of [...cuts, text.length]) {
    let piece: Buffer | null = Buffer.from(text.slice(from, to), "latin1");
    from = to;
    if (reader === null) {
      const read = heads.read(piece, isHead);
      if (read === "malformed") return { head: null, body, end: "malformed", overrun: false };
      if (read === "more") continue;
      head = read;
      reader = new ResponseBodyReader(read.framing);
      piece = heads.rest;
    }
    if (piece !== null) body += payloadOf(reader, piece);
    if (reader.state === "malformed") return { head, body, end: "malformed", overrun: false };
  }
  if (reader === null) return { head: null, body, end: "cut", overrun: false };
  if (end === "fin") reader.endInput();
  return { head, body, end: reader.state === "complete" ? "complete" : "cut", overrun: reader.overrun };
}

/** The payload of a read, one character per byte. Throws where a read is said to be one chunk and is not. */
export function payloadOf(reader: ResponseBodyReader, bytes: Buffer): string {
  const before = bytes.toString("latin1");
  reader.read(bytes);
  const payload = bytes.toString("latin1", reader.from, reader.to);
  if (reader.isOneChunk && before.toLowerCase() !== chunkOf(payload).toLowerCase())
    throw new Error(`said to be one chunk: ${JSON.stringify(before)}`);
  return payload;
}

function chunkOf(payload: string): string {
  return `${payload.length.toString(16)}\r\n${payload}\r\n`;
}

export function everyByte(text: string): number[] {
  return Array.from({ length: Math.max(0, text.length - 1) }, (_, at) => at + 1);
}
