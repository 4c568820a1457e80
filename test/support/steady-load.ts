import { ClientConnection, requestBytes } from "./client-connection.ts";
import { valueOf } from "./response-reader.ts";

const TICK_MS = 10;
const BODY = JSON.stringify({ model: "m", messages: [{ role: "user", content: "Hi" }] });

/**
 * Sends requests at a steady rate until it is stopped: every other one on a connection of its own, the rest on kept
 * ones, which are used as an HTTP client may use them: not after `Connection: close`, nor when the peer has closed.
 */
export class SteadyLoad {
  sent = 0;
  answered = 0;
  /** What went wrong, a line each. */
  readonly failures: string[] = [];
  private readonly port: number;
  private readonly kept: ClientConnection[] = [];
  private readonly timer: Timer;

  constructor(port: number, perSecond: number) {
    this.port = port;
    const startedMs = performance.now();
    this.timer = setInterval(() => {
      const due = ((performance.now() - startedMs) / 1000) * perSecond;
      while (this.sent < due) void this.send(this.sent++ % 2 === 0);
    }, TICK_MS);
  }

  /** Settles when every request that was sent is answered or has failed. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    while (this.answered + this.failures.length < this.sent) await Bun.sleep(TICK_MS);
    for (const client of this.kept) client.destroy();
  }

  private async send(keeps: boolean): Promise<void> {
    try {
      const client = (keeps ? this.takeKept() : undefined) ?? (await ClientConnection.open(this.port));
      const headers = keeps ? [] : ["Connection", "close"];
      client.send(requestBytes("/v1/chat/completions", { body: BODY, headers }));
      const response = await client.response();
      if (response.status !== 200 || !response.complete)
        this.failures.push(`status ${response.status}, complete: ${response.complete}`);
      else this.answered++;
      if (keeps && valueOf(response.headers, "connection") !== "close") this.kept.push(client);
      else client.close();
    } catch (error) {
      this.failures.push(String(error));
    }
  }

  private takeKept(): ClientConnection | undefined {
    for (let client = this.kept.pop(); client !== undefined; client = this.kept.pop())
      if (client.ended === null) return client;
    return undefined;
  }
}
