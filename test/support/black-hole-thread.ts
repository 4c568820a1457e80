declare const self: Worker;

// Listens, says where, and stands still until it is released: nothing is ever accepted.
self.onmessage = ({ data: release }: MessageEvent<Int32Array>) => {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  self.postMessage(listener.port);
  Atomics.wait(release, 0, 0);
  listener.stop(true);
};
