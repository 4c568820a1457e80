import { type Case, isOfMemory } from "./cases.ts";
import type { Subject } from "./measure.ts";
import type { CaseResult } from "./results.ts";
import { type Sample, sampleOfTurns } from "./sample.ts";
import { orderOf } from "./statistics.ts";
import type { Target } from "./targets/target.ts";
import { ToolError } from "./tool.ts";

/** Starts a target for a case. Throws a ToolError when something fails. */
export type Prepare = (one: Case, target: Target) => Promise<Subject>;

/**
 * Measures all cases in rounds, each case with fresh processes in each round; within it the targets take turns. A
 * target that fails is told of and left out of that round. `own`: the targets that are llmproxyd.
 */
export async function runCases(
  prepare: Prepare,
  cases: readonly Case[],
  targets: readonly Target[],
  own: readonly Target[],
  rounds: number,
  say: (line: string) => void,
): Promise<CaseResult[]> {
  const taking = cases.map((of) => {
    const competing = concerned(of, targets, own);
    return { of, competing, samples: competing.map((): (Sample | null)[] => []) };
  });
  for (let round = 0; round < rounds; round++) {
    for (const { of, competing, samples } of taking) {
      say(`[round ${round + 1} of ${rounds}] ${of.title}`);
      const order = orderOf(round, competing.length).map((place) => competing[place]!);
      // Memory that processes share counts in parts, so that each must be alone.
      const together = isOfMemory(of) ? order.map((target) => [target]) : [order];
      for (const group of together) {
        const measured = await measureInTurn(prepare, of, group, say);
        group.forEach((target, i) => samples[competing.indexOf(target)]!.push(measured[i]!));
      }
    }
  }
  return taking.map(({ of, competing, samples }) => ({
    of,
    rows: competing.map(({ name }, place) => ({ target: name, samples: samples[place]! })),
  }));
}

function concerned(one: Case, targets: readonly Target[], own: readonly Target[]): readonly Target[] {
  if (one.shape !== null) return own;
  return isOfMemory(one) ? targets.filter(({ name }) => name !== "direct") : targets;
}

/** One round of some targets that are up at the same time; null for those that failed. */
async function measureInTurn(
  prepare: Prepare,
  one: Case,
  targets: readonly Target[],
  say: (line: string) => void,
): Promise<(Sample | null)[]> {
  const taken: { subject: Subject | null; samples: Sample[] }[] = [];
  try {
    for (const target of targets) {
      taken.push({ subject: await attempt(() => prepare(one, target), say), samples: [] });
    }
    for (let turn = 0; turn < one.turns; turn++) {
      for (const place of orderOf(turn, taken.length)) {
        const entry = taken[place]!;
        const { subject } = entry;
        if (subject === null) continue;
        const sample = await attempt(() => subject.measure(), say);
        if (sample !== null) {
          entry.samples.push(sample);
          continue;
        }
        // It must not disturb the others any more.
        entry.subject = null;
        await subject.stop();
      }
    }
  } finally {
    for (const { subject } of taken) await subject?.stop();
  }
  return taken.map(({ subject, samples }) => (subject === null ? null : sampleOfTurns(samples)));
}

async function attempt<T>(step: () => Promise<T>, say: (line: string) => void): Promise<T | null> {
  try {
    return await step();
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    say(`  failed: ${error.message}`);
    return null;
  }
}
