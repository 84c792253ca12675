// A git server on loopback TLS with a password, through git's own http-backend: it can refuse, hang, reject a push, lose the answer of one, and go down.
import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { type HttpsHost, makeAuthority, startHttpsHost } from './https-host.ts';

/** What goes wrong from now on. */
export type GitFault =
  | 'none'
  /** 403, whoever asks. */
  | 'refuse'
  /** Requests are read and never answered. */
  | 'hang'
  /** 503. */
  | 'unwell'
  /** The rules of the host are against the branch. */
  | 'protected'
  /** The push is carried out, and its answer lost: once. */
  | 'lose_answer';

export interface GitServer {
  /** `https://localhost:port` */
  url: string;
  caFile: string;
  faults(next: GitFault): void;
  /** Requests that write, by now. */
  pushes(): number;
  down(): Promise<void>;
  close(): Promise<void>;
}

const repositories = (root: string): string[] =>
  readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.git'))
    .map((name) => join(root, name));

/** `root`: a folder of bare repositories, each served as `/NAME.git`. Without the right name and password nobody sees anything. */
export async function startGitServer(options: { root: string; user: string; password: string }): Promise<GitServer> {
  const authority = makeAuthority();
  const authorization = `Basic ${Buffer.from(`${options.user}:${options.password}`).toString('base64')}`;
  // Git behind a plain server of its own, so that answers can be lost on the way.
  const backend = await startHttpsHost({ plain: true, git: { root: options.root, authorization: null } });
  let fault: GitFault = 'none';
  let pushes = 0;
  const held: Socket[] = [];

  const front: HttpsHost = await startHttpsHost({
    authority,
    async handler({ method, url, headers, body }, response, request) {
      const writes = url.endsWith('/git-receive-pack') && method === 'POST';
      if (writes) pushes += 1;
      if (headers.authorization !== authorization) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
        return true;
      }
      if (fault === 'hang') {
        held.push(request.socket);
        return true;
      }
      if (fault === 'refuse' || fault === 'unwell') {
        response.writeHead(fault === 'refuse' ? 403 : 503).end();
        return true;
      }
      const { authorization: _, connection: __, host: ___, 'transfer-encoding': ____, ...passed } = headers;
      const bytes = Buffer.from(body, 'latin1');
      const answer = await fetch(`http://127.0.0.1:${backend.port}${url}`, {
        method,
        headers: {
          ...(passed as Record<string, string>),
          ...(bytes.length > 0 && { 'content-length': String(bytes.length) }),
        },
        ...(method === 'POST' && { body: bytes }),
      });
      const said = Buffer.from(await answer.arrayBuffer());
      if (writes && fault === 'lose_answer') {
        fault = 'none';
        request.socket.destroy();
        return true;
      }
      response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'text/plain' });
      response.end(said);
      return true;
    },
  });
  const caFile = join(options.root, 'ca.pem');
  writeFileSync(caFile, front.ca);

  const setHook = (on: boolean) => {
    const script = '#!/bin/sh\necho "error: GH006: Protected branch update failed for this ref." >&2\nexit 1\n';
    for (const repository of repositories(options.root)) {
      const hook = join(repository, 'hooks', 'pre-receive');
      rmSync(hook, { force: true });
      if (!on) continue;
      mkdirSync(join(repository, 'hooks'), { recursive: true });
      writeFileSync(hook, script);
      chmodSync(hook, 0o755);
    }
  };
  let open = true;
  const down = async () => {
    if (!open) return;
    open = false;
    await front.close();
  };
  return {
    url: `https://localhost:${front.port}`,
    caFile,
    faults(next) {
      fault = next;
      setHook(next === 'protected');
      if (next === 'none') for (const socket of held.splice(0)) socket.destroy();
    },
    pushes: () => pushes,
    down,
    async close() {
      for (const socket of held.splice(0)) socket.destroy();
      await down();
      await backend.close();
    },
  };
}
