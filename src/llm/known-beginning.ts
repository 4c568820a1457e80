/** A longer beginning is not worth remembering. */
const BYTES_MAX = 128;
/** Of the bodies that begin in another way, one in so many takes the place of the remembered one. */
const MISSES_MAX = 32;

const NOTHING = new Uint8Array(0);

/**
 * Remembers how a JSON object begins, up to the end of its model: what a program sends begins alike each time, and then
 * it need not be read to know the model.
 */
export class KnownBeginning {
  /** The model of an object that `begins` so. */
  model = "";
  private bytes: Uint8Array = NOTHING;
  private misses = 0;

  /** Whether the object begins just so. */
  begins(body: Uint8Array): boolean {
    const { bytes } = this;
    if (bytes.length === 0 || body.length < bytes.length) return false;
    for (let i = 0; i < bytes.length; i++) if (body[i] !== bytes[i]) return false;
    return true;
  }

  /** It did not. Its model ends before `end`, and would be the same whatever followed there. */
  missed(body: Uint8Array, end: number, model: string): void {
    if (end > BYTES_MAX || ++this.misses < MISSES_MAX) return;
    this.misses = 0;
    this.bytes = Buffer.copyBytesFrom(body, 0, end);
    this.model = model;
  }
}
