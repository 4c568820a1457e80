// A thread that attacks a port, so that the sockets of the attack do not slow down those who measure.
import type { Socket } from "bun";

import { FloodUpstream } from "./limits-flood.ts";

declare const self: Worker;

/**
 * `heads`, `bodies`: so many connections send a request byte by byte. `readers`: they ask for a large answer and take it
 * piece by piece. `idle`: they say nothing. All of these come again when they are closed. `garbage`: so many in a
 * second say something wrong, or half of something right, and vanish. `stop`: all connections vanish.
 */
export interface Attack {
  readonly kind: "heads" | "bodies" | "readers" | "idle" | "garbage" | "stop";
  readonly port: number;
  readonly count: number;
  /** Told with its progress, as messages about the attack before may still be on their way. */
  readonly number: number;
}

/** Connections of the attack that are open, and those that have ended so far. */
export interface Progress {
  /** Of the attack. */
  readonly number: number;
  readonly open: number;
  readonly closed: number;
  /** All of the attack are under way. */
  readonly ready: boolean;
  /** Port of an upstream whose answers are large. */
  readonly floodPort: number;
}

const TICK_MS = 50;
/** Each connection has its turn once a second: to send a byte, or to take a piece. */
const TURNS = 20;
const AT_ONCE = 100;
/** Buffers that gain no more than this in a tick are full. */
const FULL_BYTES = 1024 * 1024;
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
let attack: Attack = { kind: "stop", port: 0, count: 0, number: 0 };
let closed = 0;
let round = 0;
let turn = 0;
/** Bytes that readers took. */
let taken = 0;
const flood = new FloodUpstream();
tell(false);

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
  const { kind } = attack;
  if (kind === "idle" || kind === "garbage") return;
  let place = turn++;
  for (const socket of sockets) {
    if (place++ % TURNS !== 0) continue;
    if (kind === "readers") socket.resume();
    else socket.write(kind === "heads" ? "a" : "{");
  }
}, TICK_MS);

function tell(ready: boolean): void {
  const { number } = attack;
  postMessage({ number, open: sockets.size, closed, ready, floodPort: flood.port } satisfies Progress);
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
      data(socket, chunk) {
        if (attack.kind !== "readers") return;
        taken += chunk.length;
        socket.pause();
      },
      close: gone,
      error: gone,
    },
  }).catch(() => closed++);
}

async function keepOpen({ kind, port, count }: Attack, mine: number): Promise<void> {
  while (mine === round) {
    const ahead = flood.given - taken;
    const missing = Math.min(AT_ONCE, count - sockets.size);
    await Promise.all(
      Array.from({ length: Math.max(missing, 0) }, () => connect(port, (socket) => begin(kind, socket))),
    );
    if (missing < AT_ONCE) await Bun.sleep(TICK_MS);
    if (mine !== round) return;
    // Readers are slow ones once the buffers on their way are full: hardly more is given than is taken.
    const isSlow = kind !== "readers" || (missing === 0 && flood.given - taken - ahead < FULL_BYTES);
    tell(sockets.size >= count && isSlow);
  }
}

function begin(kind: Attack["kind"], socket: Socket): void {
  if (kind === "heads") socket.write("GET /");
  else if (kind === "bodies") {
    const framing = sockets.size % 2 === 0 ? "Content-Length: 1000000" : "Transfer-Encoding: chunked";
    socket.write(`${HEAD}${framing}\r\n\r\n${framing.startsWith("T") ? "fffff\r\n" : ""}{`);
  } else if (kind === "readers") {
    socket.pause();
    socket.write("GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n");
  }
}

async function throwGarbage({ port, count }: Attack, mine: number): Promise<void> {
  const atOnce = Math.ceil(count / TURNS);
  for (let done = 0; mine === round; done += atOnce) {
    await Promise.all(
      Array.from({ length: atOnce }, (_, i) =>
        connect(port, (socket) => {
          socket.write(Buffer.from(GARBAGE[(done + i) % GARBAGE.length]!, "latin1"));
          // Some are gone before the other side has read what they sent.
          setTimeout(() => socket.terminate(), i % 3);
        }),
      ),
    );
    if (mine === round) tell(true);
    await Bun.sleep(TICK_MS);
  }
}
