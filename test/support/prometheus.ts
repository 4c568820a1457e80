import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Subprocess } from "bun";

/** One series of an answer. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [timeS: number, value: string];
}

interface Answer {
  readonly status: "success" | "error";
  readonly error?: string;
  readonly data: unknown;
}

/** A Prometheus (Debian package `prometheus`) that scrapes one process every second. Dispose of it. */
export class Prometheus {
  private readonly directory = mkdtempSync(join(tmpdir(), "llmproxy-test-"));
  private readonly url: string;
  private readonly child: Subprocess;

  /** `target`: host and port of what is scraped; `rules`: a file with rules to evaluate. */
  constructor(target: string, rules: string) {
    const file = join(this.directory, "prometheus.yaml");
    const config = {
      global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
      rule_files: [rules],
      scrape_configs: [{ job_name: "llmproxy", static_configs: [{ targets: [target] }] }],
    };
    // JSON is YAML, too.
    writeFileSync(file, JSON.stringify(config));
    const listen = `127.0.0.1:${freePort()}`;
    this.url = `http://${listen}/api/v1`;
    const storage = `--storage.tsdb.path=${join(this.directory, "data")}`;
    this.child = Bun.spawn(
      ["prometheus", `--config.file=${file}`, storage, `--web.listen-address=${listen}`],
      { stdout: "ignore", stderr: "ignore" },
    );
  }

  /** All series of the answer to a query. Throws what Prometheus has against it. */
  async query(text: string): Promise<readonly Sample[]> {
    const { result } = (await this.ask(`query?query=${encodeURIComponent(text)}`)) as { result: Sample[] };
    return result;
  }

  /** The value of a query that has one; null while it has none, or Prometheus does not listen yet. */
  async value(text: string): Promise<number | null> {
    const result = await this.query(text).catch(() => []);
    return result.length === 1 ? Number(result[0]!.value[1]) : null;
  }

  /** What became of the evaluation of each rule. */
  async rules(): Promise<readonly { readonly name: string; readonly health: string }[]> {
    const { groups } = (await this.ask("rules")) as {
      groups: { rules: { name: string; health: string }[] }[];
    };
    return groups.flatMap((group) => group.rules);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill();
    await this.child.exited;
    rmSync(this.directory, { recursive: true, force: true });
  }

  private async ask(path: string): Promise<unknown> {
    const response = await fetch(`${this.url}/${path}`);
    const { status, error, data } = (await response.json()) as Answer;
    if (status !== "success") throw new Error(`${path}: ${error}`);
    return data;
  }
}

/** A port that was free a moment ago. */
function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  listener.stop(true);
  return listener.port;
}
