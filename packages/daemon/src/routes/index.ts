import type { Route } from '../http/route.ts'
import { adoptRoutes } from './adopt.ts'
import { bakedRoutes } from './baked.ts'
import { boxFileRoutes } from './box-files.ts'
import { boxRoutes } from './boxes.ts'
import { chooseRoutes } from './choose.ts'
import { commandRoutes } from './commands.ts'
import { e2bRoutes } from './e2b.ts'
import { eventRoutes } from './events.ts'
import { fileRoutes } from './files.ts'
import { fleetRoutes } from './fleets.ts'
import { imageRoutes } from './images.ts'
import { insideRoutes } from './inside.ts'
import { moveRoutes } from './move.ts'
import { publishedRoutes } from './published.ts'
import { sessionRoutes } from './sessions.ts'
import { snapshotRoutes } from './snapshots.ts'
import { systemRoutes } from './system.ts'
import { tokenRoutes } from './tokens.ts'
import { treeRoutes } from './tree.ts'
import { volumeRoutes } from './volumes.ts'

const forTokensToo = (group: readonly Route[]): Route[] => group.map((route) => ({ ...route, tokens: true }))

/** What is of boxes: a token may call it, and is given its own boxes only. */
const routesOfBoxes: readonly Route[] = [
  ...boxRoutes,
  ...moveRoutes,
  ...boxFileRoutes,
  ...chooseRoutes,
  ...fleetRoutes,
  ...sessionRoutes,
  ...snapshotRoutes,
  ...volumeRoutes,
  ...eventRoutes,
  ...commandRoutes,
  ...fileRoutes,
  ...treeRoutes,
  ...insideRoutes,
  ...publishedRoutes,
]

/** Every route below /v1, in the order of the documents. */
export const routes: readonly Route[] = [
  ...forTokensToo(routesOfBoxes),
  ...adoptRoutes,
  ...imageRoutes,
  ...bakedRoutes,
  ...tokenRoutes,
  ...e2bRoutes,
  ...systemRoutes,
]
