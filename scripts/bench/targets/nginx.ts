import { join } from "node:path";

import { type Launch, type Place, type Target, UPSTREAM_KEY } from "./target.ts";

/** Does what llmproxyd does by default: credentials replaced, upstream connections kept, nothing held back. */
export function nginxConfiguration({ port, upstreamPort, workers, connections, directory }: Place): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (kind) => `  ${kind}_temp_path ${join(directory, kind)};`,
  );
  return `daemon off;
${process.getuid?.() === 0 ? "user root;\n" : ""}worker_processes ${workers};
pid ${join(directory, "nginx.pid")};
error_log stderr crit;
events { worker_connections ${2 * connections + 64}; }
http {
${temporary.join("\n")}
  access_log off;
  keepalive_timeout 300s;
  keepalive_requests 1000000000;
  client_max_body_size 128m;
  upstream backend {
    server 127.0.0.1:${upstreamPort};
    keepalive 1024;
    keepalive_requests 1000000000;
    keepalive_timeout 60s;
  }
  server {
    listen 127.0.0.1:${port} reuseport backlog=4096;
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer ${UPSTREAM_KEY}";
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 300s;
    }
  }
}
`;
}

/** Gives null when nginx is not installed. */
export function nginx(): Target | null {
  const binary = Bun.which("nginx", { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/local/sbin` });
  if (binary === null) return null;
  return {
    name: "nginx",
    version: Bun.spawnSync([binary, "-v"]).stderr.toString().trim(),
    compiler: "none",
    launch: (place): Launch => ({
      argv: [binary, "-p", place.directory, "-e", "stderr", "-c", join(place.directory, "nginx.conf")],
      files: { "nginx.conf": nginxConfiguration(place) },
    }),
  };
}
