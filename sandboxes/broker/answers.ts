// What the broker itself says to a program, in words the model behind it can act on.
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

const text = (why: string): string => `Steward: ${why}\n`;

/** Ends a request; after the head of an answer has gone out, all that is left is to cut it off. */
export function answer(response: ServerResponse, status: number, why: string): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  const body = text(why);
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}

const REASONS: Record<number, string> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  421: 'Misdirected Request',
  502: 'Bad Gateway',
  504: 'Gateway Timeout',
};

/** The same on a bare connection: the answer to a CONNECT or an upgrade. */
export function answerRaw(socket: Duplex, status: number, why: string): void {
  if (socket.destroyed || !socket.writable) return;
  const body = text(why);
  // Many programs show no more of a refused CONNECT than this line.
  const reason =
    status === 403
      ? body
          .split('. ', 1)[0]!
          .replace(/[^ -~]/g, ' ')
          .trim()
      : (REASONS[status] ?? 'Error');
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

/** What went wrong on the way, in a few words; never the whole error, which may hold what was sent. */
export function causeOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const known: Record<string, string> = {
    ENOTFOUND: 'there is no such name',
    EAI_AGAIN: 'the name could not be resolved',
    ECONNREFUSED: 'nothing listens there',
    ECONNRESET: 'the connection was closed',
    ETIMEDOUT: 'it did not answer in time',
    EHOSTUNREACH: 'there is no way to it',
    ENETUNREACH: 'there is no way to it',
    EPIPE: 'the connection was closed',
  };
  return known[code ?? ''] ?? code ?? (message || 'unknown').slice(0, 120);
}
