import type { Route } from '../http/route.ts'
import { boxRoutes } from './boxes.ts'
import { commandRoutes } from './commands.ts'
import { eventRoutes } from './events.ts'
import { fileRoutes } from './files.ts'
import { fleetRoutes } from './fleets.ts'
import { imageRoutes } from './images.ts'
import { insideRoutes } from './inside.ts'
import { systemRoutes } from './system.ts'
import { treeRoutes } from './tree.ts'

/** Every route below /v1, in the order of the documents. */
export const routes: readonly Route[] = [
  ...boxRoutes,
  ...fleetRoutes,
  ...eventRoutes,
  ...commandRoutes,
  ...fileRoutes,
  ...treeRoutes,
  ...insideRoutes,
  ...imageRoutes,
  ...systemRoutes,
]
