import * as z from "zod";

import { assert } from "../shared/assert.ts";
import { configSchema, type Secrecy, secrecyOf } from "./schema.ts";

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
  readonly secrecy: Secrecy | "open";
  /** The value of a key that is left out; undefined when there is none. */
  readonly fallback: unknown;
  /** Range of a number. */
  readonly range: { readonly min: number; readonly max: number } | null;
}

/** Shape of the whole configuration. */
export const configShape: Shape = shapeOf(configSchema, undefined);

function shapeOf(schema: z.core.$ZodType, fallback: unknown): Shape {
  if (schema instanceof z.ZodObject) {
    const entries = Object.entries<z.core.$ZodType>(schema.shape);
    return {
      kind: "mapping",
      keys: new Map(entries.map(([key, value]) => [key, shapeOf(value, undefined)])),
    };
  }
  if (schema instanceof z.ZodArray) return { kind: "list", item: shapeOf(schema.element, undefined) };
  if (schema instanceof z.ZodDefault) return shapeOf(schema.unwrap(), schema.def.defaultValue);
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault)
    return shapeOf(schema.unwrap(), fallback);
  if (schema instanceof z.ZodPipe) return shapeOf(schema.in, fallback);
  return scalarShape(schema, fallback);
}

function scalarShape(schema: z.core.$ZodType, fallback: unknown): ScalarShape {
  const secrecy = secrecyOf.get(schema) ?? "open";
  const base = { kind: "scalar", secrecy, fallback, range: null } as const;
  if (schema instanceof z.ZodNumber) {
    const range = { min: schema.minValue ?? -Infinity, max: schema.maxValue ?? Infinity };
    return { ...base, type: "number", range };
  }
  if (schema instanceof z.ZodBoolean) return { ...base, type: "boolean" };
  if (schema instanceof z.ZodUnion) return { ...base, type: "size" };
  assert(schema instanceof z.ZodString || schema instanceof z.ZodEnum, "every schema has a shape");
  return { ...base, type: "string" };
}
