import { LineLog } from "../support/line-log.ts";

/** Writes "bound", then each datagram as one line of JSON. Ends with its standard input. */
const PROGRAM = `
import json, socket, sys, threading
name = sys.argv[1]
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind("\\0" + name[1:] if name[0] == "@" else name)
def end():
    sys.stdin.read()
    receiver.shutdown(socket.SHUT_RDWR)
threading.Thread(target=end).start()
print("bound", flush=True)
while True:
    datagram = receiver.recv(4096)
    if not datagram: break
    print(json.dumps(datagram.decode()), flush=True)
`;

/** Python's interpreter, as Bun itself cannot receive unix datagrams; null when this machine has none. */
export const python = Bun.which("python3", { PATH: `/usr/bin:/usr/local/bin:${process.env["PATH"] ?? ""}` });

/** A stand-in for systemd's end of `NOTIFY_SOCKET`. */
export class DatagramReceiver {
  private readonly child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  private readonly log: LineLog;

  private constructor(child: Bun.Subprocess<"pipe", "pipe", "inherit">) {
    this.child = child;
    this.log = new LineLog(child.stdout);
  }

  /** Binds `name`, a path or `@abstract`; settles once it can be sent to. */
  static async bind(name: string): Promise<DatagramReceiver> {
    const child = Bun.spawn([python!, "-c", PROGRAM, name], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    const receiver = new DatagramReceiver(child);
    await receiver.log.until((text) => text.startsWith("bound\n"));
    return receiver;
  }

  get messages(): readonly string[] {
    const lines = this.log.text.split("\n").slice(1, -1);
    return lines.map((line) => JSON.parse(line) as string);
  }

  /** Settles when the condition holds for what was received. */
  async until(condition: (messages: readonly string[]) => boolean): Promise<void> {
    await this.log.until(() => condition(this.messages));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.child.stdin.end();
    await this.child.exited;
  }
}
