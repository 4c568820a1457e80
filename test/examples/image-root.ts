import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

/** Number of the image's user, `nonroot`. */
export const NONROOT = 65_532;
const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";

/**
 * Fills a directory with what the image of the Dockerfile holds: glibc (of this machine, where the image has
 * Debian's), CA certificates, the users' names, and the executable. No shell, no other program, no writable place.
 */
export function makeImageRoot(root: string, executable: string): void {
  for (const directory of ["dev", "etc", "proc", "tmp", "home/nonroot"])
    mkdirSync(join(root, directory), { recursive: true });
  for (const library of librariesOf(executable)) copy(library, join(root, library));
  if (existsSync(CERTIFICATES)) copy(CERTIFICATES, join(root, CERTIFICATES));
  writeFileSync(
    join(root, "etc/passwd"),
    `root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:${NONROOT}:${NONROOT}:nonroot:/home/nonroot:/sbin/nologin\n`,
  );
  writeFileSync(join(root, "etc/group"), `root:x:0:\nnonroot:x:${NONROOT}:\n`);
  writeFileSync(join(root, "etc/nsswitch.conf"), "hosts: files dns\n");
  writeFileSync(join(root, "etc/hosts"), "127.0.0.1 localhost\n");
  writeFileSync(join(root, "dev/null"), "");
  const binary = join(root, "usr/local/bin/llmproxyd");
  copy(executable, binary);
  chmodSync(binary, 0o755);
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}

/** Paths of the shared libraries, the loader included, as `ldd` tells them. Throws for any that is not glibc's. */
function librariesOf(executable: string): string[] {
  const { stdout, exitCode } = Bun.spawnSync(["ldd", executable]);
  if (exitCode !== 0) throw new Error(`ldd ${executable} failed`);
  const paths = [...stdout.toString().matchAll(/(\/\S+) \(0x/g)].map((match) => match[1]!);
  const strange = paths.filter((path) => !/\/(ld-linux|lib(c|m|dl|pthread)\.so)/.test(path));
  if (strange.length > 0) throw new Error(`the image does not hold ${strange.join(", ")}`);
  return paths;
}

/**
 * A command line that runs `args` in the directory as a container would: as process 1 of its own, as the user
 * 65532, without capabilities, with nothing that can be written to. The network is this machine's. Needs root.
 */
export function containerCommand(root: string, args: readonly string[]): string[] {
  const script = [
    `mount --bind "$0" "$0"`,
    `mount --bind /dev/null "$0/dev/null"`,
    `mount -t proc proc "$0/proc"`,
    `mount -o remount,bind,ro "$0"`,
    `exec setpriv --no-new-privs --inh-caps=-all chroot --userspec=${NONROOT}:${NONROOT} --groups= "$0" "$@"`,
  ].join(" && ");
  return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, root, ...args];
}

/** The only child of a process. */
export function childOf(pid: number): number | null {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return children === "" ? null : Number(children.split(" ")[0]);
}

/** Why a container cannot be imitated here; null when it can. */
export function whyNoContainer(): string | null {
  if (process.platform !== "linux") return "this is not Linux";
  if (process.getuid?.() !== 0) return "this needs root";
  const missing = ["unshare", "setpriv", "chroot", "ldd"].filter((program) => Bun.which(program) === null);
  if (missing.length > 0) return `there is no ${missing.join(", ")}`;
  if (!readdirSync("/lib64").some((name) => name.startsWith("ld-linux"))) return "this machine has no glibc";
  const tried = Bun.spawnSync(["unshare", "--mount", "--pid", "--fork", "true"], { stderr: "ignore" });
  return tried.exitCode === 0 ? null : "namespaces are not allowed here";
}
