/** A kind of machine that there is an executable for. */
export interface Target {
  /** As Bun calls it. */
  readonly bun: Bun.Build.CompileTarget;
  /** Package of the registry with Bun's runtime for it. */
  readonly runtime: string;
  /** As `uname -s` calls it, with `-musl` where the C library is musl. */
  readonly os: "Linux" | "Linux-musl" | "Darwin";
  readonly arch: "x64" | "arm64";
}

/** All that are released. */
export const targets: readonly Target[] = [
  { bun: "bun-linux-x64", runtime: "@oven/bun-linux-x64", os: "Linux", arch: "x64" },
  { bun: "bun-linux-arm64", runtime: "@oven/bun-linux-aarch64", os: "Linux", arch: "arm64" },
  { bun: "bun-linux-x64-musl", runtime: "@oven/bun-linux-x64-musl", os: "Linux-musl", arch: "x64" },
  { bun: "bun-linux-arm64-musl", runtime: "@oven/bun-linux-aarch64-musl", os: "Linux-musl", arch: "arm64" },
  { bun: "bun-darwin-x64", runtime: "@oven/bun-darwin-x64", os: "Darwin", arch: "x64" },
  { bun: "bun-darwin-arm64", runtime: "@oven/bun-darwin-aarch64", os: "Darwin", arch: "arm64" },
];

/** Name of an archive without its ending, and of the directory in it: `llmproxyd-Linux-x64-1.0.0`. */
export function archiveName({ os, arch }: Target, version: string): string {
  return `llmproxyd-${os}-${arch}-${version}`;
}

/** The target that this machine runs itself; null when none is released for it. */
export function hostTarget(): Target | null {
  const os = process.platform === "darwin" ? "Darwin" : isGlibc() ? "Linux" : "Linux-musl";
  if (process.platform !== "darwin" && process.platform !== "linux") return null;
  return targets.find((target) => target.os === os && target.arch === process.arch) ?? null;
}

/** Node's report tells the version of glibc where the process runs on it. */
function isGlibc(): boolean {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime !== undefined;
}
