import type { Socket } from "bun";

const END_OF_HEAD = Buffer.from("\r\n\r\n", "latin1");
const LAST_CHUNK = Buffer.from("\r\n0\r\n\r\n", "latin1");
const NOTHING = Buffer.alloc(0);

interface State {
  /** Bytes of an answer that are still to come; -1 = its head is not there yet, -2 = it is chunked. */
  missing: number;
  /** The part of a head, or the end of a chunked body, that is there. */
  kept: Buffer;
}

/**
 * Sends requests on so many kept connections, each as soon as the one before is answered, until `total` are answered.
 * `requestOf` gives the bytes of each. Gives how many answers there were of each status. Answers must have
 * a Content-Length or be chunked.
 */
export async function load(
  port: number,
  connections: number,
  total: number,
  requestOf: (number: number) => Uint8Array,
): Promise<ReadonlyMap<number, number>> {
  const statuses = new Map<number, number>();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let begun = 0;
  let done = 0;
  const next = (socket: Socket<State>) => {
    if (begun >= total) return;
    socket.data = { missing: -1, kept: NOTHING };
    socket.write(requestOf(begun++));
  };
  const sockets = await Promise.all(
    Array.from({ length: Math.min(connections, total) }, () =>
      Bun.connect<State>({
        hostname: "127.0.0.1",
        port,
        socket: {
          open: next,
          data(socket, chunk) {
            if (!take(socket.data, chunk, statuses)) return;
            if (++done === total) resolve();
            else next(socket);
          },
          close: () => {
            if (done < total) reject(new Error("a connection was closed"));
          },
        },
      }),
    ),
  );
  await promise;
  for (const socket of sockets) socket.end();
  return statuses;
}

/** True at the end of an answer. */
function take(state: State, chunk: Buffer, statuses: Map<number, number>): boolean {
  let body = chunk;
  if (state.missing === -1) {
    state.kept = state.kept.length === 0 ? chunk : Buffer.concat([state.kept, chunk]);
    const end = state.kept.indexOf(END_OF_HEAD);
    if (end < 0) return false;
    const head = state.kept.toString("latin1", 0, end);
    const status = Number(head.slice(9, 12));
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
    state.missing = length === undefined ? -2 : Number(length);
    body = state.kept.subarray(end + 4);
    state.kept = NOTHING;
  }
  if (state.missing >= 0) {
    state.missing -= body.length;
    return state.missing <= 0;
  }
  // The last chunk may come in two pieces.
  const tail = Buffer.concat([state.kept, body]);
  state.kept = tail.subarray(Math.max(0, tail.length - LAST_CHUNK.length));
  return state.kept.equals(LAST_CHUNK);
}

/** The bytes of a request. `fields`: further lines of the head, without line ends. */
export function rawRequest(method: string, path: string, fields: readonly string[], body: string): Buffer {
  const lines = [`${method} ${path} HTTP/1.1`, "Host: test", ...fields];
  if (body !== "") lines.push("Content-Type: application/json", `Content-Length: ${Buffer.byteLength(body)}`);
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${body}`);
}
