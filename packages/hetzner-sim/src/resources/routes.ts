import type { Route } from '../http/route.ts'
import { actionRoutes } from './actions.ts'
import { catalogRoutes } from './catalog.ts'
import { firewallRoutes } from './firewalls.ts'
import { imageRoutes } from './images.ts'
import { networkRoutes } from './networks.ts'
import { placementGroupRoutes } from './placement-groups.ts'
import { primaryIpRoutes } from './primary-ips.ts'
import { serverActionRoutes } from './server-actions.ts'
import { serverRoutes } from './servers.ts'
import { sshKeyRoutes } from './ssh-keys.ts'
import { volumeRoutes } from './volumes.ts'

/** Actions come first: `/servers/actions` is no server. */
export const routes: readonly Route[] = [
  ...actionRoutes,
  ...catalogRoutes,
  ...sshKeyRoutes,
  ...imageRoutes,
  ...serverRoutes,
  ...serverActionRoutes,
  ...primaryIpRoutes,
  ...firewallRoutes,
  ...networkRoutes,
  ...volumeRoutes,
  ...placementGroupRoutes,
]
