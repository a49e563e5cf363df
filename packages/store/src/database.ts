import { chmodSync, closeSync, existsSync, openSync } from 'node:fs'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { GibilError } from '@gibil/contract'
import { Kysely, type SqliteDatabase, SqliteDialect } from 'kysely'
import type { Schema } from './schema.ts'

export interface OpenDatabase {
  readonly query: Kysely<Schema>
  readonly raw: DatabaseSync
}

/** How long the daemon before this one may take to let go of the file. */
const busyTimeoutMs = 2000
const maxStatements = 128

/**
 * Opens the file, made with mode 0600 if it is not there, and keeps it locked: SQLite's exclusive lock is a lock of the kernel, so it ends with
 * the process however that ends. WAL with synchronous=NORMAL survives the death of the process; a power cut can lose the last
 * writes but not the file (https://sqlite.org/pragma.html#pragma_synchronous). Throws `wrong_state` when another daemon has it.
 */
export function openDatabase(file: string): OpenDatabase {
  // Before SQLite does, which would make it as the umask says; its -wal file takes this mode over. A file that is there is not
  // opened: closing it would drop the locks that this process has on it (fcntl(2)).
  if (existsSync(file)) chmodSync(file, 0o600)
  else closeSync(openSync(file, 'ax', 0o600))
  const raw = new DatabaseSync(file, { timeout: busyTimeoutMs })
  try {
    raw.exec('PRAGMA locking_mode = EXCLUSIVE')
    raw.exec('PRAGMA journal_mode = WAL')
    raw.exec('PRAGMA synchronous = NORMAL')
    raw.exec('PRAGMA foreign_keys = ON')
    raw.exec('BEGIN EXCLUSIVE; COMMIT')
  } catch (cause) {
    raw.close()
    if (!isLocked(cause)) throw notReadable(file, cause)
    throw new GibilError('wrong_state', `Another daemon uses ${file}.`, {
      hint: 'Use that daemon, stop it with `gibil down`, or give another GIBIL_HOME.',
      cause,
    })
  }
  return { raw, query: new Kysely<Schema>({ dialect: new SqliteDialect({ database: withStatements(raw) }) }) }
}

// The low byte of a SQLite result code is its kind: 5 is SQLITE_BUSY (https://sqlite.org/rescode.html).
const isLocked = (error: unknown): boolean => (codeOf(error) & 0xff) === 5

const codeOf = (error: unknown): number =>
  error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : 0

/** SQLITE_FULL. */
export const isFull = (error: unknown): boolean => (codeOf(error) & 0xff) === 13
/** SQLITE_CONSTRAINT_UNIQUE. */
export const isNotUnique = (error: unknown): boolean => codeOf(error) === 2067

const notReadable = (file: string, cause: unknown): GibilError =>
  new GibilError('internal', `The store ${file} cannot be read: ${cause instanceof Error ? cause.message : cause}.`, {
    hint: 'Move it away to begin with an empty one; `gibil sweep` then removes the boxes that are left.',
    cause,
  })

/** What kysely's SQLite dialect asks of a database, on the one that Node has; statements are prepared once. */
function withStatements(raw: DatabaseSync): SqliteDatabase {
  const statements = new Map<string, StatementSync>()
  const prepare = (sql: string): StatementSync => {
    const known = statements.get(sql)
    if (known) return known
    const statement = raw.prepare(sql)
    if (statements.size >= maxStatements) statements.clear()
    statements.set(sql, statement)
    return statement
  }
  return {
    close: () => raw.close(),
    prepare(sql) {
      const statement = prepare(sql)
      return {
        reader: statement.columns().length > 0,
        all: (parameters) => statement.all(...(parameters as SQLInputValue[])),
        run: (parameters) => statement.run(...(parameters as SQLInputValue[])),
        iterate: (parameters) => statement.iterate(...(parameters as SQLInputValue[])),
      } as ReturnType<SqliteDatabase['prepare']>
    },
  }
}
