import type { HeaderList } from "../../src/http/exchange.ts";

/** A response as it was read from the wire. */
export interface RawResponse {
  readonly status: number;
  /** Name, value, name, value, ... as received. */
  readonly headers: HeaderList;
  /** Without the chunked coding, still with its Content-Encoding. */
  readonly body: Buffer;
  readonly framing: Framing;
  /** Whether the end of the body was told, rather than cut off. A close-delimited body cannot tell. */
  readonly complete: boolean;
}

export type Framing = "none" | "length" | "chunked" | "close";

const END_OF_HEAD = "\r\n\r\n";

/** Reads one response out of what arrives, whatever the pieces. Throws at what is not HTTP/1.1. */
export class ResponseReader {
  status = 0;
  headers: HeaderList = [];
  framing: Framing = "none";
  /** The whole body and what ends it are in. */
  complete = false;
  bodyBytes = 0;
  private readonly isHead: boolean;
  private readonly onBody: (piece: Buffer) => void;
  private state: "head" | "body" | "size" | "chunk" | "chunk-end" | "trailer" = "head";
  private line = "";
  /** Bytes of the body or the present chunk that are still to come. */
  private missing = 0;

  /** `onBody` gets the pieces of the body as they come. */
  constructor(method: string, onBody: (piece: Buffer) => void) {
    this.isHead = method === "HEAD";
    this.onBody = onBody;
  }

  get hasHead(): boolean {
    return this.state !== "head";
  }

  /** Takes what arrived; gives what lies behind the end of the response. */
  feed(data: Buffer): Buffer {
    let at = 0;
    while (at < data.length && !this.complete) {
      if (this.state === "body" || this.state === "chunk") at = this.takeBody(data, at);
      else at = this.takeLine(data, at);
    }
    return data.subarray(at);
  }

  private takeBody(data: Buffer, at: number): number {
    const end = Math.min(data.length, at + this.missing);
    this.bodyBytes += end - at;
    this.missing -= end - at;
    this.onBody(data.subarray(at, end));
    if (this.missing === 0) {
      if (this.state === "body") this.complete = true;
      else this.state = "chunk-end";
    }
    return end;
  }

  private takeLine(data: Buffer, at: number): number {
    const mark = this.state === "head" ? END_OF_HEAD : "\r\n";
    while (at < data.length) {
      this.line += String.fromCharCode(data[at++]!);
      if (!this.line.endsWith(mark)) continue;
      const line = this.line.slice(0, -2);
      this.line = "";
      this.endLine(line);
      break;
    }
    return at;
  }

  private endLine(line: string): void {
    switch (this.state) {
      case "head":
        this.readHead(line);
        break;
      case "size":
        if (!/^[0-9a-f]+$/i.test(line)) throw new Error(`not a chunk size: ${JSON.stringify(line)}`);
        this.missing = Number.parseInt(line, 16);
        this.state = this.missing === 0 ? "trailer" : "chunk";
        break;
      case "chunk-end":
        if (line !== "") throw new Error(`a chunk does not end: ${JSON.stringify(line)}`);
        this.state = "size";
        break;
      case "trailer":
        if (line === "") this.complete = true;
        break;
    }
  }

  private readHead(text: string): void {
    const [statusLine, ...lines] = text.slice(0, -2).split("\r\n");
    const status = /^HTTP\/1\.1 (\d{3}) [^\r\n]*$/.exec(statusLine!)?.[1];
    if (status === undefined) throw new Error(`not a status line: ${JSON.stringify(statusLine)}`);
    this.status = Number(status);
    // An interim response; the real one follows.
    if (this.status < 200) return;
    for (const line of lines) {
      const colon = line.indexOf(": ");
      if (colon < 1) throw new Error(`not a header line: ${JSON.stringify(line)}`);
      this.headers.push(line.slice(0, colon), line.slice(colon + 2));
    }
    this.startBody();
  }

  private startBody(): void {
    const length = this.headers.findIndex(
      (text, i) => i % 2 === 0 && text.toLowerCase() === "content-length",
    );
    const coding = this.headers.findIndex(
      (text, i) => i % 2 === 0 && text.toLowerCase() === "transfer-encoding",
    );
    if (length >= 0 && coding >= 0) throw new Error("the response is framed twice");
    if (this.isHead || this.status === 204 || this.status === 304) {
      this.complete = true;
      this.state = "body";
    } else if (coding >= 0) {
      this.framing = "chunked";
      this.state = "size";
    } else {
      this.framing = length >= 0 ? "length" : "close";
      this.missing = length >= 0 ? Number(this.headers[length + 1]) : Number.POSITIVE_INFINITY;
      this.state = "body";
      this.complete = this.missing === 0;
    }
  }
}

/** All values of a field, in order. */
export function valuesOf(headers: HeaderList, name: string): string[] {
  const lower = name.toLowerCase();
  return headers.filter((_, i) => i % 2 === 1 && headers[i - 1]!.toLowerCase() === lower);
}

/** The only value of a field, or null; throws where it is repeated. */
export function valueOf(headers: HeaderList, name: string): string | null {
  const values = valuesOf(headers, name);
  if (values.length > 1) throw new Error(`${name} is repeated: ${values.join(" | ")}`);
  return values[0] ?? null;
}
