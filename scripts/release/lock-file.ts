/** An installed package, as package-lock.json names it. */
export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  /** SPDX id or expression; null when it names none. */
  readonly license: string | null;
  /** Hash of its archive in the form of Subresource Integrity, `sha512-...`. */
  readonly integrity: string;
  /** Names of the packages that it depends on at run time and that are in the lock file. */
  readonly dependencies: readonly string[];
}

interface Entry {
  readonly version: string;
  readonly license?: string;
  readonly integrity: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** What is read of a package-lock.json (version 3). Keys of `packages` are paths: `node_modules/yaml`. */
export interface LockFile {
  readonly packages: Readonly<Record<string, Entry | RootEntry>>;
}

interface RootEntry {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** One package by its name. Throws when it is not locked. */
export function lockedPackage(lock: LockFile, name: string): LockedPackage {
  const entry = lock.packages[`node_modules/${name}`] as Entry | undefined;
  if (entry === undefined) throw new Error(`package-lock.json does not name ${name}`);
  return {
    name,
    version: entry.version,
    license: entry.license ?? null,
    integrity: entry.integrity,
    dependencies: Object.keys(entry.dependencies ?? {}).sort(),
  };
}

/**
 * All packages that the product needs at run time, by name: what package.json lists under `dependencies`, and what
 * that depends on in turn. Throws for two versions of one package, which would need more than names.
 */
export function runtimePackages(lock: LockFile): readonly LockedPackage[] {
  const root = lock.packages[""] as RootEntry;
  const found = new Map<string, LockedPackage>();
  const wanted = Object.keys(root.dependencies ?? {});
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    if (found.has(name)) continue;
    const nested = `node_modules/${name}/node_modules/`;
    if (Object.keys(lock.packages).some((path) => path.startsWith(nested)))
      throw new Error(
        `${name} brings packages of its own, and the list of packages knows one version of each`,
      );
    const locked = lockedPackage(lock, name);
    found.set(name, locked);
    wanted.push(...locked.dependencies);
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Name and version of the product itself. */
export function productOf(lock: LockFile): { name: string; version: string; license: string } {
  const { name, version, license } = lock.packages[""] as RootEntry;
  return { name, version, license: license ?? "NOASSERTION" };
}
