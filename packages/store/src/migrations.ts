import type { DatabaseSync } from 'node:sqlite'
import { GibilError } from '@gibil/contract'

/** In order; one that was released is never changed. */
const migrations: readonly { readonly name: string; readonly sql: string }[] = [
  {
    name: 'boxes and events',
    sql: `
      CREATE TABLE boxes (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        fleet TEXT,
        created_at INTEGER NOT NULL,
        record TEXT NOT NULL
      ) STRICT;
      CREATE INDEX boxes_by_fleet ON boxes (fleet) WHERE fleet IS NOT NULL;
      CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        type TEXT NOT NULL,
        box_id TEXT,
        box_name TEXT,
        data TEXT NOT NULL
      ) STRICT;`,
  },
  {
    name: 'tokens, and an owner of each box',
    // A name is unique for each owner, which a column that was UNIQUE by itself cannot become: so a new table.
    sql: `
      CREATE TABLE tokens (
        hash TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        limits TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER
      ) STRICT;
      CREATE TABLE owned_boxes (
        id TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        name TEXT NOT NULL,
        fleet TEXT,
        cpu REAL NOT NULL,
        memory_mib INTEGER NOT NULL,
        disk_mib INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        record TEXT NOT NULL,
        UNIQUE (owner, name)
      ) STRICT;
      INSERT INTO owned_boxes
        SELECT id, '', name, fleet, record ->> '$.size.cpu', record ->> '$.size.memoryMib', record ->> '$.size.diskMib',
          created_at, json_set(record, '$.owner', NULL)
        FROM boxes;
      DROP TABLE boxes;
      ALTER TABLE owned_boxes RENAME TO boxes;
      CREATE INDEX boxes_by_fleet ON boxes (fleet) WHERE fleet IS NOT NULL;
      ALTER TABLE events ADD COLUMN owner TEXT;`,
  },
  {
    name: 'isolation of a box',
    sql: `UPDATE boxes SET record = json_insert(record, '$.isolation', 'namespaces');`,
  },
  {
    name: 'snapshots',
    sql: `
      CREATE TABLE snapshots (
        id TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        name TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        record TEXT NOT NULL,
        UNIQUE (owner, name)
      ) STRICT;
      UPDATE boxes SET record = json_insert(record, '$.from', NULL, '$.restoring', NULL, '$.parent', NULL);`,
  },
  {
    name: 'published ports of a box',
    sql: `UPDATE boxes SET record = json_insert(record, '$.published', json('[]'));`,
  },
  {
    name: 'what boxes that are gone have cost',
    sql: `
      CREATE TABLE charges (
        box_id TEXT NOT NULL,
        since INTEGER NOT NULL,
        until INTEGER NOT NULL,
        box_name TEXT NOT NULL,
        owner TEXT NOT NULL,
        price TEXT NOT NULL,
        PRIMARY KEY (box_id, since)
      ) STRICT;`,
  },
  {
    name: 'settings of the daemon',
    sql: `CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;`,
  },
  {
    name: 'sessions',
    sql: `
      CREATE TABLE sessions (
        id TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        record TEXT NOT NULL
      ) STRICT;`,
  },
]

/** Brings the file to the newest schema, each step in one transaction. Refuses a file that a newer version has written. */
export function migrate(database: DatabaseSync): void {
  database.exec(`CREATE TABLE IF NOT EXISTS migrations (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL DEFAULT (datetime('now'))
  ) STRICT`)
  const newest = database.prepare('SELECT coalesce(max(number), 0) AS number FROM migrations').get()?.['number']
  const done = typeof newest === 'number' ? newest : 0
  if (done > migrations.length) {
    throw new GibilError('wrong_state', 'The store was written by a newer version of Gibil.', {
      hint: 'Update Gibil, or give another GIBIL_HOME.',
    })
  }
  for (const [index, { name, sql }] of migrations.entries()) {
    if (index < done) continue
    database.exec('BEGIN IMMEDIATE')
    try {
      database.exec(sql)
      database.prepare('INSERT INTO migrations (number, name) VALUES (?, ?)').run(index + 1, name)
      database.exec('COMMIT')
    } catch (error) {
      database.exec('ROLLBACK')
      throw error
    }
  }
}
