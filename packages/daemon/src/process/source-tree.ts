import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../../../..')

/** Where things are in the sources that this daemon runs from. */
export const sourceTree = {
  boxd: join(root, 'dist/boxd'),
  hostkit: join(root, 'dist/hostkit'),
  recipes: join(root, 'images'),
} as const
