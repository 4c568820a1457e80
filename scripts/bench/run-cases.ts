import type { Case } from "./cases.ts";
import { type Bench, measure } from "./measure.ts";
import type { CaseResult } from "./results.ts";
import type { Sample } from "./sample.ts";
import { orderOf } from "./statistics.ts";
import type { Target } from "./targets/target.ts";
import { ToolError } from "./tool.ts";

/**
 * Measures all cases in rounds; within a case the targets take turns. A target that fails is told of and left
 * out of that round. `own`: the targets that are llmproxyd.
 */
export async function runCases(
  bench: Bench,
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
      for (const place of orderOf(round, competing.length)) {
        samples[place]!.push(await attempt(bench, of, competing[place]!, say));
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
  // A direct run has nothing that could be started, or need memory.
  const isOfServers = one.kind === "start" || one.memory;
  return isOfServers ? targets.filter(({ name }) => name !== "direct") : targets;
}

async function attempt(
  bench: Bench,
  one: Case,
  target: Target,
  say: (line: string) => void,
): Promise<Sample | null> {
  try {
    return await measure(bench, one, target);
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    say(`  failed: ${error.message}`);
    return null;
  }
}
