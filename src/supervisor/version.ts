import { version } from "../../package.json";

/** Set by the build; a run from source has none. */
declare const BUILD_COMMIT: string | undefined;

/** What is running: our version, and the commit that it was built from. */
export const build = {
  version,
  commit: typeof BUILD_COMMIT === "undefined" ? "source" : BUILD_COMMIT,
} as const;

/** Text of `--version`: ours, the commit that it was built from, and the Bun in it. */
export function versionText(): string {
  return `llmproxyd ${build.version} (${build.commit}, Bun ${Bun.version})`;
}
