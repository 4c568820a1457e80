import type { FFIFunction, Library } from "bun:ffi";

const MUSL_ARCH: Readonly<Partial<Record<NodeJS.Architecture, string>>> = { x64: "x86_64", arm64: "aarch64" };

/**
 * Functions of the C library that the process runs on, glibc or musl, for what Bun does not offer. Linux only; throws
 * where there is none. Loaded with the first use, since few processes come to it.
 */
export async function openLibc<const T extends Record<string, FFIFunction>>(
  functions: T,
): Promise<Library<T>["symbols"]> {
  const { dlopen } = await import("bun:ffi");
  try {
    return dlopen("libc.so.6", functions).symbols;
  } catch {
    return dlopen(`libc.musl-${MUSL_ARCH[process.arch]}.so.1`, functions).symbols;
  }
}
