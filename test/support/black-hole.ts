import { connect, type Socket } from "node:net";

/** An address that takes no connections, and does not refuse them either. */
export interface BlackHole {
  readonly url: string;
  stop(): void;
}

/** Longer than the queue of connections that a listening socket may have here. */
const CONNECTIONS_MAX = 6000;
const PENDING_MS = 300;

/**
 * A thread listens and then stands still, so that nobody accepts; connections fill its queue until the kernel
 * answers no more of them. What connects afterwards waits for an answer that does not come.
 */
export async function startBlackHole(): Promise<BlackHole> {
  const release = new Int32Array(new SharedArrayBuffer(4));
  const thread = new Worker(new URL("./black-hole-thread.ts", import.meta.url).href);
  const port = await new Promise<number>((resolve) => {
    thread.onmessage = ({ data }: MessageEvent<number>) => resolve(data);
    thread.postMessage(release);
  });
  const sockets: Socket[] = [];
  for (let connected = true; connected;) {
    if (sockets.length > CONNECTIONS_MAX) throw new Error("the queue of connections does not fill up");
    const batch = Array.from({ length: 64 }, () => connect(port, "127.0.0.1").on("error", () => {}));
    sockets.push(...batch);
    connected = await allConnect(batch);
  }
  return {
    url: `http://127.0.0.1:${port}`,
    stop() {
      for (const socket of sockets) socket.destroy();
      Atomics.store(release, 0, 1);
      Atomics.notify(release, 0);
      thread.terminate();
    },
  };
}

/** False when one of them is still not connected after a time that is long for this machine's own addresses. */
async function allConnect(sockets: readonly Socket[]): Promise<boolean> {
  const connects = sockets.map((socket) => new Promise((resolve) => socket.once("connect", resolve)));
  const timeout = Bun.sleep(PENDING_MS).then(() => "pending");
  return (await Promise.race([Promise.all(connects), timeout])) !== "pending";
}
