import { Random, seedOfRun } from "./random.ts";

/** How long cases are tried where nothing says how many. */
const TRY_MS = 1_500;
/** For a test of many cases: far more than it takes, also where `FUZZ_ROUNDS` asks for millions. */
export const MANY_CASES_TIMEOUT_MS = 900_000;

/**
 * Tries as many random cases as there is time for, or as many as the variable `FUZZ_ROUNDS` of the environment says; that is
 * also when it tells how long they took. Each case has a seed of its own, the next number after that of the one before.
 * What a case throws is told with its seed: `FUZZ_SEED` with this number begins with that very case. `cost`:
 * of cases that are so many times as dear as others, so many times fewer are tried where a number is given. Gives how
 * many there were.
 */
export function tryManyCases(what: string, check: (random: Random) => void, cost = 1): number {
  const seed = seedOfRun();
  const wanted = Math.ceil(Number(process.env["FUZZ_ROUNDS"] ?? 0) / cost);
  const startedMs = performance.now();
  let cases = 0;
  while (wanted > 0 ? cases < wanted : performance.now() - startedMs < TRY_MS) {
    const random = new Random(seed + cases);
    try {
      check(random);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`${what}: failed with FUZZ_SEED=${random.seed} (case ${cases}): ${why}`, {
        cause: error,
      });
    }
    cases++;
  }
  const seconds = (performance.now() - startedMs) / 1000;
  if (wanted > 0) console.log(`${what}: ${cases} cases from FUZZ_SEED=${seed} in ${seconds.toFixed(1)} s`);
  return cases;
}
