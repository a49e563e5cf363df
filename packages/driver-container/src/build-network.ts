import { readdir } from 'node:fs/promises'
import { addressOf, gatewayOf, linkName, macOf, ownLinks } from '@gibil/host'
import type { Context } from './context.ts'

/** Networks for steps of image builds, under the same rules as those of `internet` boxes. */
export interface BuildNetworks {
  /** A network namespace with a way to the internet, and the text of the resolv.conf that goes with it. */
  create(id: string): Promise<{ netnsPath: string; resolvConf: string }>
  destroy(id: string): Promise<void>
}

/** Not a box's name: `gibil-<hash>.<id>` instead of `gibil-<hash>-<id>`, so that no sweep of boxes takes it for one. */
const netnsPrefix = (context: Context): string => `${context.names.prefix}.`
const holderOf = (id: string): string => `build step ${id}`

export function createBuildNetworks(use: () => Context): BuildNetworks {
  return {
    async create(id) {
      const context = use()
      const { hostkit, names, network, slots } = context
      const links = await ownLinks(names)
      const slot = slots.take(holderOf(id), (free) => !links.includes(linkName(names, 'internet', free)))
      const netns = `${netnsPrefix(context)}${id}`
      try {
        await network.refreshResolver()
        await hostkit.netCreate({
          netns,
          host: linkName(names, 'internet', slot),
          guest: 'eth0',
          guestAddress: addressOf(network.subnet, slot),
          gateway: gatewayOf(network.subnet),
          mac: macOf(names.prefix.slice(-6), slot),
          mtu: network.mtu,
        })
      } catch (error) {
        slots.free(holderOf(id))
        throw error
      }
      return { netnsPath: `/run/netns/${netns}`, resolvConf: `nameserver ${gatewayOf(network.subnet)}\n` }
    },
    async destroy(id) {
      const context = use()
      // The link goes with its namespace; only then may another have its slot.
      await context.hostkit.netDestroy({ netns: `${netnsPrefix(context)}${id}` })
      context.slots.free(holderOf(id))
    },
  }
}

/** Removes what build steps of a daemon that was killed have left. */
export async function sweepBuildNetworks(context: Context): Promise<void> {
  const left = (await readdir('/run/netns').catch(() => [])).filter((name) => name.startsWith(netnsPrefix(context)))
  for (const netns of left) await context.hostkit.netDestroy({ netns })
}
