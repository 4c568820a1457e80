import { type LockedPackage, lockedPackage, type LockFile, productOf, runtimePackages } from "./lock-file.ts";
import { targets } from "./targets.ts";

/**
 * Makes the bill of materials of a release: what package-lock.json names as needed at run time, and Bun, which
 * every executable contains. Depends on nothing but its arguments.
 * CycloneDX 1.6, https://cyclonedx.org/docs/1.6/json/
 */
export function makeSbom(lock: LockFile, commit: string, time: Date): object {
  const { name, version, license } = productOf(lock);
  const product = `pkg:generic/${name}@${version}`;
  const libraries = runtimePackages(lock);
  const runtimes = targets.map(({ runtime }) => lockedPackage(lock, runtime));
  const document = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      timestamp: time.toISOString(),
      lifecycles: [{ phase: "build" }],
      component: {
        type: "application",
        "bom-ref": product,
        name,
        version,
        licenses: licensesOf(license),
        purl: product,
        properties: [{ name: "commit", value: commit }],
      },
    },
    components: [
      ...libraries.map((library) => component(library, "library", "required")),
      // Each executable holds one of them.
      ...runtimes.map((runtime) => component(runtime, "platform", "optional")),
    ],
    dependencies: [
      { ref: product, dependsOn: [...libraries, ...runtimes].map(purlOf) },
      ...libraries.map((library) => ({
        ref: purlOf(library),
        dependsOn: library.dependencies.map((dependency) => purlOf(lockedPackage(lock, dependency))),
      })),
      ...runtimes.map((runtime) => ({ ref: purlOf(runtime), dependsOn: [] })),
    ],
  };
  return { ...document, serialNumber: serialNumber(JSON.stringify(document)) };
}

function component(locked: LockedPackage, type: "library" | "platform", scope: "required" | "optional") {
  const [scopeName, plainName] = locked.name.startsWith("@") ? locked.name.split("/") : [null, locked.name];
  return {
    type,
    "bom-ref": purlOf(locked),
    ...(scopeName === null ? {} : { group: scopeName }),
    name: plainName,
    version: locked.version,
    scope,
    hashes: [{ alg: "SHA-512", content: hexOf(locked.integrity) }],
    ...(locked.license === null ? {} : { licenses: licensesOf(locked.license) }),
    purl: purlOf(locked),
  };
}

/** https://github.com/package-url/purl-spec: the at sign of a scope is escaped. */
function purlOf({ name, version }: LockedPackage): string {
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}

/** An id of SPDX, or an expression of several. */
function licensesOf(license: string): object[] {
  return /^[A-Za-z0-9.-]+$/.test(license) ? [{ license: { id: license } }] : [{ expression: license }];
}

/** `sha512-<base64>` as hexadecimal digits. */
function hexOf(integrity: string): string {
  const base64 = /^sha512-([A-Za-z0-9+/]{86}==)$/.exec(integrity)?.[1];
  if (base64 === undefined) throw new Error(`not a SHA-512 of Subresource Integrity: ${integrity}`);
  return Buffer.from(base64, "base64").toString("hex");
}

/** A UUID made of a hash, so that the same content has the same one: https://www.rfc-editor.org/rfc/rfc9562#section-5.8 */
function serialNumber(content: string): string {
  const bytes = new Bun.CryptoHasher("sha256").update(content).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)];
  return `urn:uuid:${parts.join("-")}`;
}
