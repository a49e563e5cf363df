import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../../../..')

/** Where things are in the sources that this daemon runs from. */
export const sourceTree = {
  boxd: join(root, 'dist/boxd'),
  buildBoxd: join(root, 'boxd/build.sh'),
  hostkit: join(root, 'dist/hostkit'),
  recipes: join(root, 'images'),
} as const
