/** Where the driver tells what it did; the daemon gives its logger. */
export type Log = (level: 'debug' | 'info' | 'warn', message: string, facts: Readonly<Record<string, unknown>>) => void
