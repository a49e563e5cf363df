/** @module SQLite behind core's Store port: one file, one daemon. */
export { openStore, type StoreOptions } from './store.ts'
