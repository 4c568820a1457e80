import type { Exchange, HttpServer, ServerOptions } from "../../src/http/exchange.ts";
import { listen } from "../../src/http/server.ts";

/** A server on a free loopback port that closes with the test: `using server = serve(...)`. */
export interface TestServer extends HttpServer {
  /** Statuses of the refusals that never became an exchange. */
  readonly refusals: readonly number[];
  [Symbol.dispose](): void;
}

/** Serves with limits that no test meets by chance, unless it sets its own. */
export function serve(
  onRequest: (exchange: Exchange) => void,
  limits: Partial<Omit<ServerOptions, "address" | "port" | "onRequest" | "onRefusal">> = {},
): TestServer {
  const refusals: number[] = [];
  const server = listen({
    address: "127.0.0.1",
    port: 0,
    headTimeoutMs: 20_000,
    stallTimeoutMs: 20_000,
    writeTimeoutMs: 20_000,
    idleTimeoutMs: 20_000,
    ...limits,
    onRequest,
    onRefusal(exchange, status, message) {
      refusals.push(status);
      exchange.respond(status, ["Content-Type", "text/plain"], Buffer.from(message));
    },
  });
  return { ...server, refusals, [Symbol.dispose]: () => server.close() };
}

/** Answers with what was asked for, and the body that came with it. */
export async function echo(exchange: Exchange): Promise<void> {
  const body = await exchange.readBody(1_000_000);
  if (typeof body === "string") exchange.respond(400, [], Buffer.from(body));
  else
    exchange.respond(200, [], Buffer.concat([Buffer.from(`${exchange.method} ${exchange.target} `), body]));
}

/** The bytes of a request with a Host and, where there is a body, its length. */
export function request(line: string, fields: readonly string[] = [], body = ""): string {
  const length = body === "" ? [] : [`Content-Length: ${Buffer.byteLength(body, "latin1")}`];
  return [`${line} HTTP/1.1`, "Host: test", ...fields, ...length, "", body].join("\r\n");
}

/** Resolves once a number that changes by itself has stayed the same for a while. */
export async function untilSteady(value: () => number): Promise<number> {
  let before = value();
  for (let looks = 0; looks < 5; looks++) {
    await Bun.sleep(10);
    if (value() !== before) looks = -1;
    before = value();
  }
  return before;
}
