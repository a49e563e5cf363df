type Write = (fields: Readonly<Record<string, unknown>>, message: string) => void

/** Structured log; the shape of pino's methods. */
export interface Log {
  readonly debug: Write
  readonly info: Write
  readonly warn: Write
  readonly error: Write
}
