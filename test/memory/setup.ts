import { Region } from "../../src/memory/region.ts";

/** Makes one primitive in fresh shared memory. */
export function inFreshMemory<T>(make: (region: Region) => T): T {
  const bytes = Region.measure((region) => void make(region));
  return make(new Region(new SharedArrayBuffer(bytes)));
}
