import { readdirSync } from "node:fs";
import { join } from "node:path";

import { lockedPackage, type LockFile, runtimePackages } from "./lock-file.ts";

/**
 * The licences of what is built into the executables, as they ask for: those of the packages in `root` with
 * their texts, and what Bun says of itself and the libraries in it. Throws when a package has no licence text.
 */
export async function makeNotices(lock: LockFile, root: string): Promise<string> {
  let text = "# Third-party software in llmproxyd\n";
  for (const { name, version, license } of runtimePackages(lock)) {
    const directory = join(root, "node_modules", name);
    const file = readdirSync(directory).find((entry) => /^licen[cs]e(\.|$)/i.test(entry));
    if (file === undefined) throw new Error(`${name} has no licence text`);
    const licence = (await Bun.file(join(directory, file)).text()).trim();
    text += `\n## ${name} ${version} (${license ?? "see below"})\n\n${licence}\n`;
  }
  const { version } = lockedPackage(lock, "bun");
  const page = await Bun.file(join(root, "node_modules/bun-types/docs/project/license.mdx")).text();
  // Without the page's front matter, and its sections one level further down.
  const body = page.replace(/^---\n[^]*?\n---\n/, "").replaceAll(/^#/gm, "##");
  return `${text}\n## Bun ${version}\n\n${body.trim()}\n`;
}
