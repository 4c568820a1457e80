import { statSync } from "node:fs";

const LOOK_EVERY_MS = 1_000;

/**
 * Looks once a second whether one of some files has changed, and calls back when the change is over: two looks in a
 * row saw the same. Links are followed, so that the swap by which Kubernetes updates a volume counts; a look needs no
 * inotify, and so works on every file system.
 */
export class ConfigWatch {
  private readonly files: () => readonly string[];
  private readonly onChange: () => void;
  private known: string;
  private seen: string;

  /** `files`: what to look at, asked for each time. */
  constructor(files: () => readonly string[], onChange: () => void) {
    this.files = files;
    this.onChange = onChange;
    this.known = this.look();
    this.seen = this.known;
    setInterval(() => this.check(), LOOK_EVERY_MS).unref();
  }

  private check(): void {
    const now = this.look();
    const isSteady = now === this.seen;
    this.seen = now;
    if (!isSteady || now === this.known) return;
    this.known = now;
    this.onChange();
  }

  private look(): string {
    return this.files().map(fingerprint).join("\n");
  }
}

/** Changes with the file behind a name: its place, its size, the time of its last change. */
function fingerprint(file: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true });
    return `${file} ${dev}:${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch (error) {
    return `${file} ${String((error as { code?: unknown }).code)}`;
  }
}
