// The runner's wire: frames both ways over one byte stream, with a credit window per stream so that nothing piles up.
//
// frame   = type u8 · id u32 · length u32 · payload (big-endian). `id` names an execution or a dialled connection, chosen by the
//           host and never used twice; 0 where there is none.
// strings = each as u32 length + bytes, one after the other.
//
// host → runner                                            runner → host
//   EXEC    strings: cwd, stdin(open|empty), n, argv × n,     READY   u8 version · u16 port of the relay to the broker (0: none)
//           KEY=VALUE …  (the whole environment)              STDOUT  bytes (of a connection too)        STDERR  bytes
//   INPUT   bytes to stdin or to the connection               EXIT    u8 kind (0 code, 1 signal) · u8 number: the child is gone and
//   END     closes stdin / half-closes the connection                 what it had written has been sent (background children may
//   SIGNAL  name; to the process group. To a connection:              still hold the pipe: it is read and thrown away from then on)
//           it is dropped                                     FAILED  u8 code as a shell has it (127 not found, 126 else) · text: could
//   CREDIT  u32: so many more bytes of output may be sent             not be started / connected
//           (stdout and stderr together)                      OPENED  the connection stands
//   DIAL    u16 port on 127.0.0.1 or ::1                      CLOSED  u8: 0 the peer sends no more, 1 nothing goes either way any more
//   PING                                                      PONG    the id of the PING
//   PROCS                                                     PROCS   the id of the request; strings: uptime in ticks, then per process
//                                                                     pid, parent, start ticks, ports (comma), argc, argv…
//                                                             CREDIT  u32: so many more bytes of INPUT may be sent
//
// Each stream begins with WINDOW bytes of credit both ways; who takes bytes gives credit back, in pieces of its own choosing.
export const WINDOW = 256 * 1024;
export const VERSION = 1;
/** No frame is longer; who sends one is cut off. */
export const MAX_FRAME = 1024 * 1024;

export const FRAME = {
  EXEC: 1,
  INPUT: 2,
  END: 3,
  SIGNAL: 4,
  CREDIT: 5,
  DIAL: 6,
  PING: 7,
  PROCS: 8,
  READY: 16,
  STDOUT: 17,
  STDERR: 18,
  EXIT: 19,
  FAILED: 20,
  OPENED: 21,
  CLOSED: 22,
  PONG: 23,
} as const;
