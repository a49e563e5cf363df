/**
 * The frames of a command stream, the same between daemon and boxd (with a length before each) and between client and
 * daemon (one frame per WebSocket message). boxd/PROTOCOL.md is the reference.
 */
export const FrameType = {
  stdin: 0,
  stdinEnd: 1,
  resize: 2,
  signal: 3,
  stdout: 16,
  stderr: 17,
  exit: 18,
  started: 19,
  gap: 20,
  error: 21,
} as const
export type FrameType = (typeof FrameType)[keyof typeof FrameType]

/** No frame is longer than this; a longer one is a protocol error. */
export const maxFrameBytes = 1024 * 1024
