import type { Socket, TCPSocketListener } from "bun";

const LENGTH = 1_000_000_000;
const PIECE = Buffer.alloc(65_536, "x");

interface State {
  /** Bytes of the answer that are still to be given; 0 before there is a request. */
  left: number;
}

/** An upstream that answers whatever it is asked with a gigabyte, as fast as it is taken, and knows how much that was. */
export class FloodUpstream {
  /** Bytes of bodies given so far, to all. */
  given = 0;
  private readonly listener: TCPSocketListener<State>;

  constructor() {
    this.listener = Bun.listen<State>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open(socket) {
          socket.data = { left: 0 };
        },
        data: (socket) => {
          if (socket.data.left > 0) return;
          socket.data.left = LENGTH;
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${LENGTH}\r\n\r\n`);
          this.give(socket);
        },
        drain: (socket) => this.give(socket),
      },
    });
  }

  get port(): number {
    return this.listener.port;
  }

  private give(socket: Socket<State>): void {
    while (socket.data.left > 0) {
      const written = socket.write(PIECE);
      if (written <= 0) return;
      this.given += written;
      socket.data.left -= written;
      if (written < PIECE.length) return;
    }
  }
}
