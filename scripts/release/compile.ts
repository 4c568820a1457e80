export interface CompileOptions {
  /** Root of the sources, absolute. It must be the current directory: sources are named relative to that. */
  readonly root: string;
  /** Absolute path of the executable; source maps are written beside it. */
  readonly outfile: string;
  /** What `--version` names beside the version. */
  readonly commit: string;
  /** Default: this machine. */
  readonly target?: Bun.Build.CompileTarget;
  /** Bun for the target; without it Bun fetches one by itself. */
  readonly runtime?: string;
}

/** Makes a self-contained executable. The same sources, commit, Bun and target give the same bytes. Throws when it fails. */
export async function compile(options: CompileOptions): Promise<void> {
  const { root, outfile, commit, target, runtime } = options;
  if (process.cwd() !== root) throw new Error(`${root} must be the current directory`);
  const result = await Bun.build({
    entrypoints: [`${root}/src/main.ts`, `${root}/src/worker.ts`],
    minify: true,
    sourcemap: "linked",
    bytecode: true,
    // What the first moments of the process and its threads do not need is not read for them.
    splitting: true,
    format: "esm",
    define: { BUILD_COMMIT: JSON.stringify(commit) },
    compile: {
      outfile,
      ...(target === undefined ? {} : { target }),
      ...(runtime === undefined ? {} : { executablePath: runtime }),
      // What lies in the current directory is none of the executable's business.
      autoloadDotenv: false,
      autoloadBunfig: false,
      // What only a start runs is not worth compiling: the main thread waits longer with it, until `serve` in run.ts says
      // that it is up. Workers have a policy of their own, which is the usual one.
      jitPolicy: 10,
    },
  });
  if (!result.success) throw new Error(result.logs.map(String).join("\n"));
}
