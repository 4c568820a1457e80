import { $ } from "bun";

/** What an executable is made from. */
export interface Commit {
  /** Twelve digits of the commit's hash; "unknown" in a tree without git. */
  readonly name: string;
  /** The tree holds changes that are not committed. */
  readonly isDirty: boolean;
}

/** Asks git about the current directory. `COMMIT` of the environment counts instead, where there is no git. */
export async function currentCommit(): Promise<Commit> {
  const given = process.env["COMMIT"];
  if (given !== undefined && given !== "") return { name: given, isDirty: false };
  const name = (await $`git rev-parse --short=12 HEAD`.quiet().nothrow().text()).trim();
  if (name === "") return { name: "unknown", isDirty: false };
  const changes = await $`git status --porcelain`.quiet().text();
  return { name, isDirty: changes.trim() !== "" };
}

/** https://reproducible-builds.org/docs/source-date-epoch/, or else the time of the commit. Throws without both. */
export async function commitTime(): Promise<Date> {
  const given = process.env["SOURCE_DATE_EPOCH"] ?? (await $`git log -1 --format=%ct`.quiet().text()).trim();
  if (!/^\d{1,11}$/.test(given)) throw new Error(`SOURCE_DATE_EPOCH: found ${given}, expected seconds`);
  return new Date(Number(given) * 1000);
}
