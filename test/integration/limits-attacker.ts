// A thread that attacks a port, so that the sockets of the attack do not slow down those who measure.
import type { Socket } from "bun";

declare const self: Worker;

/**
 * `heads`, `bodies`: so many connections send a request byte by byte, and come again when they are closed. `readers`:
 * they ask for a large answer and take nothing of it. `idle`: they say nothing. `garbage`: so many one
 * after the other say something wrong, or half of something right, and vanish. `stop`: all connections vanish.
 */
export interface Attack {
  readonly kind: "heads" | "bodies" | "readers" | "idle" | "garbage" | "stop";
  readonly port: number;
  readonly count: number;
}

/** Connections that are open, and those that the other side has closed so far. */
export interface Progress {
  readonly open: number;
  readonly closed: number;
  /** All of the attack are under way, or over if they end by themselves. */
  readonly ready: boolean;
}

const TICK_MS = 50;
const AT_ONCE = 100;
const HEAD = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n";
const GARBAGE = [
  "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
  "GET /v1/models HTTP/1.1\r\nHo",
  `${HEAD}Content-Length: 1000\r\n\r\n{"model":`,
  `${HEAD}Transfer-Encoding: chunked\r\n\r\nffffffffffff\r\nabc`,
  `${HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
  "\r\n\r\n\r\n\r\n",
  "GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
  `GET /${"a".repeat(40_000)} HTTP/1.1\r\n`,
];

const sockets = new Set<Socket>();
let attack: Attack = { kind: "stop", port: 0, count: 0 };
let closed = 0;
let round = 0;

self.onmessage = ({ data }: MessageEvent<Attack>) => {
  attack = data;
  closed = 0;
  round++;
  for (const socket of sockets) socket.terminate();
  sockets.clear();
  if (data.kind === "garbage") void throwGarbage(data, round);
  else if (data.kind !== "stop") void keepOpen(data, round);
  else tell(true);
};

setInterval(() => {
  if (attack.kind === "heads") for (const socket of sockets) socket.write("a");
  else if (attack.kind === "bodies") for (const socket of sockets) socket.write("{");
}, TICK_MS);

function tell(ready: boolean): void {
  postMessage({ open: sockets.size, closed, ready } satisfies Progress);
}

function connect(port: number, onOpen: (socket: Socket) => void): Promise<unknown> {
  const mine = round;
  const gone = (socket: Socket) => {
    if (sockets.delete(socket)) closed++;
  };
  return Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open(socket) {
        if (mine !== round) {
          socket.terminate();
          return;
        }
        sockets.add(socket);
        onOpen(socket);
      },
      data() {},
      close: gone,
      error: gone,
    },
  }).catch(() => closed++);
}

async function keepOpen({ kind, port, count }: Attack, mine: number): Promise<void> {
  while (mine === round) {
    const missing = Math.min(AT_ONCE, count - sockets.size);
    await Promise.all(
      Array.from({ length: Math.max(missing, 0) }, () => connect(port, (socket) => begin(kind, socket))),
    );
    if (mine !== round) return;
    tell(sockets.size >= count);
    if (missing < AT_ONCE) await Bun.sleep(TICK_MS);
  }
}

function begin(kind: Attack["kind"], socket: Socket): void {
  if (kind === "heads") socket.write("GET /");
  else if (kind === "bodies") {
    const framing = sockets.size % 2 === 0 ? "Content-Length: 1000000" : "Transfer-Encoding: chunked";
    socket.write(`${HEAD}${framing}\r\n\r\n${framing.startsWith("T") ? "fffff\r\n" : ""}`);
  } else if (kind === "readers") {
    socket.pause();
    socket.write("GET /v1/models HTTP/1.1\r\nHost: a\r\nx-demo-script: body-bytes=20000000\r\n\r\n");
  }
}

async function throwGarbage({ port, count }: Attack, mine: number): Promise<void> {
  for (let done = 0; done < count; done += AT_ONCE) {
    await Promise.all(
      Array.from({ length: AT_ONCE }, (_, i) =>
        connect(port, (socket) => {
          socket.write(Buffer.from(GARBAGE[(done + i) % GARBAGE.length]!, "latin1"));
          // Some are gone before the other side has read what they sent.
          setTimeout(() => socket.terminate(), i % 3);
        }),
      ),
    );
  }
  if (mine === round) tell(true);
}
