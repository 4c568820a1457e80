import type { Socket } from "bun";

/** A connection of bytes to a port of the loopback address: what came back so far, and how it ended. */
export class RawConnection {
  /** Null while it is open. */
  end: "fin" | "reset" | null = null;
  private readonly chunks: Buffer[] = [];
  private socket: Socket | null = null;
  private waiting: (() => void)[] = [];

  /** Connects and sends the bytes of a request. */
  static async open(port: number, request: string): Promise<RawConnection> {
    const connection = new RawConnection();
    connection.socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      allowHalfOpen: true,
      socket: {
        data: (_, chunk) => connection.changed(() => connection.chunks.push(chunk)),
        end: (socket) => {
          connection.changed(() => (connection.end ??= "fin"));
          socket.end();
        },
        close: () => connection.changed(() => (connection.end ??= "reset")),
        error: () => connection.changed(() => (connection.end ??= "reset")),
      },
    });
    connection.socket.write(request);
    return connection;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  /** One character per byte. */
  get text(): string {
    return this.bytes.toString("latin1");
  }

  /** Resolves once the condition holds or the peer has closed; it is looked at whenever something comes. */
  async until(condition: (connection: RawConnection) => boolean): Promise<this> {
    while (this.end === null && !condition(this)) {
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
    return this;
  }

  pause(): void {
    this.socket?.pause();
  }

  resume(): void {
    this.socket?.resume();
  }

  close(): void {
    this.socket?.terminate();
  }

  private changed(change: () => void): void {
    change();
    const waiting = this.waiting;
    this.waiting = [];
    for (const wake of waiting) wake();
  }
}

/** Sends a request and waits until the peer closes. */
export async function exchangeToEnd(port: number, request: string): Promise<RawConnection> {
  return (await RawConnection.open(port, request)).until(() => false);
}

/** The bytes of a POST of JSON. */
export function rawPost(target: string, body: unknown, script?: string): string {
  const json = JSON.stringify(body);
  const scripted = script === undefined ? "" : `x-demo-script: ${script}\r\n`;
  return `POST ${target} HTTP/1.1\r\nHost: demo\r\nContent-Length: ${Buffer.byteLength(json)}\r\n${scripted}\r\n${json}`;
}

/** A chat request, streamed or not. */
export function chatBody(stream: boolean, extra: object = {}): object {
  return { model: "demo-1", stream, messages: [{ role: "user", content: "Say hello to Paris" }], ...extra };
}

/** Resolves once the condition holds; the test's own time limit ends a wait in vain. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(2);
}
