import type { Socket } from "bun";

/** A request as a strict server reads it. */
export interface Recorded {
  readonly line: string;
  /** The fields, each behind a CRLF, with names in lower case; one character per byte. */
  readonly fields: string;
  readonly body: string;
}

/** An upstream that reads strictly, notes everything, and answers each request with the same JSON. */
export interface Recorder {
  readonly url: string;
  readonly requests: Recorded[];
  /** Whatever a server may not be sent, and what came of a request without the rest. */
  readonly oddities: string[];
  stop(): void;
}

export const ANSWER = '{"ok":true}';
const ANSWER_BYTES = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${ANSWER.length}\r\n\r\n${ANSWER}`,
);

/** Listens on a free loopback port. */
export function startRecorder(): Recorder {
  const requests: Recorded[] = [];
  const oddities: string[] = [];
  const listener = Bun.listen<{ input: string }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket: Socket<{ input: string }>) {
        socket.data = { input: "" };
      },
      data(socket, chunk) {
        socket.data.input += chunk.toString("latin1");
        for (;;) {
          const read = readRequest(socket.data.input);
          if (read === "unfinished") return;
          if (typeof read === "string") {
            oddities.push(read);
            socket.end();
            return;
          }
          socket.data.input = socket.data.input.slice(read.used);
          requests.push(read.request);
          socket.write(ANSWER_BYTES);
        }
      },
      close(socket) {
        if (socket.data.input !== "") oddities.push(`unfinished: ${socket.data.input.slice(0, 200)}`);
      },
      error() {},
    },
  });
  return {
    url: `http://127.0.0.1:${listener.port}`,
    requests,
    oddities,
    stop: () => listener.stop(true),
  };
}

const REQUEST_LINE = /^([A-Z]+) (\/[\x21-\x7e]*) HTTP\/1\.1$/;
const FIELD_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ?([\t\x20-\x7e\x80-\xff]*)$/;

function readRequest(input: string): { request: Recorded; used: number } | string {
  const end = input.indexOf("\r\n\r\n");
  if (end < 0) return "unfinished";
  const [first, ...lines] = input.slice(0, end).split("\r\n");
  const start = REQUEST_LINE.exec(first!);
  if (start === null) return `the request line ${JSON.stringify(first)}`;
  const fields: string[] = [];
  let length: number | null = null;
  for (const line of lines) {
    const field = FIELD_LINE.exec(line);
    if (field === null) return `the field ${JSON.stringify(line)}`;
    const name = field[1]!.toLowerCase();
    // The proxy has the whole body before it asks an upstream, so it always knows the length.
    if (name === "transfer-encoding") return `the coding ${line}`;
    if (name === "content-length") {
      if (length !== null || !/^(?:0|[1-9]\d*)$/.test(field[2]!)) return `the length ${line}`;
      length = Number(field[2]);
    }
    fields.push(`\r\n${name}: ${field[2]}`);
  }
  const used = end + 4 + (length ?? 0);
  if (input.length < used) return "unfinished";
  const body = input.slice(end + 4, used);
  return { request: { line: `${start[1]} ${start[2]}`, fields: fields.join(""), body }, used };
}
