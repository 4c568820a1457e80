import * as z from "zod/mini";

import { assert } from "../shared/assert.ts";
import { configSchema, type Range, rangeOf, type Secrecy, secrecyOf } from "./schema.ts";

/**
 * What the schema says about a place in the configuration, as plain data: which keys a mapping knows, what a
 * list holds, of which type a value is. The only file that looks inside zod's schemas.
 */
export type Shape = MappingShape | ListShape | ScalarShape;

export interface MappingShape {
  readonly kind: "mapping";
  readonly keys: ReadonlyMap<string, Shape>;
}

export interface ListShape {
  readonly kind: "list";
  readonly item: Shape;
}

export interface ScalarShape {
  readonly kind: "scalar";
  readonly type: "string" | "number" | "boolean" | "size";
  /** `beside`: it holds no secret itself, but stands next to a key that does, whose value may have slipped into it. */
  readonly secrecy: Secrecy | "beside" | "open";
  /** The value of a key that is left out; undefined when there is none. */
  readonly fallback: unknown;
  /** Range of a number. */
  readonly range: Range | null;
}

/** Shape of the whole configuration. */
export const configShape: Shape = shapeOf(configSchema, undefined);

function shapeOf(schema: z.core.$ZodType, fallback: unknown): Shape {
  if (schema instanceof z.ZodMiniObject) {
    const entries = Object.entries<z.core.$ZodType>(schema.shape);
    const keys = entries.map(([key, value]): [string, Shape] => [key, shapeOf(value, undefined)]);
    return { kind: "mapping", keys: new Map(withNeighbours(keys)) };
  }
  if (schema instanceof z.ZodMiniArray) return { kind: "list", item: shapeOf(schema.def.element, undefined) };
  if (schema instanceof z.ZodMiniDefault) return shapeOf(schema.def.innerType, schema.def.defaultValue);
  if (schema instanceof z.ZodMiniOptional || schema instanceof z.ZodMiniPrefault)
    return shapeOf(schema.def.innerType, fallback);
  if (schema instanceof z.ZodMiniPipe) return shapeOf(schema.def.in, fallback);
  return scalarShape(schema, fallback);
}

/** The keys of a mapping; where one of them is hidden, the others are known to stand beside it. */
function withNeighbours(keys: [string, Shape][]): [string, Shape][] {
  if (!keys.some(([, shape]) => shape.kind === "scalar" && shape.secrecy === "hidden")) return keys;
  return keys.map(([key, shape]) => {
    const isOpen = shape.kind === "scalar" && shape.secrecy === "open";
    return [key, isOpen ? { ...shape, secrecy: "beside" } : shape];
  });
}

function scalarShape(schema: z.core.$ZodType, fallback: unknown): ScalarShape {
  const secrecy = secrecyOf.get(schema) ?? "open";
  const range = rangeOf.get(schema) ?? null;
  const base = { kind: "scalar", secrecy, fallback, range } as const;
  if (schema instanceof z.ZodMiniNumber) return { ...base, type: "number" };
  if (schema instanceof z.ZodMiniBoolean) return { ...base, type: "boolean" };
  if (schema instanceof z.ZodMiniUnion) return { ...base, type: "size" };
  assert(schema instanceof z.ZodMiniString || schema instanceof z.ZodMiniEnum, "every schema has a shape");
  return { ...base, type: "string" };
}
