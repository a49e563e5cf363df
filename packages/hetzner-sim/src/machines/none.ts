import { ApiError } from '../errors.ts'
import type { Machines } from './port.ts'

/** What a snapshot weighs when there is no disk behind it, in gigabytes. */
const imageSize = 1

/**
 * Servers that have addresses and states, and nothing behind them. Addresses are of `network` (an IPv4 prefix of two
 * numbers), by default of the range kept for benchmarks (RFC 2544), which leads nowhere; `127.9` gives addresses at which
 * a test can listen. `shutdown` takes `shutdownMs`.
 */
export function noMachines(options: { network?: string | undefined; shutdownMs?: number | undefined } = {}): Machines {
  const { network = '198.18', shutdownMs = 50 } = options
  const running = new Set<number>()
  const closing = new Set<NodeJS.Timeout>()
  let tell: (id: number) => void = () => undefined
  return {
    freeIpv4(taken) {
      for (let n = 1; n < 65_535; n += 1) {
        const address = `${network}.${n >> 8}.${n & 255}`
        if ((n & 255) !== 0 && (n & 255) !== 255 && !taken.has(address)) return address
      }
      throw new ApiError(412, 'resource_unavailable', 'no address is left')
    },
    async boot({ id }) {
      running.add(id)
    },
    async powerOff(id) {
      running.delete(id)
    },
    async shutdown(id) {
      const timer = setTimeout(() => {
        closing.delete(timer)
        if (running.delete(id)) tell(id)
      }, shutdownMs)
      closing.add(timer)
    },
    async reset() {},
    async remove(id) {
      running.delete(id)
    },
    async admit() {},
    async image() {
      return imageSize
    },
    async removeImage() {},
    async isRunning(id, ranBefore) {
      if (ranBefore) running.add(id)
      return running.has(id)
    },
    onOff(listener) {
      tell = listener
    },
    async close() {
      for (const timer of closing) clearTimeout(timer)
    },
  }
}
