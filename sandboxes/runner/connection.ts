// One connection to a server inside, as a stream of Node.
import { Duplex } from 'node:stream';
import { StewardError } from '../../core/errors.ts';
import { createInlet, createOutlet, type Send } from './flow.ts';
import { uint32 } from './frames.ts';
import { FRAME } from './protocol.ts';

export interface ConnectionEnd {
  opened: Promise<Duplex>;
  /** Throws when the frame breaks the rules of the wire. True after the last one. */
  receive(type: number, payload: Buffer): boolean;
  lost(error: StewardError): void;
}

export function createConnection(port: number, send: Send): ConnectionEnd {
  const opening = Promise.withResolvers<Duplex>();
  opening.promise.catch(() => {});
  const queue: (Buffer | null)[] = [];
  const outlet = createOutlet(send);
  const inlet = createInlet((credit) => send(FRAME.CREDIT, uint32(credit)));
  let wanted = false;
  let gone = false;
  const feed = () => {
    while (wanted && queue.length > 0) {
      const data = queue.shift() ?? null;
      wanted = duplex.push(data);
      if (data) inlet.taken(data.length);
    }
  };
  const duplex = new Duplex({
    allowHalfOpen: true,
    read() {
      wanted = true;
      feed();
    },
    write(data: Buffer, _encoding, done) {
      outlet.write(data).then(() => done(), done);
    },
    final(done) {
      outlet.end();
      done();
    },
    destroy(error, done) {
      if (!gone) send(FRAME.SIGNAL, Buffer.from('KILL'));
      outlet.close(error ?? broken(port));
      done(error);
    },
  });
  // A lost sandbox breaks connections of which nobody may be thinking any more; that must not end the daemon.
  duplex.on('error', () => {});
  return {
    opened: opening.promise,
    receive(type, payload) {
      switch (type) {
        case FRAME.OPENED:
          opening.resolve(duplex);
          return false;
        case FRAME.FAILED:
          gone = true;
          opening.reject(
            new StewardError('unavailable', `No connection into the sandbox: ${payload.toString('utf8', 1)}.`, {
              op: 'connect to a port in the sandbox',
              retryable: true,
            }),
          );
          duplex.destroy();
          return true;
        case FRAME.STDOUT:
          if (payload.length === 0) return false;
          inlet.received(payload.length);
          queue.push(payload);
          feed();
          return false;
        case FRAME.CREDIT:
          outlet.grant(payload.readUInt32BE(0));
          return false;
        case FRAME.CLOSED:
          gone = payload.readUInt8(0) === 1;
          if (gone) outlet.close(broken(port));
          queue.push(null);
          feed();
          return gone;
        default:
          throw new StewardError('invalid', `The runner sent a frame of type ${type} for a connection.`, {
            op: 'read from the sandbox',
          });
      }
    },
    lost(error) {
      gone = true;
      opening.reject(error);
      outlet.close(error);
      duplex.destroy(error);
    },
  };
}

function broken(port: number): StewardError {
  return new StewardError('unavailable', `The connection to port ${port} in the sandbox is closed.`, {
    op: 'write to a port in the sandbox',
  });
}
